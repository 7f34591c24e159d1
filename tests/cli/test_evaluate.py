"""`eval`, `runs` and `compare-runs` on real models."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

EXTRACTIVE = ("--set", "generator.kind=extractive")
CASES = (
    {"id": "gcd", "question": "What does math.gcd return?", "answer": "the greatest common divisor",
     "evidence": [{"document": "gcd.md", "quote": "returns the greatest common divisor"}]},
    {"id": "cup", "question": "Who won the football world cup in 2022?", "answerable": False},
)  # fmt: skip
CONTRACT = (
    "context_recall context_precision faithfulness answer_correctness citation_recall citation_precision "
    "abstention_accuracy format_validity hallucination_rate"
).split()


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    path.write_text("\n".join(json.dumps(case) for case in CASES))
    return path


def test_eval_prints_the_contract(run: Run, home: Path, cases: Path) -> None:
    done = run("--home", home, *EXTRACTIVE, "eval", cases, "--json")
    assert done.code == 0
    assert done.json["run_id"]
    for name in CONTRACT:
        metric = done.json["metrics"][name]
        assert {"value", "ci_low", "ci_high", "n", "status", "reason"} <= set(metric)
        assert metric["value"] is not None or metric["reason"]
    assert done.json["metrics"]["context_recall"]["value"] == 1.0
    assert done.json["metrics"]["latency_total_p95_ms"]["value"] > 0


def test_the_gate_exits_with_one_and_the_reports_are_written(
    run: Run, home: Path, cases: Path, tmp_path: Path
) -> None:
    first = run("--home", home, *EXTRACTIVE, "eval", cases, "--gate", "--json")
    assert first.code == 0
    strict = ("--set", "evaluate.latency_p95_ms=0.001")
    reports = ("--junit", tmp_path / "j.xml", "--markdown", tmp_path / "m.md")
    baseline = ("--baseline", first.json["run_id"])
    failed = run("--home", home, *EXTRACTIVE, *strict, "eval", cases, "--gate", *reports, *baseline)
    assert failed.code == 1
    assert "gate failed: latency_total_p95_ms" in failed.out
    assert "<failure" in (tmp_path / "j.xml").read_text()
    assert "against the baseline" in (tmp_path / "m.md").read_text()


def test_runs_are_listed_shown_and_compared(run: Run, home: Path, cases: Path) -> None:
    one = run("--home", home, "eval", cases, "--no-generation", "--limit", "1", "--json").json
    other = run("--home", home, "--set", "search.top_k=1", "eval", cases, "--no-generation", "--json").json
    listed = run("--home", home, "runs", "--json").json["runs"]
    assert [entry["run_id"] for entry in listed[:2]] == [other["run_id"], one["run_id"]]
    shown = run("--home", home, "runs", one["run_id"], "--json").json
    assert [case["case_id"] for case in shown["cases"]] == ["gcd"]
    assert shown["cases"][0]["evidence"] == ["found"]
    compared = run("--home", home, "compare-runs", one["run_id"], "last", "--json").json
    precision = next(one for one in compared["metrics"] if one["name"] == "context_precision")
    assert precision["delta"] > 0
    for command in (["runs"], ["runs", "last"], ["compare-runs", one["run_id"], "last"]):
        assert run("--home", home, *command).code == 0


def test_bad_input_says_what_to_do(run: Run, home: Path, cases: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"id": 1}')
    for arguments, said in (
        (["eval", tmp_path / "bad.jsonl"], "bad.jsonl:1 has no question"),
        (["eval", tmp_path / "absent.jsonl"], "cannot be read"),
        (["eval", cases, "--baseline", "nope"], "No run 'nope'"),
        (["compare-runs", "nope", "last"], "No run 'nope'"),
    ):
        done = run("--home", home, *arguments)
        assert done.code == 2
        assert said in done.err
        assert "fix:" in done.err
    assert run("--home", tmp_path / "empty", "runs").code == 3
