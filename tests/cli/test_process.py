"""The command line as a whole process, and what it says beside its output."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firstfault.cli import logs
from firstfault.cli.state import left_open

from .conftest import Run

LONG = "a-document-with-a-name-that-is-longer-than-a-terminal-is-wide-" * 2 + "end.txt"


def process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the console script's function in a process of its own."""
    program = "from firstfault.cli import process; process()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_process_that_only_looks_ends_with_everything_said(home: Path) -> None:
    found = process("--home", home, "search", "greatest common divisor", "--json")
    assert found.returncode == 0
    assert json.loads(found.stdout)["hits"][0]["chunk"]["document_id"] == "gcd.md"
    refused = process("--home", home, "search", "divisor", "--where", "yeer = 3", "--json")
    assert refused.returncode == 2
    assert "Did you mean 'year'?" in json.loads(refused.stdout)["error"]["hint"]
    again = process("--home", home, "status", "--json")  # the lock went with the process
    assert json.loads(again.stdout)["documents"] == 5


def test_a_command_inside_a_process_closes_what_it_looked_at(run: Run, home: Path) -> None:
    for _ in range(2):
        assert run("--home", home, "search", "divisor").code == 0
        assert left_open == []


def test_lines_are_not_broken_where_there_is_no_terminal(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / LONG).write_text("The pump holds 12 litres of oil.")
    place = tmp_path / "home"
    assert run("--home", place, "ingest", tmp_path / LONG).code == 0
    found = run("--home", place, "search", "pump")
    assert LONG in found.out
    asked = run("--home", place, "--set", "generator.kind=extractive", "ask", "How much oil?", "--json")
    trace_id = asked.json["trace_id"]
    assert trace_id in run("--home", place, "traces").out
    assert LONG in run("--home", place, "documents").out


def test_an_index_that_was_lost_is_told(run: Run, home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    shutil.rmtree(copy / "index")
    said = run("--home", copy, "status")
    assert said.code == 0
    assert "note: the index was made anew: it was not there; 5 points were put in" in said.err
    assert "note" not in run("--home", copy, "search", "divisor").err


def test_an_old_revision_that_is_still_served_is_told(run: Run, tmp_path: Path) -> None:
    docs, place = tmp_path / "docs", tmp_path / "home"
    docs.mkdir()
    (docs / "a.txt").write_text("The price is 10 euros.")
    (docs / "b.txt").write_text("Something else.")
    assert run("--home", place, "ingest", docs).code == 0
    (docs / "a.txt").write_bytes(b"\0\0broken")
    report = run("--home", place, "ingest", docs)
    assert "an earlier revision is still served" in report.out
    shown = run("--home", place, "status")
    assert "an earlier revision is still served" in shown.out
    (failure,) = run("--home", place, "status", "--json").json["failed"]
    assert (failure["document_id"], failure["stale"]) == ("a.txt", 1)


def test_gc_drops_runs_with_their_traces(run: Run, home: Path, tmp_path: Path) -> None:
    copy, cases = tmp_path / "copy", tmp_path / "cases.jsonl"
    shutil.copytree(home, copy)
    assert run("--home", copy, "gc", "--keep-days", "0").code == 0  # what other tests asked in that home
    cases.write_text(json.dumps({"id": "1", "question": "What does math.gcd return?"}))
    assert run("--home", copy, "eval", cases, "--no-generation").code == 0
    kept = run("--home", copy, "gc", "--json").json
    assert (kept["runs"], kept["traces"]) == (0, 0)
    dropped = run("--home", copy, "gc", "--keep-days", "0", "--json").json
    assert (dropped["runs"], dropped["traces"]) == (1, 1)
    assert run("--home", copy, "runs", "--json").json == {"runs": []}


def test_warnings_are_plain_lines_and_a_retry_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    handler = logs.Plain(logging.WARNING)
    record = logging.LogRecord("x", logging.WARNING, "", 0, "%d things", (3,), None)
    handler.emit(record)
    retry = logging.LogRecord("stamina", logging.WARNING, "", 0, "stamina.retry_scheduled", (), None)
    retry.__dict__ |= {"stamina.caused_by": "Timeout()", "stamina.wait_for": 1.52, "stamina.retry_num": 2}
    handler.emit(retry)
    assert capsys.readouterr().err.splitlines() == [
        "note: 3 things",
        "note: the endpoint failed (Timeout()); attempt 2 failed, trying again in 1.5 s",
    ]
