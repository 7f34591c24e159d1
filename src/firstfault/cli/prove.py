"""`prove`: the proof of a fix for an incident, from what was answered well before it began."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.cli.progress import case_progress
from firstfault.cli.state import Json, State, anywhere, print_json

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
    given = anywhere(context)
    client = given.server()
    if client is not None:
        from firstfault.cli import remote

        incident, _, _ = remote.incident(client, incident_id)
        document = client.finished(client.post(f"/incidents/{incident.id}/prove", {}))
    else:
        from dataclasses import replace

        incident = _incident(given, incident_id)
        from firstfault.monitor.proof import prove as run

        with (
            replace(given, collection=incident.collection).application() as app,
            case_progress("proving") as progress,
        ):
            document = run(app, incident.id, progress=progress)
    if as_json:
        print_json(document)
    else:
        from firstfault.cli import render_fix

        typer.echo(f"{incident.id}: {incident.title}", err=True)
        render_fix.document(document, given.config.settings)


def _incident(given: State, incident_id: str) -> "Incident":
    from firstfault.collection.database import connect
    from firstfault.monitor import IncidentStore

    engine = connect(given.config.home, create=False)
    try:
        return IncidentStore(engine).get(incident_id)
    finally:
        engine.dispose()


def register(app: typer.Typer) -> None:
    """Hang the command on the root."""
    app.command()(prove)
