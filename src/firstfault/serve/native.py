"""The native API: ask, search, traces and replay, in the shapes of the command line's `--json`."""

import json
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from firstfault.answer.documents import answer_document, replay_document, search_document, trace_row
from firstfault.config import Settings
from firstfault.errors import FirstfaultError, InputError
from firstfault.serve import examples
from firstfault.serve.access import Asking, Reading, open_to
from firstfault.serve.calls import Call
from firstfault.serve.keys import Key
from firstfault.serve.live import Live
from firstfault.serve.problems import DeniedError, Problem, UnknownError, problem_of
from firstfault.serve.schemas import AskBody, ReplayBody, SearchBody
from firstfault.serve.state import Served, served
from firstfault.serve.streams import Emit, EventStream, event, while_connected
from firstfault.trace import as_dict
from firstfault.types import Trace

logger = logging.getLogger(__name__)
router = APIRouter()

HARMLESS = (
    "search",
    "pack",
    "answer",
    "index.hnsw_ef",
    "generator.max_tokens",
    "generator.temperature",
    "generator.seed",
)
"""Settings that a replay may change without the scope `admin`: they name no file and no address."""
NAMES_A_FILE = frozenset({"search.rerank_model"})


def reply(document: Any, call: Call | None = None, status: int = 200) -> Response:
    """A JSON response; with a call, its trace id and how it was degraded are in the headers."""
    body = json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    headers = headers_of(call) if call is not None else {}
    return Response(body, status, headers, media_type="application/json")


def headers_of(call: Call) -> dict[str, str]:
    """The trace id, and the steps by which the answer was made cheaper."""
    degraded = {"x-firstfault-degraded": ", ".join(call.degraded)} if call.degraded else {}
    return {"x-firstfault-trace-id": call.id, **degraded}


def begin(request: Request, timeout_s: float | None) -> Call:
    """A call with the request's deadline; its id is known to the access log from now on."""
    most = served(request).engine.settings.serve.deadline_s
    call = Call(min(timeout_s or most, most))
    state = request.scope.setdefault("state", {})
    call.key = state.get("key")
    state["call"] = call
    return call


def with_policy(settings: Settings, policy: str | None) -> Settings:
    """The settings with another policy."""
    if policy is None:
        return settings
    return settings.model_copy(update={"answer": settings.answer.model_copy(update={"policy": policy})})


def with_adapter(settings: Settings, adapter: str | None) -> Settings:
    """The settings with another adapter."""
    if adapter is None:
        return settings
    generator = settings.generator.model_copy(update={"adapter": adapter})
    return settings.model_copy(update={"generator": generator})


@router.post("/ask", responses=examples.ANSWER, tags=["answers"])
async def ask(request: Request, body: AskBody, key: Asking) -> Response:
    """Answer a question from the documents, every sentence verified.

    With `stream` the reply is `text/event-stream`. Events: `context` (the passages), `text` (a piece of the
    answer: all pieces together are the answer), `sentence` (one was verified: verdict and citations),
    `citation`, `replace` (what was sent so far gives way to this text), `answer` (the whole document, last),
    or `error` (a problem, last).
    """
    server = served(request)
    collection = open_to(key, body.collection)
    settings = with_adapter(with_policy(server.engine.settings, body.policy), body.adapter)
    call = begin(request, body.timeout_s)
    if body.stream:
        return streamed(server, body, collection, settings, call)
    work = server.engine.ask(
        body.question,
        call=call,
        collection=collection,
        where=body.where,
        settings=settings,
        schema=body.shape,
    )
    trace = await while_connected(request, work)
    return reply(answer_document(trace), call)


def streamed(server: Served, body: AskBody, collection: str, settings: Settings, call: Call) -> Response:
    """The answer to a question as server-sent events; see `ask`."""

    async def produce(emit: Emit) -> None:
        structured = body.shape is not None
        live = Live(settings.answer.policy, lambda name, data: emit(event(name, data)), structured=structured)
        trace = await server.engine.ask(
            body.question,
            call=call,
            collection=collection,
            where=body.where,
            settings=settings,
            live=live,
            schema=body.shape,
        )
        assert trace.answer is not None
        live.finish(trace.answer)
        emit(event("answer", answer_document(trace)))

    def failed(error: Exception) -> tuple[Response, bytes]:
        problem = problem_for(error, call)
        return problem.response("/ask"), event("error", problem.document())

    return EventStream(produce, failed=failed, headers=lambda: headers_of(call))


def problem_for(error: Exception, call: Call) -> Problem:
    """What a client is told about a failure in the middle of a stream."""
    if isinstance(error, FirstfaultError):
        return problem_of(error, call.id)
    logger.exception("A stream failed", exc_info=error, extra={"trace_id": call.id})
    return Problem(
        status=500, detail="The server failed.", hint="Its log names the trace id.", trace_id=call.id
    )


@router.post("/search", responses=examples.HITS, tags=["answers"])
async def search(request: Request, body: SearchBody, key: Asking) -> Response:
    """The candidates for a question, with rank and score from every arm. No trace is kept."""
    from firstfault.answer.request import Request as Asked
    from firstfault.answer.request import validate_question
    from firstfault.answer.retrieve import retrieve

    server = served(request)
    collection = open_to(key, body.collection)
    call = begin(request, body.timeout_s)
    question = validate_question(body.question)

    async def work(app: Any) -> bytes:
        asked = Asked(
            question=question,
            where=body.where,
            settings=server.engine.degraded(server.engine.settings, call),
            recording=call,
            version=app.collection.version,
        )
        hits = retrieve(app, asked, exact=body.exact).hits
        document = search_document(body.question, hits[: body.limit])
        server.metrics.searched(call)
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")

    found = await while_connected(request, server.engine.run(work, call=call, collection=collection))
    return Response(found, 200, headers_of(call), media_type="application/json")


@router.get("/traces", responses=examples.TRACES, tags=["traces"])
async def traces(
    request: Request,
    key: Reading,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    since: Annotated[str | None, Query(max_length=40, description="ISO 8601 in UTC.")] = None,
) -> Response:
    """The newest requests."""
    server = served(request)
    store = server.engine.parts.traces()

    def read() -> list[dict[str, Any]]:
        store.settle()
        return [trace_row(one) for one in store.newest(limit=limit, since=since) if key.opens(one.collection)]

    return reply({"traces": await server.engine.read(read)})


@router.get("/traces/{trace_id}", responses=examples.TRACE, tags=["traces"])
async def trace(request: Request, trace_id: str, key: Reading) -> Response:
    """One request: every stage, candidate, passage, citation and verdict."""
    return reply(as_dict(await find_trace(served(request), trace_id, key)))


async def find_trace(server: Served, trace_id: str, key: Key) -> Trace:
    """A trace that the key may read; one that was just recorded is waited for.

    Raises:
        UnknownError: there is none, or not in a collection that the key opens.
    """
    store = server.engine.parts.traces()
    unknown = UnknownError(f"There is no trace '{trace_id[:80]}'.", hint="GET /traces lists them.")

    def read() -> Trace:
        try:
            return store.get(trace_id)
        except InputError:
            store.flush()
            try:
                return store.get(trace_id)
            except InputError:
                raise unknown from None

    found = await server.engine.read(read)
    if not key.opens(found.collection):
        raise unknown
    return found


@router.post("/replay", responses=examples.REPLAY, tags=["traces"])
async def replay(request: Request, body: ReplayBody, key: Asking) -> Response:
    """Run a recorded request again from the first stage that a change touches; a new trace is kept.

    Without the scope `admin`, changes are limited to settings that name neither a file nor an address.
    """
    from firstfault.answer.replay import replay as run

    server = served(request)
    forbidden = [name for name in body.changes if not _harmless(name)]
    if forbidden and not key.allows("admin"):
        raise DeniedError(
            f"Changing {forbidden[0]} in a replay needs the scope 'admin'.",
            hint=f"Without it: {', '.join(HARMLESS)}.",
            status=403,
        )
    before = await find_trace(server, body.trace_id, key)
    call = begin(request, body.timeout_s)

    async def work(app: Any) -> Trace:
        after = await run(app, before, body.changes, where=body.where, recording=call)
        server.engine.observe(after)
        return after

    after = await while_connected(request, server.engine.run(work, call=call, collection=before.collection))
    return reply(replay_document(before, after), call)


def _harmless(name: str) -> bool:
    return name not in NAMES_A_FILE and (name in HARMLESS or name.partition(".")[0] in HARMLESS)
