import json
from pathlib import Path

from tests.cli.conftest import Run
from tests.structured.test_drift import BAD, GOOD, attempt, trace

from firstfault.collection.database import connect
from firstfault.trace import TraceStore

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def fill(home: Path, broken_from: int, count: int) -> None:
    home.mkdir()
    store = TraceStore(home, connect(home))
    for i in range(count):
        store.put(trace(i, GOOD) if i < broken_from or i % 3 else trace(i, BAD, attempt("retried")))
    store.close()


def test_drift_raises_an_alarm_and_names_the_rule(run: Run, tmp_path: Path) -> None:
    fill(tmp_path / "home", 100, 160)
    found = run("--home", tmp_path / "home", "format", "drift", "--json")
    assert found.code == 1
    (group,) = found.json["groups"]
    assert group["n"] == 160
    assert group["first_try"]["value"] < group["final"]["value"] == 1.0
    first, final = group["alarms"]
    assert (first["series"], first["raised"], final["raised"]) == ("first_try", True, False)
    assert "required at the whole output" in group["rules"]
    shown = run("--home", tmp_path / "home", "format", "drift")
    assert shown.code == 1
    assert "✗ first try: drifted against 99.00 %" in shown.out
    assert "✓ in the end: no alarm" in shown.out


def test_no_drift_and_no_answers(run: Run, tmp_path: Path) -> None:
    fill(tmp_path / "home", 60, 60)
    found = run("--home", tmp_path / "home", "format", "drift", "--since", "2026-01-01")
    assert found.code == 0
    assert "100.00 % valid" in found.out
    later = run("--home", tmp_path / "home", "format", "drift", "--since", "1m")
    assert later.code == 0
    assert "--schema" in later.out
    assert run("--home", tmp_path / "home", "format", "drift", "--since", "soon").code == 2
    assert run("--home", tmp_path / "none", "format", "drift").code == 3


def test_check_counts_and_writes_candidates(run: Run, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "d.jsonl").write_text('{"n": 1}\n{"n": "2"}\n')
    out = tmp_path / "candidates.jsonl"
    found = run("format", "check", tmp_path / "d.jsonl", "--schema", tmp_path / "s.json", "--out", out)
    assert found.code == 1
    assert "1 of 2 examples are valid" in found.out
    assert "/n: zero" in found.out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {"path": "/n", "shows": "zero", "output": {"n": 0}} in rows
    as_json = run("format", "check", tmp_path / "d.jsonl", "--schema", tmp_path / "s.json", "--json")
    assert as_json.json["valid"] == 1
    missing = run("format", "check", tmp_path / "d.jsonl", "--schema", tmp_path / "none.json")
    assert missing.code == 2


def test_ask_refuses_a_bad_schema(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "nonsense"}')
    found = run("--home", home, "ask", "What does math.gcd return?", "--schema", tmp_path / "s.json")
    assert found.code == 2
    assert "/type" in found.err
