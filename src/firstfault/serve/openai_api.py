"""The OpenAI-compatible API: chat completions, models and embeddings.

Completions come from the answer path (`rag`: the base model, `hybrid`: with an adapter) or from the generator
alone (`base`, or the name of an adapter).
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from firstfault.config import Settings
from firstfault.errors import InputError
from firstfault.finetune import list_releases
from firstfault.models.generator import Delta
from firstfault.serve import examples
from firstfault.serve import openai_shapes as shapes
from firstfault.serve.access import Asking, open_to
from firstfault.serve.calls import Call
from firstfault.serve.live import Live
from firstfault.serve.native import begin, headers_of, problem_for, reply, with_policy
from firstfault.serve.openai_schemas import ChatBody, EmbeddingsBody
from firstfault.serve.problems import UnknownError
from firstfault.serve.runtime import ServedApplication
from firstfault.serve.state import Served, served
from firstfault.serve.streams import Emit, EventStream, while_connected
from firstfault.types import Message

router = APIRouter(prefix="/v1", tags=["openai"])

RAG = "rag"
HYBRID = "hybrid"
BASE = "base"
RETRIEVING = (RAG, HYBRID)
EMBEDDED_AT_A_TIME = 16
"""Texts that are embedded before another request may run."""

_COMPLETION = examples.success(
    "The completion, or its chunks.",
    {
        "id": "chatcmpl-20261122T150000000-0123456789",
        "object": "chat.completion",
        "created": 1795359600,
        "model": RAG,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "The red pump costs 40 euros [1].",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "start_index": 28,
                                "end_index": 31,
                                "title": "Pumps",
                                "url": "http://127.0.0.1:8765/documents/pumps.md",
                            },
                        }
                    ],
                    "citations": [examples.CITATION],
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 210, "completion_tokens": 14, "total_tokens": 224},
    },
    stream=True,
)
_MODELS = examples.success(
    "The models.",
    {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": "firstfault"}
            for name in (RAG, BASE, "tickets", HYBRID, "all-MiniLM-L6-v2")
        ],
    },
)
_MODEL = examples.success(
    "The model.", {"id": "tickets", "object": "model", "created": 0, "owned_by": "firstfault"}
)
_EMBEDDINGS = examples.success(
    "The vectors, in the order of the texts.",
    {
        "object": "list",
        "model": "all-MiniLM-L6-v2",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.01, -0.02]}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    },
)


@router.post("/chat/completions", responses=_COMPLETION)
async def chat(request: Request, body: ChatBody, key: Asking) -> Response:
    """Answer like OpenAI's chat completions.

    The models `rag` and `hybrid` answer the last user message from the documents: `rag` with the base model,
    `hybrid` with an adapter. Marks are `annotations` of type `url_citation`, citations stand in `citations`.
    Earlier turns and system messages do not reach them, which is an event on the trace. `base` is the base
    model alone, the name of a released adapter the same with that adapter; both hear every turn. A name that
    `GET /v1/models` does not list is a 404. Streams send annotations and citations as soon as a sentence is
    verified.
    """
    server = served(request)
    collection = open_to(key, body.firstfault.collection)
    settings = _settings(server.engine.settings, body)
    adapter = await _adapter(server, body)
    settings = settings.model_copy(
        update={"generator": settings.generator.model_copy(update={"adapter": adapter})}
    )
    call = begin(request, body.firstfault.timeout_s)
    if body.model in RETRIEVING:
        return await _rag(request, body, settings, collection, call)
    return await _alone(request, body, settings, collection, call)


async def _adapter(server: Served, body: ChatBody) -> str | None:
    """The adapter that the model of a request stands for; None for the base model.

    Raises:
        UnknownError: there is no such model.
        InputError: an adapter was named beside a model that takes none.
    """
    wanted = body.firstfault.adapter
    if wanted is not None and body.model != HYBRID:
        raise InputError(
            f"firstfault.adapter goes with the model '{HYBRID}'.", hint=f"Set model to '{HYBRID}'."
        )
    settings = server.engine.settings
    if body.model == RAG or (body.model == BASE and settings.generator.kind != "extractive"):
        return None
    adapters = await adapter_names(server)
    named = wanted or (None if body.model == HYBRID else body.model)
    if named is None and body.model in chat_models(settings, adapters):
        return _of_hybrid(settings, adapters)
    if named in adapters:
        return named
    if named is None and len(adapters) > 1:
        raise UnknownError(
            f"There are several adapters for '{HYBRID}': {', '.join(adapters)}.",
            hint='Name one: "firstfault": {"adapter": "NAME"}; or set generator.adapter.',
        )
    raise UnknownError(
        f"There is no model '{(named or body.model)[:100]}'.",
        hint=f"There are: {', '.join(chat_models(settings, adapters))}.",
    )


async def _rag(request: Request, body: ChatBody, settings: Settings, collection: str, call: Call) -> Response:
    server = served(request)
    question = _question(body, call)
    base_url = str(request.base_url)
    schema = _schema(body)
    options: dict[str, Any] = {"where": body.firstfault.where, "settings": settings}
    if schema is not None:
        options["schema"] = schema
    if not body.stream:
        work = server.engine.ask(question, call=call, collection=collection, **options)
        trace = await while_connected(request, work)
        return reply(shapes.completion(trace, body.model, base_url), call)

    async def produce(emit: Emit) -> None:
        chunks = shapes.Chunks(call.id, body.model)
        told = _Told(chunks, emit, base_url)
        live = Live(settings.answer.policy, told.take, structured=schema is not None)
        trace = await server.engine.ask(question, call=call, collection=collection, live=live, **options)
        assert trace.answer is not None
        if schema is None:
            live.finish(trace.answer)
        else:
            emit(chunks.delta({"content": shapes.content(trace)}))
        emit(chunks.delta({}, shapes.finish_reason(trace.generation)))
        if body.stream_options is not None and body.stream_options.include_usage:
            emit(chunks.usage(shapes.usage(trace.generation)))
        emit(shapes.DONE)

    return _stream(produce, call)


class _Told:
    """Turns the events of a live answer into chunks; the marks of a verified sentence become annotations."""

    def __init__(self, chunks: shapes.Chunks, emit: Emit, base_url: str) -> None:
        self._chunks = chunks
        self._emit = emit
        self._base_url = base_url
        self._text = ""
        self._replaced = False
        self._citations: dict[int, dict[str, Any]] = {}

    def take(self, name: str, event: dict[str, Any]) -> None:
        """One event."""
        if name == "context":
            self._emit(self._chunks.delta({"role": "assistant", "content": ""}))
        elif name == "text" and not self._replaced:
            self._text += event["text"]
            self._emit(self._chunks.delta({"content": event["text"]}))
        elif name == "replace":  # what was sent cannot be taken back here
            self._replaced = True
            self._emit(self._chunks.delta({"replacement": event["text"]}))
        elif name == "citation":
            self._citations[event["number"]] = event
            self._emit(self._chunks.delta({"citations": [event]}))
        elif name == "sentence":
            self._emit(self._chunks.delta({"sentences": [event], "annotations": self._annotations(event)}))

    def _annotations(self, sentence: dict[str, Any]) -> list[dict[str, Any]]:
        """The marks of a sentence, where they stand in what was sent."""
        if self._replaced:
            return []
        found = []
        for number in sentence["citations"]:
            at = self._text.find(f"[{number}]", sentence["start"], sentence["end"])
            if at >= 0:
                found.append(
                    shapes.annotation(self._citations[number], at, at + len(f"[{number}]"), self._base_url)
                )
        return found


async def _alone(
    request: Request, body: ChatBody, settings: Settings, collection: str, call: Call
) -> Response:
    server = served(request)
    if body.response_format is not None and body.response_format.type != "text":
        raise InputError(
            "response_format needs retrieval.", hint="Set model to 'rag' or 'hybrid', or leave it out."
        )
    turns = tuple(
        Message(role="system" if turn.role == "developer" else turn.role, content=turn.text())
        for turn in body.messages
    )
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []

    async def generate(app: ServedApplication, hear: Callable[[str], None]) -> tuple[str, Delta]:
        await server.engine.load(settings.generator)
        generator = app.generator(settings.generator)
        assert generator is not None  # with quotes there is no such model
        deltas: AsyncIterator[Delta] = generator.stream(
            turns,
            max_tokens=settings.generator.max_tokens,
            temperature=settings.generator.temperature,
            seed=settings.generator.seed,
            stop=stop,
            timeout_s=call.remaining_s(settings.generator.timeout_s),
        )
        raw, last = "", Delta(finish_reason="stop")
        async for delta in deltas:
            if delta.text:
                raw += delta.text
                hear(delta.text)
            if delta.finish_reason:
                last = delta
        server.metrics.generated(last.prompt_tokens, last.completion_tokens)
        return raw, last

    async def run(hear: Callable[[str], None]) -> tuple[str, Delta]:
        return await server.engine.run(lambda app: generate(app, hear), call=call, collection=collection)

    if not body.stream:
        raw, last = await while_connected(request, run(lambda _text: None))
        message: dict[str, Any] = {
            "role": "assistant",
            "content": raw,
            "refusal": None,
            "annotations": [],
            "citations": [],
        }
        used = shapes.counts(last.prompt_tokens, last.completion_tokens)
        return reply(shapes.plain_completion(call.id, body.model, message, _finish(last), used), call)

    async def produce(emit: Emit) -> None:
        chunks = shapes.Chunks(call.id, body.model)
        emit(chunks.delta({"role": "assistant", "content": ""}))
        _, last = await run(lambda text: emit(chunks.delta({"content": text})))
        emit(chunks.delta({}, _finish(last)))
        if body.stream_options is not None and body.stream_options.include_usage:
            emit(chunks.usage(shapes.counts(last.prompt_tokens, last.completion_tokens)))
        emit(shapes.DONE)

    return _stream(produce, call)


def _stream(produce: Callable[[Emit], Any], call: Call) -> Response:
    def failed(error: Exception) -> tuple[Response, bytes]:
        problem = problem_for(error, call)
        return problem.response("/v1/chat/completions"), shapes.data(problem.openai())

    return EventStream(produce, failed=failed, headers=lambda: headers_of(call))


@router.get("/models", responses=_MODELS)
async def models(request: Request, key: Asking) -> Response:
    """The models: `rag`, `base`, every released adapter, `hybrid` where there is an adapter, the embedder."""
    return reply({"object": "list", "data": [_model(name) for name in await _names(served(request))]})


@router.get("/models/{model}", responses=_MODEL)
async def model(request: Request, model: str, key: Asking) -> Response:
    """One model."""
    if model not in await _names(served(request)):
        raise UnknownError(f"There is no model '{model[:100]}'.", hint="GET /v1/models lists them.")
    return reply(_model(model))


@router.post("/embeddings", responses=_EMBEDDINGS)
async def embeddings(request: Request, body: EmbeddingsBody, key: Asking) -> Response:
    """Vectors of the collection's embedder, as it embeds documents."""
    server = served(request)
    name = server.engine.settings.embedder.model
    if body.model != name:
        raise UnknownError(f"There is no embedder '{body.model[:100]}'.", hint=f"There is: {name}.")
    texts = [body.input] if isinstance(body.input, str) else body.input
    call = begin(request, None)

    async def work(app: ServedApplication) -> tuple[list[Any], int]:
        embedder = app.embedder
        if body.dimensions not in (None, embedder.dimension):
            raise InputError(
                f"{name} makes vectors of {embedder.dimension} dimensions.", hint="Leave dimensions out."
            )
        found: list[Any] = [None] * len(texts)
        tokens = 0
        for start in range(0, len(texts), EMBEDDED_AT_A_TIME):
            call.check("the next texts were embedded")
            for batch in embedder.stream(texts[start : start + EMBEDDED_AT_A_TIME], kind="document"):
                for one in batch:
                    found[start + one.position] = _coded(one.vector, body.encoding_format)
                    tokens += one.token_count
            await asyncio.sleep(0)
        return found, tokens

    vectors, tokens = await while_connected(request, server.engine.run(work, call=call))
    rows = [
        {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)
    ]
    used = {"prompt_tokens": tokens, "total_tokens": tokens}
    return reply({"object": "list", "model": name, "data": rows, "usage": used}, call)


async def adapter_names(server: Served) -> list[str]:
    """The adapters that have a release, by name, and the configured one of an endpoint."""
    generator = server.engine.settings.generator
    if generator.kind == "extractive":
        return []
    home = server.engine.config.home
    names = {one.name for one in await server.engine.read(lambda: list_releases(home)) if one.current}
    if generator.kind == "openai" and generator.adapter is not None:
        names.add(generator.adapter)
    return sorted(names)


def chat_models(settings: Settings, adapters: Sequence[str]) -> list[str]:
    """What a chat completion may ask for."""
    if settings.generator.kind == "extractive":
        return [RAG]
    hybrid = [HYBRID] if _of_hybrid(settings, adapters) is not None else []
    return [RAG, BASE, *adapters, *hybrid]


def _of_hybrid(settings: Settings, adapters: Sequence[str]) -> str | None:
    """The adapter of `hybrid`: the configured one, else the only one that was released."""
    if settings.generator.adapter is not None:
        return settings.generator.adapter
    return adapters[0] if len(adapters) == 1 else None


async def _names(server: Served) -> list[str]:
    settings = server.engine.settings
    return [*chat_models(settings, await adapter_names(server)), settings.embedder.model]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "firstfault"}


def _coded(vector: Any, encoding: str | None) -> Any:
    if encoding == "base64":
        return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
    return [float(value) for value in vector]


def _finish(last: Delta) -> str:
    return last.finish_reason if last.finish_reason in {"length", "content_filter"} else "stop"


def _question(body: ChatBody, call: Call) -> str:
    """The last user message; what else was said is noted."""
    if body.messages[-1].role != "user":
        raise InputError("The last message is not the user's.", hint="End with a message of role 'user'.")
    ignored = len(body.messages) - 1
    if ignored:
        call.note_event("earlier_messages_ignored", count=ignored)
    return body.messages[-1].text()


def _schema(body: ChatBody) -> dict[str, Any] | None:
    """The JSON schema that the answer must satisfy."""
    wanted = body.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "object"}
    if wanted.json_schema is None or not wanted.json_schema.definition:
        raise InputError("response_format has no json_schema.schema.", hint="Give the schema.")
    return dict(wanted.json_schema.definition)


def _settings(settings: Settings, body: ChatBody) -> Settings:
    """The settings with what the request asks of the generator."""
    most = settings.serve.max_output_tokens
    longest = body.max_completion_tokens or body.max_tokens
    if longest is not None and longest > most:
        raise InputError(f"max_tokens is {longest}; at most {most} are allowed here.", hint="Ask for less.")
    if body.stop and body.model in RETRIEVING:
        raise InputError(f"stop is not available for '{body.model}'.", hint="Leave it out, or use 'base'.")
    asked = {"max_tokens": longest, "temperature": body.temperature, "seed": body.seed}
    changes = {name: value for name, value in asked.items() if value is not None}
    generator = settings.generator.model_copy(update=changes)
    changed = settings.model_copy(update={"generator": generator}) if changes else settings
    return with_policy(changed, body.firstfault.policy)
