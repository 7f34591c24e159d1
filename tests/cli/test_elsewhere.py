"""`--url` names the server of another machine: a command goes there, or says that it cannot."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from firstfault.cli.root import app
from firstfault.errors import FirstfaultError, InputError, RemoteError

ROOT: Any = typer.main.get_command(app)
NOWHERE = "http://127.0.0.1:1"

THERE = """\
ask Q | search Q | ingest FILE | status | documents | gc | trace T | traces | replay T | eval FILE | runs
compare-runs A B | monitor | incident | incident last | feedback T up
diagnose | fix | prove | finetune gate | finetune release R N | finetune diagnose
finetune runs | finetune show | finetune releases | finetune rollback N"""
HERE = """\
advise | bakeoff FILE | config | doctor | serve | watch | demo | drill
drill tuning FILE | finetune check FILE | finetune clean FILE --out OUT | finetune train FILE
finetune resume | finetune bench | finetune export R OUT | finetune data from-traces --out OUT
cases from-traces | cases generate | format drift | collection move --to edge | home move --to sqlite
keys create N | keys list | keys revoke N | playbook | playbook show noise | review | review draw
review status | review list | review label I supported | review export cases | verify check C
verify calibrate FILE"""
NO_HOME = (
    "plan",
    "drill proxy",
    "finetune split",
    "cases import",
    "format check",
    "models pull",
    "models list",
)
ASKS_LATER = ("mcp",)


def lines(table: str) -> list[str]:
    return [line.strip() for line in table.replace("\n", "|").split("|")]


def commands(group: Any, before: str = "") -> Iterator[str]:
    within = getattr(group, "commands", {})
    if before and (not within or group.invoke_without_command):
        yield before.strip()
    for name, one in within.items():
        yield from commands(one, f"{before} {name}")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("elsewhere") / "cases.jsonl"
    made.write_text('{"id": "a", "question": "What?", "prompt": "What?", "completion": "This."}\n')
    return made


def refused(line: str, file: Path) -> FirstfaultError:
    words = [{"FILE": str(file), "OUT": str(file.parent / "out")}.get(word, word) for word in line.split()]
    home = str(file.parent / "home")
    with pytest.raises(FirstfaultError) as raised:
        ROOT.main(["--home", home, "--url", NOWHERE, *words], standalone_mode=False)
    return raised.value


def test_every_command_is_on_one_side() -> None:
    known = {*NO_HOME, *ASKS_LATER}
    every = set(commands(ROOT))
    for line in lines(THERE) + lines(HERE):
        known.add(max((one for one in every if f"{line} ".startswith(f"{one} ")), key=len))
    assert known == every


@pytest.mark.parametrize("line", lines(THERE))
def test_what_a_server_answers_goes_there(line: str, file: Path) -> None:
    error = refused(line, file)
    assert isinstance(error, RemoteError), error
    assert f"The server at {NOWHERE} does not answer" in str(error)


@pytest.mark.parametrize("line", lines(HERE))
def test_what_no_server_answers_says_so(line: str, file: Path) -> None:
    error = refused(line, file)
    assert isinstance(error, InputError), error
    assert f"works on the home of this machine, and --url names {NOWHERE}" in str(error)
    assert not (file.parent / "home").exists()
