"""`cases` on a real home: what it writes can be evaluated."""

import json
from pathlib import Path

from tests.cli.conftest import Run

EXTRACTIVE = ("--set", "generator.kind=extractive")


def test_a_recorded_request_becomes_a_case_that_passes(run: Run, home: Path, tmp_path: Path) -> None:
    asked = run("--home", home, *EXTRACTIVE, "ask", "Who won the world cup in 2022?", "--json").json
    out = tmp_path / "cases.jsonl"
    made = run("--home", home, "cases", "from-traces", asked["trace_id"], "--accept", "--out", out)
    assert made.code == 0
    assert json.loads(out.read_text())["answerable"] is False
    metrics = run("--home", home, *EXTRACTIVE, "eval", out, "--json").json["metrics"]
    assert metrics["abstention_accuracy"]["value"] == 1.0
    listed = run("--home", home, "cases", "from-traces", "--only", "abstained").out
    assert asked["trace_id"] in listed
    assert asked["trace_id"] not in run("--home", home, "cases", "from-traces", "--only", "error").out


def test_an_imported_set_is_matched_to_what_is_stored(run: Run, home: Path, tmp_path: Path) -> None:
    rows = [
        {"user_input": "What lasts five years?", "reference_contexts": ["the red pump lasts for five years"]},
        {"user_input": "What else?", "reference_contexts": ["no such text"]},
    ]
    (tmp_path / "set.json").write_text(json.dumps(rows))
    done = run("--home", home, "cases", "import", tmp_path / "set.json", "--format", "ragas", "--match")
    assert done.code == 0
    first, second = (json.loads(line) for line in done.out.splitlines())
    assert first["evidence"] == [{"document": "twin-a.txt", "quote": "the red pump lasts for five years"}]
    assert second["evidence"] == []
    assert "evidence of 1 cases stands in none: 2" in done.err
    documents = tmp_path / "documents.jsonl"
    run("cases", "import", tmp_path / "set.json", "--format", "ragas", "--documents", documents)
    assert len(documents.read_text().splitlines()) == 2
    assert run("cases", "import", tmp_path / "set.json", "--format", "other").code == 2
