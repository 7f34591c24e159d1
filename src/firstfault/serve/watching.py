"""Monitoring over HTTP: feedback in; health, alerts and incidents out, as JSON. The pages are elsewhere."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, Response

from firstfault.collection.database import connect
from firstfault.errors import InputError
from firstfault.monitor import AlertStore, IncidentStore, Readings, Slice, health, postmortem
from firstfault.serve import examples
from firstfault.serve.access import Asking, Reading
from firstfault.serve.keys import Key
from firstfault.serve.native import find_trace, reply
from firstfault.serve.problems import UnknownError
from firstfault.serve.schemas import FeedbackBody
from firstfault.serve.state import served

router = APIRouter(tags=["monitoring"])

Hours = Annotated[float, Query(gt=0, le=24 * 31)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.post("/feedback", status_code=201, responses=examples.FEEDBACK)
async def feedback(request: Request, body: FeedbackBody, key: Asking) -> Response:
    """Keep what a user thought of an answer."""
    server = served(request)
    trace = await find_trace(server, body.trace_id, key)

    def keep() -> dict[str, Any]:
        engine = connect(server.engine.config.home)
        try:
            return asdict(Readings(engine).give_feedback(trace.id, body.verdict, body.note))
        finally:
            engine.dispose()

    return reply(await server.engine.read(keep), status=201)


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

    def read() -> dict[str, Any]:
        engine = connect(server.engine.config.home)
        try:
            found = health(
                Readings(engine),
                server.engine.settings,
                slice_=Slice(collection=collection, model=model, adapter=adapter),
                window=timedelta(hours=hours),
                alerts=[alert.verdict() for alert in AlertStore(engine).current(collection)],
            )
            return asdict(found)
        finally:
            engine.dispose()

    return reply(await server.engine.read(read))


@router.get("/alerts", responses=examples.ALERTS)
async def alerts(request: Request, key: Reading, limit: Limit = 50) -> Response:
    """Alerts of any state, newest first."""
    server = served(request)

    def read() -> list[dict[str, Any]]:
        engine = connect(server.engine.config.home)
        try:
            return [
                asdict(one) for one in AlertStore(engine).newest(limit=limit) if key.opens(one.collection)
            ]
        finally:
            engine.dispose()

    return reply({"alerts": await server.engine.read(read)})


@router.get("/incidents", responses=examples.INCIDENTS)
async def incidents(request: Request, key: Reading, limit: Limit = 20) -> Response:
    """Incidents, newest first."""
    server = served(request)

    def read() -> list[dict[str, Any]]:
        engine = connect(server.engine.config.home)
        try:
            found = IncidentStore(engine).newest(limit=limit)
            return [asdict(one) for one in found if key.opens(one.collection)]
        finally:
            engine.dispose()

    return reply({"incidents": await server.engine.read(read)})


@router.get("/incidents/{incident_id}", responses=examples.INCIDENT)
async def incident(request: Request, incident_id: str, key: Reading) -> Response:
    """One incident with its alerts and timeline; `last` is the newest."""
    return reply((await _incident(request, incident_id, key))[0])


@router.get("/incidents/{incident_id}/postmortem", responses=examples.MARKDOWN)
async def markdown(request: Request, incident_id: str, key: Reading) -> Response:
    """One incident as a post-mortem in Markdown."""
    return PlainTextResponse((await _incident(request, incident_id, key))[1], media_type="text/markdown")


async def _incident(request: Request, incident_id: str, key: Key) -> tuple[dict[str, Any], str]:
    server = served(request)
    unknown = UnknownError(f"There is no incident '{incident_id[:80]}'.", hint="GET /incidents lists them.")

    def read() -> tuple[dict[str, Any], str]:
        engine = connect(server.engine.config.home)
        try:
            store = IncidentStore(engine)
            try:
                found = store.get(incident_id)
            except InputError:
                raise unknown from None
            if not key.opens(found.collection):
                raise unknown
            timeline, own = store.timeline(found.id), AlertStore(engine).of_incident(found.id)
            document = {
                **asdict(found),
                "alerts": [asdict(one) for one in own],
                "timeline": [asdict(one) for one in timeline],
            }
            return document, postmortem(found, timeline, own)
        finally:
            engine.dispose()

    return await server.engine.read(read)


def _require(key: Key, collection: str) -> None:
    if not key.opens(collection):
        raise UnknownError(f"There is no collection '{collection[:80]}'.", hint="GET /status names it.")
