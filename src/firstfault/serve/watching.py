"""Monitoring over HTTP: feedback in; health, alerts and incidents out, as JSON. The pages are elsewhere."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import Engine
from starlette.responses import PlainTextResponse, Response

from firstfault.monitor import AlertStore, IncidentStore, Readings, Slice, health, postmortem
from firstfault.serve import examples
from firstfault.serve.access import Administering, Asking, Reading, visible
from firstfault.serve.corpus import Wait, submit
from firstfault.serve.keys import Key
from firstfault.serve.native import find_trace, reply
from firstfault.serve.problems import UnknownError
from firstfault.serve.schemas import FeedbackBody
from firstfault.serve.state import over_database, served

router = APIRouter(tags=["monitoring"])

Hours = Annotated[float, Query(gt=0, le=24 * 31)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.post("/feedback", status_code=201, responses=examples.FEEDBACK)
async def feedback(request: Request, body: FeedbackBody, key: Asking) -> Response:
    """Keep what a user thought of an answer."""
    server = served(request)
    trace = await find_trace(server, body.trace_id, key)

    def keep(engine: Engine) -> dict[str, Any]:
        return asdict(Readings(engine).give_feedback(trace.id, body.verdict, body.note))

    return reply(await over_database(server, keep), status=201)


@router.get("/monitor", responses=examples.STAGES)
async def stages(
    request: Request,
    key: Reading,
    *,
    collection: str = "default",
    model: str | None = None,
    adapter: str | None = None,
    hours: Hours = 1,
) -> Response:
    """One row a stage over the newest hours, held against the day before."""
    server = served(request)
    _require(key, collection)

    def read(engine: Engine) -> dict[str, Any]:
        found = health(
            Readings(engine),
            server.engine.settings,
            slice_=Slice(collection=collection, model=model, adapter=adapter),
            window=timedelta(hours=hours),
            alerts=[alert.verdict() for alert in AlertStore(engine).current(collection)],
        )
        return asdict(found)

    return reply(await over_database(server, read))


@router.get("/alerts", responses=examples.ALERTS)
async def alerts(request: Request, key: Reading, limit: Limit = 50) -> Response:
    """Alerts of any state, newest first."""

    def read(engine: Engine) -> list[dict[str, Any]]:
        return [asdict(one) for one in AlertStore(engine).newest(limit=limit) if key.opens(one.collection)]

    return reply({"alerts": await over_database(served(request), read)})


@router.get("/incidents", responses=examples.INCIDENTS)
async def incidents(request: Request, key: Reading, limit: Limit = 20) -> Response:
    """Incidents, newest first."""

    def read(engine: Engine) -> list[dict[str, Any]]:
        return [asdict(one) for one in IncidentStore(engine).newest(limit=limit) if key.opens(one.collection)]

    return reply({"incidents": await over_database(served(request), read)})


@router.get("/incidents/{incident_id}", responses=examples.INCIDENT)
async def incident(request: Request, incident_id: str, key: Reading) -> Response:
    """One incident with its alerts and timeline; `last` is the newest."""
    return reply((await _incident(request, incident_id, key))[0])


@router.get("/incidents/{incident_id}/postmortem", responses=examples.MARKDOWN)
async def markdown(request: Request, incident_id: str, key: Reading) -> Response:
    """One incident as a post-mortem in Markdown."""
    return PlainTextResponse((await _incident(request, incident_id, key))[1], media_type="text/markdown")


@router.post("/incidents/{incident_id}/prove", status_code=202, responses=examples.ACCEPTED)
async def prove(request: Request, incident_id: str, key: Administering, wait: Wait = 0) -> Response:
    """Try fixes for an incident and prove them on what was answered well before it began, as a job.

    The result is that of `POST /fix`. Nothing is applied.
    """
    found, _ = await _incident(request, incident_id, key)
    return await submit(served(request), "prove", {"incident": found["id"]}, found["collection"], wait)


async def _incident(request: Request, incident_id: str, key: Key) -> tuple[dict[str, Any], str]:
    missing = "No incident yet." if incident_id == "last" else f"There is no incident '{incident_id[:80]}'."
    unknown = UnknownError(missing, hint="GET /incidents (`firstfault incident`) lists them.")

    def read(engine: Engine) -> tuple[dict[str, Any], str]:
        store = IncidentStore(engine)
        found = visible(lambda: store.get(incident_id), key, unknown)
        timeline, own = store.timeline(found.id), AlertStore(engine).of_incident(found.id)
        document = {
            **asdict(found),
            "alerts": [asdict(one) for one in own],
            "timeline": [asdict(one) for one in timeline],
        }
        return document, postmortem(found, timeline, own)

    return await over_database(served(request), read)


def _require(key: Key, collection: str) -> None:
    if not key.opens(collection):
        raise UnknownError(f"There is no collection '{collection[:80]}'.", hint="GET /status names it.")
