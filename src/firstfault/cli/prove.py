"""`prove`: the proof of a fix for an incident, from what was answered well before it began."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from firstfault.cli.progress import case_progress
from firstfault.cli.state import Json, State, print_json, state

if TYPE_CHECKING:
    from firstfault.monitor import Incident


def prove(
    context: typer.Context,
    incident_id: Annotated[
        str, typer.Argument(metavar="[INCIDENT]", help='Id of the incident; "last" is the newest.')
    ] = "last",
    as_json: Json = False,
) -> None:
    """Try fixes for an incident and prove them on questions that were answered well before it began."""
    given = state(context)
    incident = _incident(given, incident_id)
    client = given.server()
    if client is not None:
        job = client.post(f"/incidents/{incident.id}/prove", {})
        document = client.finished(job)
    else:
        from dataclasses import replace

        from firstfault.monitor.proof import prove as run

        with (
            replace(given, collection=incident.collection).application() as app,
            case_progress("proving") as progress,
        ):
            document = run(app, incident.id, progress=progress)
    if as_json:
        print_json(document)
    else:
        _show(document, incident)


def _incident(given: State, incident_id: str) -> "Incident":
    from firstfault.collection.database import connect
    from firstfault.monitor import IncidentStore

    engine = connect(given.config.home, create=False)
    try:
        return IncidentStore(engine).get(incident_id)
    finally:
        engine.dispose()


def _show(document: dict[str, Any], incident: "Incident") -> None:
    from rich.markup import escape

    from firstfault.cli.render import console

    out = console()
    out.print(f"[bold]{escape(incident.title)}[/] [dim]{incident.id}[/]", soft_wrap=True)
    for trial in document["trials"]:
        word = "[bold green]proven[/]" if trial["verified"] else "[yellow]not proven[/]"
        interval = (
            "" if trial["ci_low"] is None else f" (95 %: {trial['ci_low']:+.3f} to {trial['ci_high']:+.3f})"
        )
        out.print(
            f"{word}  {trial['stage']} / {trial['cause']}: {trial['metric']} {trial['before']:.3f} → "
            f"{trial['after']:.3f}, {trial['delta']:+.3f}{interval} on {trial['n']} questions",
            soft_wrap=True,
        )
        out.print(f"        [dim]{escape(trial['reason'])}[/]", soft_wrap=True)
    if not document["trials"]:
        out.print(
            "nothing to repair: earlier answers hold" if document["healthy"] else "no fix could be tried"
        )
        for finding in document["findings"]:
            out.print(
                f"  {finding['stage']} / {finding['cause']}: {escape(finding['reason'])}", soft_wrap=True
            )
    if document["patch"]:
        out.print("\n[bold]next[/]  put this into the configuration, then reload the server (SIGHUP):")
        sections: dict[str, list[str]] = {}
        for name, value in document["patch"].items():
            section, _, key = name.partition(".")
            shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
            sections.setdefault(section, []).append(f"{key} = {shown}")
        for section, lines in sections.items():
            out.print("\n".join([f"  [{section}]", *(f"  {line}" for line in lines)]), markup=False)


def register(app: typer.Typer) -> None:
    """Hang the command on the root."""
    app.command()(prove)
