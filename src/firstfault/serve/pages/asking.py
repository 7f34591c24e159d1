"""*Ask*: a question in; the answer as it is written, each sentence verified as it ends."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from firstfault.serve import native
from firstfault.serve.access import open_to
from firstfault.serve.pages.rendering import render
from firstfault.serve.pages.session import Asker, acting
from firstfault.serve.pages.traces import collections_of
from firstfault.serve.schemas import AskBody
from firstfault.serve.state import served

router = APIRouter()


@router.get("/ask")
async def ask(request: Request, who: Asker, q: Annotated[str, Query(max_length=4000)] = "") -> Response:
    """The form; with `q` the question stands in it."""
    names = [name for name in collections_of(served(request)) if who.key.opens(name)]
    return render(request, "ask.html", who=who, question=q, collections=names)


@router.post("/ask")
async def answer(request: Request, body: AskBody) -> Response:
    """The events of a streamed answer: those of `POST /ask`, for a browser that is signed in."""
    who, _ = await acting(request, "ask")
    server = served(request)
    collection = open_to(who.key, body.collection)
    settings = native.with_policy(server.engine.settings, body.policy)
    return native.streamed(server, body, collection, settings, native.begin(request, body.timeout_s))
