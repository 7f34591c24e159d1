"""Monitoring and spot checks as they are used from a terminal."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from firstfault.collection.database import connect
from firstfault.monitor import Readings
from firstfault.monitor.reading import Reading

EXTRACTIVE = ("--set", "generator.kind=extractive")
QUESTION = "What does math.gcd return?"


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Path:
    """A home of the test's own, without what other tests asked."""
    own = tmp_path / "own"
    shutil.copytree(home, own, ignore=shutil.ignore_patterns("spool"))
    with closing(sqlite3.connect(own / "firstfault.db")) as database:
        database.execute("DELETE FROM traces")
        database.commit()
    return own


def breaks(own: Path) -> None:
    """Put readings into a home: 100 healthy ones, then 60 that abstain."""
    engine = connect(own)
    found = [
        Reading(
            trace_id=f"made-{number:04d}",
            at=f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}.000+00:00",
            collection="default",
            model="small",
            adapter=None,
            key=None,
            times={"total": 10.0},
            values={"error": 0.0, "abstained": float(number >= 100)},
            facts={"fingerprint": "a"},
        )
        for number in range(160)
    ]
    Readings(engine).add(found)
    engine.dispose()


def test_monitor_shows_every_stage(run: Run, own: Path) -> None:
    run("--home", own, *EXTRACTIVE, "ask", QUESTION)
    shown = run("--home", own, "monitor")
    assert shown.code == 0
    assert "whole request" in shown.out
    assert shown.out.count("20 are needed to judge") == 1
    document = run("--home", own, "monitor", "--json").json
    assert document["rows"][0]["stage"] == "any"
    assert run("--home", own, "monitor", "--since", "soon").code == 2


def test_watch_opens_an_incident_that_incident_shows(run: Run, own: Path, tmp_path: Path) -> None:
    breaks(own)
    settings = ("--set", "monitor.baseline=80", *EXTRACTIVE)
    first = run("--home", own, *settings, "watch", "--once")
    assert first.code == 1
    assert "1 firing" in first.err
    assert "More answers abstain" in first.out
    assert run("--home", own, *settings, "watch", "--once", "--json").json["alerts"][0]["state"] == "firing"
    shown = run("--home", own, "incident", "last")
    assert "first fault  generate / wrong_abstention" in shown.out
    assert "60 of 60 requests" in shown.out
    assert run("--home", own, "incident", "last", "--note", "looked", "--tried", "lower bar").code == 0
    document = run("--home", own, "incident", "last", "--json").json
    assert [entry["kind"] for entry in document["timeline"]][-2:] == ["note", "fix"]
    file = tmp_path / "postmortem.md"
    run("--home", own, "incident", "last", "--markdown", file)
    assert "# More answers abstain" in file.read_text(encoding="utf-8")
    assert document["id"] in run("--home", own, "incident").out


def test_incidents_that_are_not_there_are_said(run: Run, own: Path) -> None:
    assert "no incident so far" in run("--home", own, "incident").out
    missing = run("--home", own, "incident", "nothing")
    assert (missing.code, "firstfault incident" in missing.err) == (2, True)
    last = run("--home", own, "incident", "last")
    assert (last.code, "No incident yet." in last.err) == (2, True)


def test_feedback_names_a_trace(run: Run, own: Path) -> None:
    trace_id = run("--home", own, *EXTRACTIVE, "ask", QUESTION, "--json").json["trace_id"]
    made = run("--home", own, "feedback", trace_id, "down", "--note", "wrong", "--json").json
    assert (made["trace_id"], made["verdict"], made["note"]) == (trace_id, "down", "wrong")
    assert run("--home", own, "feedback", trace_id, "maybe").code == 2
    assert run("--home", own, "feedback", "absent", "up").code == 2


def test_spot_checks_from_draw_to_export(run: Run, own: Path, tmp_path: Path) -> None:
    for _ in range(3):
        run("--home", own, *EXTRACTIVE, "ask", QUESTION)
    assert run("--home", own, "review", "draw", "--size", "3", "--json").json["drawn"]
    items = run("--home", own, "review", "list", "--json", "--reviewer", "ann").json["items"]
    for item in items:
        assert run("--home", own, "review", "label", item["id"], "supported", "--reviewer", "ann").code == 0
    assert "agreement" in run("--home", own, "review", "status").out
    assert run("--home", own, "review", "status", "--json").json["rate"]["value"] == 0.0
    labels = tmp_path / "labels.jsonl"
    run("--home", own, "review", "export", "calibration", "-o", labels)
    assert json.loads(labels.read_text(encoding="utf-8").splitlines()[0])["label"] == 1
    assert run("--home", own, "review", "export", "cases").out.startswith("{")
    assert run("--home", own, "review", "label", "none", "supported").code == 2


def test_reviewing_needs_a_keyboard(run: Run, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run("--home", own, "review")
    assert (refused.code, "keyboard" in refused.err) == (2, True)
    run("--home", own, *EXTRACTIVE, "ask", QUESTION)
    pressed = iter("xs" + "q" * 9)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.getchar", lambda: next(pressed))
    shown = run("--home", own, "review", "--reviewer", "ann")
    assert shown.code == 0
    assert "s supported, u unsupported" in shown.out
    assert run("--home", own, "review", "status", "--json").json["reviewed"] == 1
