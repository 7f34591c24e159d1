"""*Traces* and *Trace*: what was asked, and one request from top to bottom."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from firstfault.errors import FirstfaultError
from firstfault.serve.native import find_trace
from firstfault.serve.pages import story
from firstfault.serve.pages.rendering import render
from firstfault.serve.pages.session import Reader
from firstfault.serve.state import Served, served
from firstfault.trace.listing import STATUSES, Position, TracePage, Wanted
from firstfault.types import Chunk, Trace

router = APIRouter()

PAGE = 25
Text = Annotated[str, Query(max_length=200)]


@router.get("/traces")
async def traces(  # noqa: PLR0917 - its parameters are the query
    request: Request,
    who: Reader,
    status: Annotated[str, Query(max_length=20)] = "",
    q: Text = "",
    collection: Annotated[str, Query(max_length=63)] = "",
    since: Annotated[str, Query(max_length=40)] = "",
    until: Annotated[str, Query(max_length=40)] = "",
    before: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """The newest requests, filtered."""
    server = served(request)
    asked = (collection,) if collection else who.key.collections
    allowed = tuple(name for name in asked if who.key.opens(name))
    wanted = Wanted(
        status=status if status in STATUSES else None,
        collections=allowed,
        words=q.strip(),
        since=since or None,
        until=until or None,
    )
    place = Position.parse(before) if before else None
    store = server.engine.parts.traces()
    barred = bool(asked) and not allowed
    found = (
        TracePage(traces=(), after=None)
        if barred
        else await server.engine.read(lambda: store.page(wanted, before=place, limit=PAGE))
    )
    return render(
        request,
        "traces.html",
        who=who,
        rows=[(trace, story.headline(trace)) for trace in found.traces],
        found=found,
        longest=max((trace.total_ms for trace in found.traces), default=0.0),
        statuses=STATUSES,
        filters={"status": status, "q": q, "collection": collection, "since": since, "until": until},
        paged=bool(before),
        collections=collections_of(server),
    )


@router.get("/traces/{trace_id}")
async def trace(request: Request, trace_id: str, who: Reader) -> Response:
    """One request: waterfall, answer with its sources, and every candidate."""
    server = served(request)
    found = await find_trace(server, trace_id, who.key)
    chunks = await server.engine.read(lambda: _chunks(server, found))
    return render(
        request,
        "trace.html",
        who=who,
        trace=found,
        headline=story.headline(found),
        noted=story.noted(found),
        bars=story.waterfall(found),
        sentences=story.sentences(found),
        candidates=story.fates(found, chunks),
        arms=story.ARMS,
    )


def collections_of(server: Served) -> list[str]:
    """Those that are open."""
    return sorted(server.engine.parts.open_collections())


def _chunks(server: Served, trace: Trace) -> Mapping[int, Chunk]:
    """The texts of the candidates as they were at the time, as far as they are still kept."""
    open_ones = server.engine.parts.open_collections()
    if trace.collection not in open_ones:
        return {}
    keys = [hit.key for hit in trace.hits[: story.MOST_CANDIDATES]]
    try:
        return open_ones[trace.collection].fetch(keys, version=trace.corpus_version)
    except FirstfaultError:
        return {}
