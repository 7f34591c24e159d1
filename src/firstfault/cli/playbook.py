"""`playbook`: every cause with what one sees, how it is checked and what repairs it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from firstfault.cli.state import Json, State, print_json, state

if TYPE_CHECKING:
    from firstfault.diagnose.playbook import Entry, Playbook

app = typer.Typer(help="What is known about every cause: symptom, check, threshold, remedy.")


@app.callback(invoke_without_command=True)
def listing(context: typer.Context, as_json: Json = False) -> None:
    """List the causes; `playbook show CAUSE` tells all about one."""
    if context.invoked_subcommand is not None:
        return
    entries = list(_open(state(context)))
    if as_json:
        print_json({"causes": [document(entry) for entry in entries]})
        return
    from firstfault.cli import render_fix

    render_fix.playbook(entries)


@app.command()
def show(
    context: typer.Context,
    cause: Annotated[str, typer.Argument(help="A cause, e.g. split_evidence.")],
    as_json: Json = False,
) -> None:
    """Tell all about a cause, with the patches as they would be tried on the settings in force."""
    given = state(context)
    playbook = _open(given)
    entry = playbook.entry(cause)
    settings = given.config.settings
    stages = entry.remedy.by_stage or {entry.stage: ()}
    found = {stage: playbook.candidates(cause, settings, stage=stage) for stage in stages}
    if as_json:
        print_json({**document(entry), "candidates": found})
        return
    from firstfault.cli import render_fix

    render_fix.entry(entry, found)


def document(entry: "Entry") -> dict[str, Any]:
    """An entry as JSON values."""
    threshold = None if entry.threshold is None else str(entry.threshold)
    return {**entry.model_dump(mode="json"), "threshold": threshold}


def _open(given: State) -> "Playbook":
    from firstfault.diagnose.diagnosis import open_playbook

    return open_playbook(given.config.settings)
