"""`diagnose` as a user runs it."""

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from firstfault.cli import render_diagnosis
from firstfault.diagnose.tree import QUESTIONS
from firstfault.types import Diagnosis, Finding, Node, Remedy

CASE = {
    "id": "gcd",
    "question": "What does math.gcd return?",
    "answer": "the greatest common divisor",
    "evidence": [{"document": "gcd.md", "quote": "returns the greatest common divisor of the specified"}],
}
LOST = {
    "id": "pump",
    "question": "What does the green pump cost?",
    "answer": "12 euros",
    "evidence": [{"document": "green.txt", "quote": "It costs 12 euros."}],
}


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Path:
    """A copy of the home, to write runs into."""
    return Path(shutil.copytree(home, tmp_path / "own"))


@pytest.fixture
def evaluated(run: Run, own: Path, tmp_path: Path) -> Path:
    cases = tmp_path / "cases.jsonl"
    cases.write_text("".join(json.dumps(case) + "\n" for case in (CASE, LOST)), encoding="utf-8")
    assert run("--home", own, "eval", cases, "--no-generation").code == 0
    return own


def test_the_newest_run_is_diagnosed(run: Run, evaluated: Path) -> None:
    found = run("--home", evaluated, "diagnose")
    assert found.code == 0
    assert "first fault  corpus / missing_document" in found.out
    assert "UTC over" in found.out  # an old run over other cases is seen to be one
    assert "cases.jsonl" in found.out
    assert "green.txt" in found.out
    assert "next  firstfault ingest PATH" in found.out


def test_a_narrow_terminal_folds_the_table_and_the_evidence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    finding = Finding(
        stage="corpus",
        cause="missing_document",
        cases=("a",),
        share=0.5,
        ci_low=0.1,
        ci_high=0.9,
        verified=1,
        evidence="word " * 50,
        example="t",
        remedy=Remedy(summary="word " * 40),
    )
    path = tuple(
        Node(
            stage=stage,
            question=question,
            measured="1 of 2 cases; missing_document in 50%",
            examined=2,
            lost=1,
        )
        for stage, question in QUESTIONS.items()
    )
    render_diagnosis.diagnosis(
        Diagnosis(
            scope="run r",
            healthy=False,
            primary=finding,
            findings=(finding,),
            scattered=(),
            unknown=(),
            flaky=(),
            cases=2,
            failing=1,
            path=path,
            latency=(),
            model_calls=0,
            next_command="firstfault fix",
        )
    )
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 80
    assert all(line.startswith("   word") for line in lines if line.lstrip().startswith("word"))


def test_the_contract_of_the_json_document(run: Run, evaluated: Path) -> None:
    found = run("--home", evaluated, "diagnose", "--run", "last", "--json").json
    assert found["healthy"] is False
    assert found["primary"]["stage"] == "corpus"
    assert found["primary"]["cause"] == "missing_document"
    assert found["primary"]["ci_low"] <= found["primary"]["share"] <= found["primary"]["ci_high"]
    (finding,) = found["findings"]
    assert finding["cases"] == ["pump"]
    assert set(finding["remedy"]) == {"summary", "patch", "command"}
    assert found["unknown"] == []


def test_a_fault_fails_the_command_when_asked(run: Run, evaluated: Path) -> None:
    assert run("--home", evaluated, "diagnose", "--fail-on-fault").code == 1


def test_a_single_request_and_a_window(run: Run, own: Path) -> None:
    asked = run(
        "--home", own, "--set", "generator.kind=extractive", "ask", "What does math.gcd return?", "--json"
    ).json
    one = run("--home", own, "diagnose", "--trace", asked["trace_id"], "--json").json
    assert one["cases"] == 1
    found = run("--home", own, "diagnose", "--since", "1h", "--json")
    assert "cases" in found.json, found.json
    assert found.json["cases"] >= 1


@pytest.mark.parametrize(
    "options", [["--since", "yesterday"], ["--run", "last", "--since", "1h"], ["--run", "no"]]
)
def test_bad_options_say_what_to_do(run: Run, evaluated: Path, options: list[str]) -> None:
    found = run("--home", evaluated, "diagnose", *options)
    assert found.code == 2
    assert "error:" in found.err
