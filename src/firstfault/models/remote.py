"""A generator behind any OpenAI-compatible endpoint that streams chat completions."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from firstfault.errors import ConfigError, InputError, RemoteError
from firstfault.models.adapters import Adapter
from firstfault.models.endpoint import Endpoint
from firstfault.models.estimate import token_spans
from firstfault.models.generator import BlankRun, Constraint, Delta, FinishReason, check_request
from firstfault.types import Message

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionChunk

_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}

Honoured = Literal["json_schema", "json_object"]

_HONOURED: dict[tuple[str, str], Honoured | None] = {}
"""(endpoint, model) → the strongest response format that it honours; asked once in a process."""

_PROBE_QUESTION = "Say hello in one word of plain text. Do not write JSON."
_PROBE_FIELD = "firstfault_probe"
_PROBE_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {_PROBE_FIELD: {"type": "boolean"}},
    "required": [_PROBE_FIELD],
    "additionalProperties": False,
}
_PROBE_TOKENS = 64
_JSON_OBJECT: Mapping[str, Any] = {"type": "json_object"}


def _json_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `response_format` that holds to a schema."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema), "strict": True}}


class OpenAIGenerator:
    """Generates with a remote model.

    A request that fails for a passing reason (no connection, 408, 409, 429, 5xx) is tried again, with
    growing and jittered waits, as long as nothing of the answer has arrived; after that an interruption
    is an error. Nothing is sent anywhere but to `base_url`. Token counts are estimates that err upwards.
    """

    supports_grammar = False
    exact_counts = False

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        api_key_env: str = "",
        context_window: int = 8192,
        timeout_s: float = 60.0,
        attempts: int = 3,
        max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
        adapter: str | None = None,
    ) -> None:
        self.adapter = Adapter(name=adapter, path=None, digest=None) if adapter else None
        base, model = model, adapter or model  # servers of the vLLM kind serve an adapter as a model
        self._endpoint = Endpoint(
            base_url=base_url, model=model, api_key_env=api_key_env, timeout_s=timeout_s, attempts=attempts
        )
        self.name = base
        self.context_window = context_window
        self._max_tokens_field = max_tokens_field
        self._client: openai.AsyncOpenAI | None = None
        settings = ["openai", base_url, model]
        self.fingerprint = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]

    def count_tokens(self, text: str) -> int:
        """An estimate that errs upwards: only the endpoint knows its tokenizer."""
        return len(token_spans(text))

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Estimates, one a text."""
        return [self.count_tokens(text) for text in texts]

    def render(self, messages: Sequence[Message]) -> str | None:
        """Only the endpoint knows the exact prompt: None."""
        return None

    async def constrain(self, schemas: Sequence[Mapping[str, Any]]) -> Constraint | None:
        """What holds the endpoint to the first of these schemas, else to any JSON; see `Generator.constrain`.

        Whether it honours `response_format` is asked once per endpoint and model in a process, with a request
        that only an endpoint which does can answer rightly. It may still refuse one schema or another.
        """
        key = (self._endpoint.base_url, self._endpoint.model)
        if key not in _HONOURED:
            _HONOURED[key] = await self._probe()
        if _HONOURED[key] == "json_schema" and schemas:
            return Constraint(rung=0, response_format=_json_schema(schemas[0]))
        return Constraint(rung=-1, response_format=_JSON_OBJECT) if _HONOURED[key] else None

    async def _probe(self) -> "Honoured | None":
        """The strongest response format that the endpoint honours against the words of the prompt."""
        turn = (Message(role="user", content=_PROBE_QUESTION),)
        formats: tuple[tuple[Honoured, Mapping[str, Any]], ...] = (
            ("json_schema", _json_schema(_PROBE_SCHEMA)),
            ("json_object", _JSON_OBJECT),
        )
        for name, response_format in formats:
            constraint = Constraint(rung=0, response_format=response_format)
            written = ""
            try:
                async for delta in self.stream(turn, max_tokens=_PROBE_TOKENS, constraint=constraint):
                    written += delta.text
            except InputError:
                continue  # it refuses the parameter
            try:
                reply = json.loads(written)
            except ValueError:
                continue  # it ignores the parameter
            if isinstance(reply, dict) and (
                name == "json_object" or isinstance(reply.get(_PROBE_FIELD), bool)
            ):
                return name
        return None

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        grammar: str | None = None,
        constraint: Constraint | None = None,
        stop: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> AsyncIterator[Delta]:
        """Generate, yielding deltas as they come; see `Generator.stream`.

        Raises ConfigError when a grammar is given or the key's variable is not set, InputError when the
        endpoint refuses the request, and RemoteError for everything that is the endpoint's fault.
        """
        check_request(messages, max_tokens)
        if grammar is not None:
            message = f"{self.name} at {self._endpoint.base_url} cannot be held to a grammar."
            raise ConfigError(message, hint="Use the embedded generator, or none.")
        request: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": temperature,
            "seed": seed,
            "stream": True,
            "stream_options": {"include_usage": True},
            self._max_tokens_field: max_tokens,
        }
        if constraint is not None:
            request["response_format"] = constraint.response_format
        if stop:
            request["stop"] = list(stop)

        deadline = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
        chunks: openai.AsyncStream[ChatCompletionChunk] | None = None
        try:
            async with asyncio.timeout_at(deadline):
                chunks, first = await self._begin(request)
            async for delta in self._deltas(chunks, first, deadline):
                yield delta
        except Exception as error:  # noqa: BLE001 - the SDK lets errors of its HTTP library through
            raise self._endpoint.explain(error) from None
        finally:
            if chunks is not None:
                await chunks.close()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None
            await asyncio.sleep(0)  # the loop closes the sockets at its next turn, and may have no other

    async def _begin(
        self, request: dict[str, Any]
    ) -> "tuple[openai.AsyncStream[ChatCompletionChunk], ChatCompletionChunk | None]":
        """Send the request and wait for the first chunk, trying again when that fails."""
        import stamina

        if self._client is None:
            self._client = self._open()
        async for attempt in stamina.retry_context(
            on=self._endpoint.wait_before_retry, attempts=self._endpoint.attempts, timeout=None
        ):
            with attempt:
                chunks = await self._client.chat.completions.create(**request)
                try:
                    return chunks, await anext(aiter(chunks), None)
                except BaseException:
                    await chunks.close()
                    raise
        raise AssertionError("stamina neither returned nor raised")

    async def _deltas(
        self,
        chunks: "openai.AsyncStream[ChatCompletionChunk]",
        chunk: "ChatCompletionChunk | None",
        deadline: float | None,
    ) -> AsyncIterator[Delta]:
        finish: FinishReason | None = None
        prompt_tokens = completion_tokens = None
        blanks = BlankRun()
        received = 0
        stream = aiter(chunks)
        if chunk is None:
            raise self._no_stream(chunks.response.headers.get("content-type", ""))
        while chunk is not None:
            self._check_served(chunk.model)
            if chunk.usage:
                prompt_tokens, completion_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
            for choice in chunk.choices or []:
                if choice.finish_reason:
                    finish = _FINISH.get(choice.finish_reason, "stop")
                if text := choice.delta.content:
                    received += len(text)
                    yield Delta(text=text)
                    if blanks.exceeded(text):
                        yield Delta(finish_reason="whitespace")
                        return
            async with asyncio.timeout_at(deadline):
                chunk = await self._next(stream, received)
        if finish is None:
            raise self._cut(received)
        yield Delta(finish_reason=finish, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)

    def _check_served(self, model: str | None) -> None:
        """Refuse an answer of the base model where the adapter was asked for."""
        if self.adapter is not None and model and model != self.adapter.name:
            raise RemoteError(
                f"{self._endpoint.base_url} answered as {model}, not with the adapter {self.adapter.name}.",
                hint="Load the adapter at the server under this name, or leave generator.adapter out.",
            )

    async def _next(
        self, stream: "AsyncIterator[ChatCompletionChunk]", received: int
    ) -> "ChatCompletionChunk | None":
        try:
            return await anext(stream, None)
        except (ValueError, UnicodeError):
            raise  # a chunk that is not JSON: explained as such
        except Exception as error:
            raise self._cut(received) from error

    def _no_stream(self, kind: str) -> RemoteError:
        if "event-stream" in kind:
            return self._cut(0)
        return RemoteError(
            f"{self._endpoint.base_url} (model {self.name}) answered with {kind or 'no content type'}, "
            "not with a stream of events.",
            hint="Check generator.base_url (it mostly ends in /v1): a login page or a proxy may answer.",
        )

    def _cut(self, received: int) -> RemoteError:
        return RemoteError(
            f"{self._endpoint.base_url} (model {self.name}) broke off after {received} characters.",
            hint="Ask again; check the endpoint's own logs and any proxy between.",
            transient=True,
        )

    def _open(self) -> "openai.AsyncOpenAI":
        import openai

        return openai.AsyncOpenAI(
            base_url=self._endpoint.base_url,
            api_key=self._endpoint.key(),
            timeout=self._endpoint.timeout_s,
            max_retries=0,
        )
