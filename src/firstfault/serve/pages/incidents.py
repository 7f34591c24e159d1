"""*Incidents*: what fired, what broke first, how that is known, and the proof of a fix."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Engine
from starlette.responses import Response

from firstfault.errors import InputError
from firstfault.monitor import Alert, AlertStore, Entry, Incident, IncidentStore, postmortem
from firstfault.serve.access import open_to, visible
from firstfault.serve.pages.diagnoses import steps
from firstfault.serve.pages.rendering import render, to
from firstfault.serve.pages.session import Reader, Viewer, acting
from firstfault.serve.problems import UnknownError
from firstfault.serve.state import over_database, served

router = APIRouter()

LONGEST_NOTE = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An incident with what hangs on it."""

    incident: Incident
    timeline: list[Entry]
    alerts: list[Alert]


@router.get("/incidents")
async def incidents(request: Request, who: Reader) -> Response:
    """Incidents, newest first."""
    server = served(request)
    found = await over_database(server, lambda engine: IncidentStore(engine).newest(limit=50))
    return render(
        request, "incidents.html", who=who, incidents=[one for one in found if who.key.opens(one.collection)]
    )


@router.get("/incidents/{incident_id}")
async def incident(request: Request, incident_id: str, who: Reader) -> Response:
    """One incident."""
    server = served(request)
    found = await over_database(server, lambda engine: _story(engine, incident_id, who))
    diagnosis: Any = found.incident.diagnosis
    return render(
        request,
        "incident.html",
        who=who,
        incident=found.incident,
        timeline=found.timeline,
        alerts=found.alerts,
        diagnosis=diagnosis,
        steps=steps(diagnosis) if diagnosis else [],
    )


@router.get("/incidents/{incident_id}/post-mortem")
async def export(request: Request, incident_id: str, who: Reader) -> Response:
    """The incident as Markdown, to download."""
    server = served(request)
    found = await over_database(server, lambda engine: _story(engine, incident_id, who))
    text = postmortem(found.incident, found.timeline, found.alerts)
    headers = {
        "content-disposition": f'attachment; filename="{found.incident.id}.md"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return Response(text.encode("utf-8", "replace"), 200, headers, media_type="text/markdown; charset=utf-8")


@router.post("/incidents/{incident_id}/note")
async def note(request: Request, incident_id: str) -> Response:
    """Put a note on the timeline."""
    who, fields = await acting(request, "admin")
    text = fields.get("text", "").strip()
    if not text or len(text) > LONGEST_NOTE:
        raise InputError("The note is empty or too long.", hint=f"Write up to {LONGEST_NOTE} characters.")
    server = served(request)

    def write(engine: Engine) -> str:
        found = _story(engine, incident_id, who).incident
        IncidentStore(engine).note(found.id, "note", f"{who.key.name}: {text}" if who.signed_in else text)
        return found.id

    identity = await over_database(server, write)
    return to(f"/ui/incidents/{identity}")


@router.post("/incidents/{incident_id}/prove")
async def prove(request: Request, incident_id: str) -> Response:
    """Ask again what was answered well before it began, try fixes on part of that, prove them on the rest."""
    who, _ = await acting(request, "admin")
    server = served(request)
    found = await over_database(server, lambda engine: _story(engine, incident_id, who).incident)
    collection = open_to(who.key, found.collection)
    payload = {"incident": found.id}
    job = await server.engine.read(lambda: server.jobs.submit("prove", payload, collection=collection))
    return to(f"/ui/diagnosis/{job.id}")


def _story(engine: Engine, incident_id: str, who: Viewer) -> Story:
    """An incident that the key may see.

    Raises:
        UnknownError: there is none, or not in a collection that the key opens.
    """
    store = IncidentStore(engine)
    unknown = UnknownError(
        f"There is no incident '{incident_id[:80]}'.", hint="The list of incidents has them all."
    )
    found = visible(lambda: store.get(incident_id), who.key, unknown)
    return Story(
        incident=found, timeline=store.timeline(found.id), alerts=AlertStore(engine).of_incident(found.id)
    )
