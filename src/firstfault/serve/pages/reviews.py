"""*Spot checks*: one sentence at a time with its sources; a key on the keyboard is a verdict."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy import Engine
from starlette.responses import Response

from firstfault.errors import InputError
from firstfault.monitor import Item, Reviews, Summary
from firstfault.monitor.review import DEFAULT_SIZE
from firstfault.serve.access import open_to, visible
from firstfault.serve.pages.rendering import render, to
from firstfault.serve.pages.session import Reader, Viewer, acting
from firstfault.serve.pages.traces import collections_of
from firstfault.serve.problems import UnknownError
from firstfault.serve.state import over_database, served

router = APIRouter()

DRAWN_FROM = 5000
"""Newest traces that a draw looks at."""
KEYS = (("supported", "s"), ("unsupported", "u"), ("unsure", "n"))
Name = Annotated[str, Query(max_length=80)]


@router.get("/reviews")
async def reviews(request: Request, who: Reader, reviewer: Name = "", second: bool = False) -> Response:
    """Where the spot checks stand, and the next sentence."""
    server = served(request)
    name = _name(who, reviewer)

    def read(engine: Engine) -> tuple[Summary, list[Item]]:
        store = Reviews(engine)
        queue = [one for one in store.queue(name, second=second) if who.key.opens(one.collection)]
        return store.summary(collection=_only(who)), queue

    summary, queue = await over_database(server, read)
    return render(
        request,
        "reviews.html",
        who=who,
        summary=summary,
        item=queue[0] if queue else None,
        left=len(queue),
        reviewer=name,
        second=second,
        keys=KEYS,
        collections=[one for one in collections_of(server) if who.key.opens(one)],
        alone=False,
    )


@router.get("/reviews/{item_id}")
async def review(request: Request, item_id: str, who: Reader, reviewer: Name = "") -> Response:
    """One sentence and what was said of it."""
    server = served(request)
    item = await over_database(server, lambda engine: _item(engine, item_id, who))
    return render(
        request,
        "reviews.html",
        who=who,
        summary=None,
        item=item,
        left=0,
        reviewer=_name(who, reviewer),
        second=False,
        keys=KEYS,
        collections=[],
        alone=True,
    )


@router.post("/reviews/draw")
async def draw(request: Request) -> Response:
    """Draw sentences from the newest answers into the queue."""
    who, fields = await acting(request, "admin")
    server = served(request)
    collection = open_to(who.key, fields.get("collection") or "default")
    traces = server.engine.parts.traces()

    def write(engine: Engine) -> None:
        traces.flush()
        found = list(traces.newest(limit=DRAWN_FROM))
        Reviews(engine).draw(found, size=DEFAULT_SIZE, collection=collection)

    await over_database(server, write)
    return to(f"/ui/reviews?{urlencode({'reviewer': fields.get('reviewer', '')})}")


@router.post("/reviews/{item_id}")
async def label(request: Request, item_id: str) -> Response:
    """Keep a verdict, and go on to the next sentence. To read is enough: a verdict changes no answer."""
    who, fields = await acting(request, "traces")
    server = served(request)
    name = _name(who, fields.get("reviewer", ""))
    note = fields.get("note", "").strip()
    if len(note) > 2000:
        raise InputError("The note is too long.", hint="Write up to 2,000 characters.")

    def write(engine: Engine) -> None:
        item = _item(engine, item_id, who)
        Reviews(engine).label(item.id, name, fields.get("label", ""), note)

    await over_database(server, write)
    wanted = {"reviewer": name, "second": "true" if fields.get("second") == "true" else ""}
    return to(f"/ui/reviews?{urlencode({key: value for key, value in wanted.items() if value})}")


def _name(who: Viewer, given: str) -> str:
    """Who reviews: the owner of the key, or whoever they say they are where no key is needed."""
    return who.key.name if who.signed_in else given.strip()[:80] or "local"


def _only(who: Viewer) -> str | None:
    return who.key.collections[0] if len(who.key.collections) == 1 else None


def _item(engine: Engine, item_id: str, who: Viewer) -> Item:
    """A sentence that the key may see.

    Raises:
        UnknownError: there is none, or not in a collection that the key opens.
    """
    unknown = UnknownError(
        f"There is no spot check '{item_id[:80]}'.", hint="The queue is under Spot checks."
    )
    return visible(lambda: Reviews(engine).get(item_id), who.key, unknown)
