"""The embedded generator: llama.cpp in this process, on the CPU.

In: chat messages. Out: a stream of text that can be cancelled, and is the same for the same request.
"""

import asyncio
import hashlib
import http.client
import json
import os
import re
import secrets
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.errors import (
    ConfigError,
    DeadlineError,
    InputError,
    MismatchError,
    MissingError,
    RemoteError,
)
from firstfault.models import store
from firstfault.models.adapters import Adapter, adapter_file
from firstfault.models.generator import BlankRun, Constraint, Delta, FinishReason, check_request
from firstfault.models.gguf import read_header
from firstfault.models.threads import default_threads
from firstfault.types import Message

if TYPE_CHECKING:
    import xllamacpp  # type: ignore[import-untyped]

_DEFAULT_WINDOW = 4096
_MARK = "~held~"
_MARK_TOKENS = 8
"""What shows that a grammar is in force, and tokens enough to write it."""
_BETWEEN = "\n\n"
"""What stands between the parts of a prompt."""
_FENCE = "<"
"""What the next part begins with: blank lines at the end of a text are tokens of another kind."""
_BATCH = 64
"""Prompt tokens between two chances to stop: 64 take about 0.2 s on two slow cores. More keep these busy
after the client has left; fewer are read a tenth slower: the runtime's attention works on tiles of 64."""
_SPINS = "1000"
"""How often an OpenMP thread looks for work before it sleeps. With the default of 300,000, generation was
up to ten times slower when other processes wanted the same cores."""


class LlamaGenerator:
    """Generates with a GGUF model inside this process.

    `model` is a known name (see `store.KNOWN_MODELS`), which must have been pulled, or the path of a GGUF
    file. `adapter` is a LoRA adapter, or the path of one in GGUF format, applied to every request. Generators
    with different adapters share nothing but the mapped weights. They are loaded at the first use, or by
    `load`. One request runs at a time, the others wait: sharing a batch would make
    an answer depend on its neighbours. Raises MissingError, InputError or ConfigError for unusable files.
    """

    supports_grammar = True
    exact_counts = True

    def __init__(
        self,
        model: str | Path = "SmolLM2-135M-Instruct",
        *,
        context_window: int | None = None,
        threads: int | None = None,
        adapter: Adapter | str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.name = str(model)
        self._path = store.weights_path(self.name) if store.is_known(self.name) else Path(model)
        if not self._path.is_file():
            names = ", ".join(entry.name for entry in store.KNOWN_MODELS if entry.kind == "generator")
            hint = f"Give the path of a GGUF file, or a known model: {names}."
            raise MissingError(f"There is no model file {self._path}.", hint=hint)
        header = read_header(self._path)
        self.adapter = adapter_file(Path(adapter)) if isinstance(adapter, str | Path) else adapter
        if self.adapter is not None and self.adapter.base_digest not in {None, header.digest}:
            raise MismatchError(
                f"The adapter {self.adapter.name} was trained for another model than {self.name}.",
                hint="Set generator.model to the model of its training, or leave generator.adapter out.",
            )
        trained = header.context_length
        self.context_window = context_window or min(trained, _DEFAULT_WINDOW)
        if not 0 < self.context_window <= trained:
            message = f"context_window = {self.context_window} does not suit {self.name}."
            raise ConfigError(message, hint=f"It was trained for up to {trained} tokens.")
        self._control = re.compile("|".join(map(re.escape, header.control_tokens)) or "(?!)")
        self._lora = [{"id": 0, "scale": 1.0}] if self.adapter else []  # [] would not switch one off
        self._threads = threads or default_threads()
        self._verbose = verbose
        self._key = secrets.token_hex(16)
        self._loading = threading.Lock()
        self._posting = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._server: xllamacpp.Server | None = None
        self._closed = False
        self._held: dict[str, bool] = {}
        self._running: set[threading.Event] = set()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="llama")
        settings = [header.digest, (self.adapter and self.adapter.digest) or "", str(self.context_window)]
        self.fingerprint = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]

    def load(self) -> "xllamacpp.Server":
        """Load the weights if that has not been done yet; raises ConfigError when the runtime refuses."""
        with self._loading:
            if self._closed:
                raise ConfigError(f"The generator {self.name} was closed.", hint="Make a new one.")
            if self._server is None:
                self._server = self._open()
            return self._server

    def count_tokens(self, text: str) -> int:
        """Tokens that a text takes inside a prompt."""
        body = {"content": self._defuse(text), "add_special": False, "parse_special": True}
        return len(self._post("/tokenize", body)["tokens"])

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text with the blank line that follows it, as in a prompt of several texts.

        One call for all of them. A token that spans a boundary counts for the text in which it begins.
        """
        if not texts:
            return []
        parts = [self._defuse(text) for text in texts]
        content = "".join(f"{part}{_BETWEEN}" for part in parts) + _FENCE
        body = {"content": content, "add_special": False, "with_pieces": True}
        ends = list(accumulate(len(f"{part}{_BETWEEN}".encode()) for part in parts))
        counts, position, begin = [0] * len(parts), 0, 0
        for token in self._post("/tokenize", body)["tokens"]:
            while position < len(parts) and begin >= ends[position]:
                position += 1
            if position == len(parts):
                break
            counts[position] += 1
            piece = token["piece"]
            begin += len(piece.encode()) if isinstance(piece, str) else len(piece)
        return counts

    def render(self, messages: Sequence[Message]) -> str:
        """The exact prompt that the model sees: the messages in the model's own chat template."""
        prompt: str = self._post("/apply-template", {"messages": self._turns(messages)})["prompt"]
        return prompt

    async def constrain(self, schemas: Sequence[Mapping[str, Any]]) -> Constraint | None:
        """What holds llama.cpp to the first of these schemas that it can express, else to any JSON.

        The runtime drops a grammar that it cannot compile and writes freely, without a word. So each schema
        is tried behind a mark that only the grammar can bring forth, and counts when the mark comes.
        """
        for rung, schema in enumerate((*schemas, {})):
            body = json.dumps({**schema, "x-guidance": {"whitespace_flexible": False}})
            if body not in self._held:
                self._held[body] = await self._holds(body)
            if self._held[body]:
                return Constraint(
                    rung=rung if rung < len(schemas) else -1,
                    grammar=f"%llguidance {{}}\nstart: %json {body}\n",
                )
        return None

    async def _holds(self, body: str) -> bool:
        """Whether the runtime compiles a grammar for this schema."""
        grammar = f'%llguidance {{}}\nstart: "{_MARK}" value\nvalue: %json {body}\n'
        written = ""
        turn = (Message(role="user", content="-"),)
        async for delta in self.stream(turn, max_tokens=_MARK_TOKENS, grammar=grammar):
            written += delta.text
        return written.startswith(_MARK)

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
        """Generate, yielding deltas as they come; see `Generator.stream`."""
        check_request(messages, max_tokens)
        request: dict[str, Any] = {
            "messages": self._turns(messages),
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            "stop": list(stop),
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # a chunk per prompt batch: a chance to stop before the first token
            "lora": self._lora,
        }
        if constraint is not None or grammar is not None:
            request["grammar"] = constraint.grammar if constraint is not None else grammar

        chunks: asyncio.Queue[dict[str, Any] | Exception | None] = asyncio.Queue()
        stopped = threading.Event()
        loop = asyncio.get_running_loop()

        def send(chunk: dict[str, Any] | Exception | None) -> bool:
            """Hand a chunk to the waiting coroutine; True tells llama.cpp to stop."""
            if not stopped.is_set():
                try:
                    loop.call_soon_threadsafe(chunks.put_nowait, chunk)
                except RuntimeError:  # the event loop was closed without closing this generator
                    stopped.set()
            return stopped.is_set()

        def work() -> None:
            try:
                if stopped.is_set():
                    return
                request["cache_prompt"] = self._read_ahead(request["messages"], stopped)
                if not stopped.is_set():
                    self.load().handle_chat_completions(request, send)
                send(None)
            except Exception as error:  # noqa: BLE001 - carried to the caller, who raises it
                send(error)

        self._running.add(stopped)
        self._submit(work)
        deadline = None if timeout_s is None else loop.time() + timeout_s
        try:
            async for delta in self._deltas(chunks, deadline):
                yield delta
        except TimeoutError:
            message = f"{self.name} did not finish within {timeout_s} s."
            hint = "Allow more time, fewer tokens, or a shorter context."
            raise DeadlineError(message, hint=hint) from None
        finally:
            stopped.set()
            self._running.discard(stopped)

    def _read_ahead(self, turns: list[dict[str, str]], stopped: threading.Event) -> bool:
        """Have the runtime read a prompt up to its last batch, a batch a request, until `stopped`.

        A request that is told to stop has begun its next batch by then; between two requests nothing is
        computed. Returns whether the runtime kept what it read. Only that is ever reused: a prefix that
        another request left was computed in other batches, with other roundings.
        """
        prompt = self._post("/apply-template", {"messages": turns})["prompt"]
        body = {"content": prompt, "add_special": True, "parse_special": True}
        tokens = self._post("/tokenize", body)["tokens"]
        if len(tokens) >= self.context_window:
            return False  # refused whole, with its numbers
        kept = 0
        for end in range(_BATCH, len(tokens), _BATCH):
            if stopped.is_set():
                break
            replies: list[dict[str, Any]] = []
            piece = {
                "prompt": tokens[:end],
                "n_predict": 0,
                "temperature": 0.0,  # a token is chosen even so: in the cheapest way
                "cache_prompt": kept > 0,
                "lora": self._lora,
            }
            self.load().handle_completions(piece, replies.append)
            usage = replies[0].get("usage")
            if usage is None or usage["prompt_tokens_details"]["cached_tokens"] != kept:
                return False  # it failed, or a model of this kind keeps no prefix
            kept = end
        return kept > 0

    async def aclose(self) -> None:
        """Stop what runs and free the weights."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Stop what runs and free the weights; safe to call twice."""
        for stopped in tuple(self._running):
            stopped.set()
        self._worker.shutdown(wait=True, cancel_futures=True)
        with self._posting:
            self._disconnect()
        with self._loading:
            self._closed = True
            self._server = None

    def _submit(self, work: Any) -> None:
        try:
            self._worker.submit(work)
        except RuntimeError as error:
            raise ConfigError(f"The generator {self.name} was closed.", hint="Make a new one.") from error

    async def _deltas(
        self, chunks: "asyncio.Queue[dict[str, Any] | Exception | None]", deadline: float | None
    ) -> AsyncIterator[Delta]:
        """Translate chunks of an OpenAI-style stream until the last one, and bound runs of blanks."""
        finish: FinishReason | None = None
        usage: dict[str, Any] = {}
        blanks = BlankRun()
        while True:
            async with asyncio.timeout_at(deadline):
                chunk = await chunks.get()
            if chunk is None:
                break
            if isinstance(chunk, Exception):
                raise chunk
            if "error" in chunk:
                raise self._error(chunk["error"])
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                finish = choice["finish_reason"] or finish
                if text := choice["delta"].get("content"):
                    yield Delta(text=text)
                    if blanks.exceeded(text):
                        yield Delta(finish_reason="whitespace")
                        return
        if finish is None:
            message = f"{self.name} stopped without a reason."
            raise RemoteError(message, hint="Set verbose to see what llama.cpp says.", transient=True)
        yield Delta(
            finish_reason=finish,
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
        )

    def _error(self, error: dict[str, Any]) -> Exception:
        if error.get("type") == "exceed_context_size_error":
            return InputError(
                f"The prompt has {error['n_prompt_tokens']} tokens, {self.name} takes {error['n_ctx']}.",
                hint="Ask a shorter question, pack less context, or raise context_window.",
            )
        if error.get("code") == 400:
            return InputError(
                f"{self.name} refused the request: {error['message']}.", hint="Check the grammar."
            )
        hint = "Set verbose to see what llama.cpp says."
        return RemoteError(f"{self.name} failed: {error.get('message')}.", hint=hint, transient=True)

    def _turns(self, messages: Sequence[Message]) -> list[dict[str, str]]:
        return [{"role": m.role, "content": self._defuse(m.content)} for m in messages]

    def _defuse(self, text: str) -> str:
        """Break control tokens that stand in a text, so that a document cannot end its own turn."""
        return self._control.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def _open(self) -> "xllamacpp.Server":
        xllamacpp = _import_runtime()
        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        if self.adapter:
            params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(self.adapter.path), 1.0)]
        params.n_ctx = self.context_window
        params.n_batch = params.n_ubatch = _BATCH
        params.n_parallel = 1
        params.cache_ram_mib = 0  # its entries do not know which adapter made them
        params.ctx_shift = False  # an over-long prompt is an error, not a silent cut
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.warmup = params.fit_params = params.ui = params.endpoint_slots = False
        params.endpoint_metrics = True
        params.api_keys = [self._key]  # the runtime listens on a loopback port; nobody else may use it
        params.n_threads_http = 1
        params.verbosity = 3 if self._verbose else -1
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            hint = "Check that the file is a complete GGUF model, and set verbose to see what llama.cpp says."
            what = f"{self._path}" + (f" with the adapter {self.adapter.path}" if self.adapter else "")
            raise ConfigError(f"llama.cpp cannot load {what}.", hint=hint) from error
        server.handle_metrics()  # answered once its loop runs: closing it before would wait for ever
        return server

    def _post(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask the runtime something that its Python interface lacks, over its private loopback port.

        The connection is kept: opening one takes longer than counting the tokens of a passage.
        """
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        with self._posting:
            for fresh in (self._connection is None, True):
                if fresh:
                    self._connect()
                assert self._connection is not None
                try:
                    self._connection.request("POST", route, json.dumps(body), headers)
                    response = self._connection.getresponse()
                    reply: dict[str, Any] = json.loads(response.read())
                    break
                except (OSError, http.client.HTTPException, ValueError) as error:
                    self._disconnect()
                    if not fresh:  # the runtime closed a connection that was idle
                        continue
                    hint = "Check that connections to 127.0.0.1 are allowed."
                    message = f"The embedded llama.cpp does not answer: {error}."
                    raise RemoteError(message, hint=hint) from error
        if response.status != 200:
            raise self._error(reply["error"])
        return reply

    def _connect(self) -> None:
        self._disconnect()
        host, _, port = self.load().listening_address.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=30)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _import_runtime() -> Any:
    """Import llama.cpp with patient threads; what the user set for OpenMP is respected."""
    ours = not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
    if ours:
        os.environ["GOMP_SPINCOUNT"] = _SPINS
    try:
        import xllamacpp
    finally:
        if ours:
            del os.environ["GOMP_SPINCOUNT"]
    return xllamacpp
