"""The answering thread: one event loop on which every question is worked on.

In: work from the HTTP loop. Out: its result. Stages that compute run there one at a time, so that requests do
not fight for the cores; while one waits for a model, the next one runs. Jobs have threads of their own.
"""

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from firstfault.answer.ask import ask
from firstfault.config import Config, GeneratorConfig, Settings
from firstfault.errors import ConfigError, FirstfaultError, MismatchError
from firstfault.models.adapters import Adapter
from firstfault.serve.admission import Admission
from firstfault.serve.calls import Call
from firstfault.serve.injection import flag_injections
from firstfault.serve.live import Live
from firstfault.serve.runtime import Parts, ServedApplication
from firstfault.types import Context, Trace

T = TypeVar("T")

logger = logging.getLogger(__name__)

DEGRADE_RERANKER_AT = 0.5
"""Share of the queue that is taken from which on the reranker is left out."""
DEGRADE_GENERATOR_AT = 0.9
"""Share from which on answers are quoted."""

UNLOADED = {
    "openai": "The endpoint loads adapters itself: load the release's peft folder there under this name.",
    "extractive": "Answers are quoted here: there is no model that an adapter could change.",
}
"""Kind of generator → why a release is not loaded by this server."""

Work = Callable[[ServedApplication], Coroutine[Any, Any, T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched(Generic[T]):
    """What came of moving the pointer of an adapter's name."""

    moved: T
    """What the move returned."""
    loaded: bool
    """Whether this server has it loaded."""
    reason: str
    """Why not."""


class Engine:
    """Everything that answers. `start` it, and `stop` it in the end."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.parts = Parts(config)
        serve = config.settings.serve
        self.admission = Admission(concurrency=serve.concurrency, queue=serve.queue)
        self.ready: dict[str, str] = {"models": "loading"}
        """What keeps the server from being ready → why; empty when it is."""
        self.observers: list[Callable[[Trace], None]] = []
        """Called with every finished trace, on the answering thread."""
        self._applications: dict[str, ServedApplication] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="answering", daemon=True)
        self._tasks: set[concurrent.futures.Future[Any]] = set()
        self._housekeeping: list[concurrent.futures.Future[Any]] = []

    @property
    def settings(self) -> Settings:
        """Those in force for the next request."""
        return self.config.settings

    def start(self, collections: tuple[str, ...]) -> None:
        """Open the home and begin to load the models. Blocks for the home, not for the models.

        Raises:
            LockedError: another process has the home.
            FirstfaultError: it cannot be opened.
        """
        for name in collections:
            self.parts.collection(name, create=True)
        self.parts.traces()
        self._thread.start()
        self._submit(self._warm(self.config))

    async def ask(
        self,
        question: str,
        *,
        call: Call,
        collection: str = "default",
        where: str | None = None,
        settings: Settings | None = None,
        live: Live | None = None,
        schema: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Trace:
        """Answer a question; see `firstfault.answer.ask`. Cancelling it ends the work.

        Raises:
            RefusedError: there is no room.
            FirstfaultError: a stage failed; a note names the trace.
        """
        settings = settings or self.settings

        async def work(app: ServedApplication) -> Trace:
            chosen = self.degraded(settings, call, quotes=schema is None)
            await self.load(chosen.generator)

            def packed(context: Context) -> None:
                if settings.serve.injection_check:
                    flag_injections(context, call)
                if live is not None:
                    live.packed(context, app.verifier(chosen.verifier))

            trace = await ask(
                app,
                question,
                where=where,
                settings=chosen,
                listener=live.wrote if live is not None else None,
                recording=call,
                packed=packed,
                fallback=settings.serve.degrade_generator and schema is None,
                schema=schema,
                **options,
            )
            _note_fallback(trace, call)
            self.observe(trace)
            return trace

        return await self.run(work, call=call, collection=collection)

    def degraded(self, settings: Settings, call: Call, *, quotes: bool = True) -> Settings:
        """The settings that the load allows; what is left out is noted on the call.

        Without `quotes` the generator stays: quoted sentences cannot satisfy a schema.
        """
        fill, serve = self.admission.fill, settings.serve
        changes: dict[str, Any] = {}
        if serve.degrade_reranker and fill >= DEGRADE_RERANKER_AT and settings.search.rerank != "none":
            call.degrade("no_reranker", f"{fill:.0%} of the queue is taken")
            changes["search"] = settings.search.model_copy(update={"rerank": "none"})
        if (
            quotes
            and serve.degrade_generator
            and fill >= DEGRADE_GENERATOR_AT
            and settings.generator.kind != "extractive"
        ):
            call.degrade("no_generator", f"{fill:.0%} of the queue is taken")
            quoting = {"kind": "extractive", "adapter": None}
            changes["generator"] = settings.generator.model_copy(update=quoting)
        return settings.model_copy(update=changes) if changes else settings

    def observe(self, trace: Trace) -> None:
        """Tell the observers."""
        for observer in self.observers:
            observer(trace)

    async def run(self, work: Work[T], *, call: Call, collection: str = "default") -> T:
        """Run work in a slot on the answering thread; cancelling it abandons the call.

        Raises:
            RefusedError: there is no room.
        """
        entered = await self.admission.enter(call.left_s())
        home = asyncio.get_running_loop()

        async def inside() -> T:
            try:
                call.check("the work began")
                return await work(self.application(collection))
            finally:
                home.call_soon_threadsafe(self.admission.leave, entered)

        try:
            future = self._submit(inside())
        except BaseException:
            self.admission.leave(entered)
            raise
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            call.abandon()
            future.cancel()
            raise

    async def read(self, work: Callable[[], T]) -> T:
        """Run a short reading of the database in a thread of its own; it needs no slot."""
        return await asyncio.to_thread(work)

    def application(self, collection: str) -> ServedApplication:
        """The application of a collection, on the answering thread.

        Raises:
            MissingError: there is no such collection.
        """
        if collection not in self._applications:
            self.parts.collection(collection)
            self._applications[collection] = self.parts.application(self.config, collection)
        return self._applications[collection]

    def job_application(self, collection: str) -> ServedApplication:
        """An application for a job's own thread; close it at the end."""
        return self.parts.application(self.config, collection)

    async def reload(self, config: Config) -> list[str]:
        """Take over another configuration; requests at work keep theirs. Returns what needs a restart.

        The new model is loaded before the switch.

        Raises:
            ConfigError: what is stored was made with other settings, or a model cannot be opened.
        """
        old, new = self.config.settings, config.settings
        if new.embedder != old.embedder or config.home != self.config.home:
            raise ConfigError(
                "Another embedder or home needs a restart.", hint="Stop the server and start it again."
            )
        await asyncio.wrap_future(self._submit(self._warm(config)))
        fixed = ("host", "port", "tls_cert", "tls_key", "otlp_endpoint", "otlp_content")
        kept = {name: getattr(old.serve, name) for name in fixed}
        waiting = [f"serve.{name}" for name in fixed if getattr(new.serve, name) != kept[name]]
        waiting += [
            name for name in ("index", "trace", "monitor") if getattr(new, name) != getattr(old, name)
        ]
        self.admission.concurrency = new.serve.concurrency
        self.admission.queue = new.serve.queue
        return waiting

    async def load(self, settings: GeneratorConfig) -> None:
        """Load the runtime of an adapter that one request names, off the answering thread."""
        if settings.kind == "llama" and settings.adapter != self.settings.generator.adapter:
            with suppress(FirstfaultError):  # the stage that needs it raises it, on the trace
                await asyncio.to_thread(self.parts.local_generator, settings)

    async def switch(self, adapter: Adapter, move: Callable[[], T]) -> Switched[T]:
        """Move the pointer of an adapter's name while requests run.

        What the name will mean is loaded first, then the next request uses it; those at work keep what they
        began with, and it is freed when their deadline has passed.

        Raises:
            MismatchError: the server answers with this name, and the adapter is for another model.
            FirstfaultError: it cannot be loaded, or `move` failed; the name means what it meant.
        """
        settings = self.settings.generator
        why = "" if settings.kind == "llama" else UNLOADED[settings.kind]
        if not why:
            wanted = settings.model_copy(update={"adapter": adapter.name})
            try:
                await asyncio.to_thread(self.parts.loaded, wanted, adapter)
            except MismatchError as error:
                if settings.adapter == adapter.name:
                    raise
                why = error.message
        moved = await asyncio.to_thread(move)
        if self._thread.is_alive():
            closing = asyncio.run_coroutine_threadsafe(self._free(adapter.name), self._loop)
            self._housekeeping.append(closing)
        return Switched(moved=moved, loaded=not why, reason=why)

    async def stop(self, limit_s: float) -> int:
        """Take nothing new, let requests finish within the limit, cancel the rest, write what is pending.

        Returns how many were cancelled.

        Raises:
            StorageError: traces could not be written; they stay in the spool.
        """
        self.admission.closed = True
        deadline = time.monotonic() + limit_s
        while (self.admission.working or self.admission.waiting) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for future in list(self._housekeeping):
            future.cancel()
        left = [future for future in list(self._tasks) if not future.done()]
        for future in left:
            future.cancel()
        if self._thread.is_alive():
            closing = asyncio.run_coroutine_threadsafe(self._close_applications(), self._loop)
            await asyncio.wrap_future(closing)
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join, 10)
        if not self._thread.is_alive():
            self._loop.close()
        await asyncio.to_thread(self.parts.close)
        return len(left)

    async def _close_applications(self) -> None:
        for application in self._applications.values():
            await application.aclose()

    async def _warm(self, config: Config) -> None:
        """Load what the first request would otherwise wait for, then switch to the configuration."""
        try:
            if config.settings.generator.kind == "llama":  # requests go on while it loads
                await asyncio.to_thread(self.parts.local_generator, config.settings.generator)
            applications = {
                name: self.parts.application(config, name) for name in self.parts.open_collections()
            }
            for app in applications.values():
                generator = app.generator(config.settings.generator)
                load = getattr(generator, "load", None)
                if load is not None:
                    await asyncio.to_thread(load)
                app.verifier(config.settings.verifier).verify_claims([(["Water is wet."], "Water is wet.")])
                app.embedder.embed(["ready"], kind="query")
        except FirstfaultError as error:
            if config is self.config:
                self.ready["models"] = f"{error.message} {error.hint}"
                logger.error("not ready: %s %s", error.message, error.hint)  # noqa: TRY400
            raise
        for application in self._applications.values():
            self._housekeeping.append(asyncio.run_coroutine_threadsafe(self._retire(application), self._loop))
        self._applications = applications
        self.config = config
        self.ready.pop("models", None)

    async def _retire(self, application: ServedApplication) -> None:
        """Close the connections of an application when its last request must be done."""
        await asyncio.sleep(self.config.settings.serve.deadline_s)
        await application.aclose()

    async def _free(self, name: str) -> None:
        """Free what an adapter's name meant before, when the last request that uses it must be done."""
        await asyncio.sleep(max(self.settings.serve.deadline_s, self.settings.generator.timeout_s))
        try:
            freed = await asyncio.to_thread(self.parts.retire, name)
        except FirstfaultError as error:
            logger.warning("Earlier releases of %s stay in memory: %s", name, error.message)
        else:
            logger.info("%d runtimes of earlier releases of %s are freed", freed, name)

    def _submit(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._tasks.add(future)
        future.add_done_callback(self._tasks.discard)
        return future


def _note_fallback(trace: Trace, call: Call) -> None:
    """What was stepped down inside the path, for the response header."""
    for _, event in trace.events():
        step = event.attributes.get("step")
        if event.name == "degraded" and isinstance(step, str) and step not in call.degraded:
            call.degraded.append(step)
