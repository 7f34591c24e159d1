"""`prove`: a fix for an incident, proven on earlier questions, by the server and in the terminal."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import Running
from tests.serve.pages.conftest import BROKEN, Town
from typer.testing import CliRunner

from firstfault.cli.root import app
from firstfault.collection.database import connect
from firstfault.monitor import IncidentStore

CHANGES = [part for name, value in BROKEN.items() for part in ("--set", f"{name}={value}")]


def notes(home: Path, incident: str) -> list[str]:
    engine = connect(home)
    try:
        return [one.text for one in IncidentStore(engine).timeline(incident) if one.kind == "fix"]
    finally:
        engine.dispose()


def test_the_server_proves_it(desk: Running, town: Town) -> None:
    job = desk.post(f"/incidents/{town.incident}/prove?wait=60", {}).json()
    assert job["state"] == "done", job
    (trial,) = job["result"]["trials"]
    assert trial["verified"]
    assert (trial["stage"], trial["cause"]) == ("pack", "context_truncated")
    assert trial["after"] > trial["before"]
    assert notes(desk.config.home, town.incident)[-1].startswith(
        "Proven on earlier questions: context_recall"
    )
    assert desk.post("/incidents/none/prove", {}).status_code == 404


def test_the_terminal_proves_it(town: Town, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(town.home, home)
    ran = CliRunner().invoke(app, ["--home", str(home), *CHANGES, "prove", town.incident, "--json"])
    assert ran.exit_code == 0, ran.output
    document = json.loads(ran.stdout)
    assert document["patch"] == {"pack.budget_tokens": 900}
    assert len(notes(home, town.incident)) == 1


def test_the_terminal_goes_through_the_server(desk: Running, town: Town, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "none")
    ran = CliRunner().invoke(app, ["--home", elsewhere, "--url", desk.url, "prove", town.incident])
    assert ran.exit_code == 0, ran.output
    assert "pack / context_truncated" in ran.output
    assert "pack.budget_tokens = 900" in ran.output


def test_the_terminal_reads_what_the_server_watches(desk: Running, town: Town) -> None:
    def both(*arguments: str) -> list[Any]:
        places = ("--home", str(desk.config.home)), ("--url", desk.url)
        return [json.loads(CliRunner().invoke(app, [*one, *arguments, "--json"]).stdout) for one in places]

    for arguments in (("incident",), ("incident", town.incident)):
        here, there = both(*arguments)
        assert here == there
    here, there = both("monitor", "--since", "2h")
    assert [row["stage"] for row in there["rows"]] == [row["stage"] for row in here["rows"]]
    assert there["requests"] == here["requests"] > 0


def test_too_little_was_answered_well(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstfault.monitor.proof.LEAST_CASES", 1000)
    home = tmp_path / "home"
    shutil.copytree(town.home, home)
    ran = CliRunner().invoke(app, ["--home", str(home), *CHANGES, "prove", town.incident])
    assert ran.exception is not None
    assert "were answered well before the incident began" in str(ran.exception)
