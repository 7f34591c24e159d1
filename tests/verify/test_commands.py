import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firstfault.cli.root import app
from firstfault.errors import InputError
from firstfault.verify.calibration import load
from firstfault.verify.recalibrate import Labelled

TEXT = "Luke Kuechly led the team with 118 tackles. The Broncos won in Santa Clara."


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "source.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def run(*arguments: str, text: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", *arguments], input=text, catch_exceptions=False)
    return done.exit_code, done.stdout


def test_a_supported_claim_shows_its_evidence(source: Path) -> None:
    code, said = run("--context", str(source), "Luke Kuechly led the team with 118 tackles.")
    assert code == 0
    assert said.startswith("supported")
    assert "source.txt, characters 0–43" in said
    assert "best_passage_recall" in said


def test_json_is_one_document_with_exact_spans_and_exit_1_for_unsupported(source: Path) -> None:
    claim = "Luke Kuechly led the team with 118 tackles. Volunteers from Norway painted the stadium green."
    code, said = run("--context", str(source), claim, "--json")
    found = json.loads(said)
    assert code == 1
    assert found["label"] == "unsupported"
    assert [claim[s["start"] : s["end"]] for s in found["sentences"]] == [
        s["text"] for s in found["sentences"]
    ]
    first = found["sentences"][0]
    assert first["label"] == "supported"
    assert TEXT[first["evidence"]["start"] : first["evidence"]["end"]] == first["evidence"]["text"]
    assert first["evidence"]["file"] == str(source)
    assert found["verifier"].startswith("local-")


def test_the_claim_may_come_from_standard_input(source: Path) -> None:
    code, said = run("--context", str(source), "-", "--json", text="The Broncos won in Santa Clara.")
    assert code == 0
    assert json.loads(said)["label"] == "supported"


def test_what_cannot_be_judged_is_unknown_and_does_not_pass(source: Path) -> None:
    code, said = run("--context", str(source), "...", "--json")
    found = json.loads(said)
    assert (code, found["label"], found["score"]) == (1, "unknown", None)
    assert found["reason"]


def test_an_empty_claim_is_refused(source: Path) -> None:
    with pytest.raises(InputError, match="claim is empty"):
        run("--context", str(source), " ")


def test_unreadable_input_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "x.bin"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (binary, tmp_path / "none.txt"):
        with pytest.raises(InputError):
            run("--context", str(path), "A claim.")


def test_dry_run_is_for_judges(source: Path) -> None:
    with pytest.raises(InputError, match="costs nothing"):
        run("--context", str(source), "A claim.", "--dry-run")


def test_dry_run_shows_the_cost_and_asks_nothing(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTFAULT__VERIFIER__KIND", "openai")
    monkeypatch.setenv("FIRSTFAULT__VERIFIER__MODEL", "m")
    monkeypatch.setenv("FIRSTFAULT__VERIFIER__BASE_URL", "http://127.0.0.1:9/v1")
    code, said = run("--context", str(source), "The Broncos won in Santa Clara.", "--dry-run", "--json")
    plan = json.loads(said)["plan"]
    assert code == 0
    assert plan["claims"] == 1
    assert plan["cost"] is None


def test_verify_uses_what_calibrate_wrote(source: Path, tmp_path: Path, labelled: list[Labelled]) -> None:
    labels = tmp_path / "labels.jsonl"
    lines = [{"context": item.contexts[0], "claim": item.claim, "label": item.label} for item in labelled]
    labels.write_text("\n".join(map(json.dumps, lines)))
    before = json.loads(run("--context", str(source), "The Broncos won.", "--json")[1])
    code, said = run("calibrate", str(labels), "--dry-run")
    assert code == 0
    assert "nothing written" in said
    code, said = run("calibrate", str(labels), "--json")
    found = json.loads(said)
    assert code == 0
    assert {"before", "after", "calibration"} <= found.keys()
    assert load(Path(found["written"])).slope == pytest.approx(found["calibration"]["slope"])
    after = json.loads(run("--context", str(source), "The Broncos won.", "--json")[1])
    assert after["score"] != before["score"]
    assert after["verifier"] != before["verifier"]


def test_the_module_runs_without_rich_for_json(source: Path) -> None:
    code = (
        "import sys; from firstfault.cli.root import app; "
        "app(['verify', '--context', sys.argv[1], 'The Broncos won in Santa Clara.', '--json'],"
        " standalone_mode=False); "
        "assert 'rich.table' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(source)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert json.loads(done.stdout)["label"] == "supported", done.stderr
