"""The parts that requests share: one open collection, one embedder, one verifier, one model, each made safe.

In: a configuration. Out: applications for the answering thread and for each job lane. Connections to remote
models belong to one event loop, so every application has its own; everything else is shared.
"""

import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.answer.application import Application, find_adapter, open_generator
from firstfault.config import Config, GeneratorConfig, Settings, VerifierConfig
from firstfault.errors import RemoteError
from firstfault.models.generator import Delta, Generator
from firstfault.models.opening import open_embedder
from firstfault.serve.breaker import Breaker
from firstfault.types import Support

if TYPE_CHECKING:
    from firstfault.collection import Collection
    from firstfault.models.adapters import Adapter
    from firstfault.models.embedder import Embedder
    from firstfault.trace import TraceStore
    from firstfault.verify import Verifier

REMEMBERED_VERDICTS = 20_000
"""Verdicts in memory: a verdict depends on passages and sentence alone, so it holds for good."""

Pair = tuple[Sequence[str], str]


class SharedVerifier:
    """A verifier that several threads may ask, one at a time, and that remembers what it said."""

    def __init__(self, inner: "Verifier") -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[tuple[str, ...], str], Support] = OrderedDict()
        self.hits = 0
        """Verdicts that were remembered."""
        self.misses = 0
        self.name: str = inner.name
        """What judged: hashed once, not with every trace."""

    def verify_claims(self, pairs: Sequence[Pair]) -> list[Support]:
        """One verdict per pair, in order."""
        keys = [(tuple(contexts), claim) for contexts, claim in pairs]
        with self._lock:
            missing = [key for key in dict.fromkeys(keys) if key not in self._known]
            self.hits += len(keys) - len(missing)
            self.misses += len(missing)
            said = dict(zip(missing, self._inner.verify_claims(missing), strict=True)) if missing else {}
            found = [said[key] if key in said else self._known[key] for key in keys]
            self._known.update(said)
            while len(self._known) > REMEMBERED_VERDICTS:
                self._known.popitem(last=False)
        return found


class GuardedGenerator:
    """A remote model behind a circuit breaker; everything else is the generator's own."""

    def __init__(self, inner: Generator, breaker: Breaker) -> None:
        self._inner = inner
        self.breaker = breaker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def stream(self, *arguments: Any, **options: Any) -> AsyncIterator[Delta]:
        """See `Generator.stream`; raises RemoteError at once while the breaker is open."""
        if not self.breaker.allows():
            raise RemoteError(
                f"{self._inner.name} failed several times in a row and is not asked for now.",
                hint=f"It is tried again in {self.breaker.retry_after_s():.0f} s; check the endpoint.",
                transient=True,
            )
        report = self.breaker.withdrawn
        try:
            async for delta in self._inner.stream(*arguments, **options):
                report = self.breaker.succeeded
                yield delta
        except RemoteError:
            report = self.breaker.failed
            raise
        finally:
            report()


class _Runtime:
    """A place for one embedded runtime; its lock lets one thread load it while others use other parts."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened = False
        self.generator: Any = None


class Parts:
    """What is open, and shared by every application of the server."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._lock = threading.RLock()
        self._collections: dict[str, Collection] = {}
        self._verifiers: dict[VerifierConfig, SharedVerifier] = {}
        self._local: dict[tuple[GeneratorConfig, str | None], _Runtime] = {}
        self._breakers: dict[str, Breaker] = {}
        self._cross_encoders: dict[str, Any] = {}
        self._embedder: Embedder | None = None
        self._traces: TraceStore | None = None

    def application(self, config: Config, collection: str) -> "ServedApplication":
        """A new application over these parts. It must be used by one thread."""
        return ServedApplication(self, config, collection)

    def embedder(self) -> "Embedder":
        """The embedder of every collection of the home."""
        with self._lock:
            if self._embedder is None:
                self._embedder = open_embedder(self.config.settings.embedder)
            return self._embedder

    def traces(self) -> "TraceStore":
        """The one trace store of the home."""
        from firstfault.collection.database import connect
        from firstfault.trace import TraceStore

        with self._lock:
            if self._traces is None:
                store = TraceStore(
                    self.config.home, connect(self.config.home), queue_size=self.config.settings.trace.queue
                )
                store.recover()
                self._traces = store
            return self._traces

    def collection(self, name: str, *, create: bool = False) -> "Collection":
        """An open collection of the home.

        Raises:
            MissingError: there is none of this name.
        """
        from firstfault.collection import Collection

        with self._lock:
            if name not in self._collections:
                self._collections[name] = Collection.open(
                    self.config.home,
                    name=name,
                    settings=self.config.settings,
                    embedder=self.embedder(),
                    write=create,
                )
            return self._collections[name]

    def open_collections(self) -> "dict[str, Collection]":
        """Those that are open."""
        with self._lock:
            return dict(self._collections)

    def verifier(self, settings: VerifierConfig) -> SharedVerifier:
        """The verifier for these settings."""
        from firstfault.verify import open_verifier

        with self._lock:
            if settings not in self._verifiers:
                self._verifiers[settings] = SharedVerifier(open_verifier(settings, home=self.config.home))
            return self._verifiers[settings]

    def verifiers(self) -> list[SharedVerifier]:
        """Those that were used."""
        with self._lock:
            return list(self._verifiers.values())

    def local_generator(self, settings: GeneratorConfig) -> Generator | None:
        """The embedded runtime for these settings; it queues requests itself."""
        adapter = find_adapter(settings, self.config.home)  # a release or a rollback shows at once
        found: Any = self.loaded(settings, adapter)
        if found is not None and found.adapter != adapter:
            found.adapter = adapter  # the same file, released again: the trace names the release in force
        generator: Generator | None = found
        return generator

    def loaded(self, settings: GeneratorConfig, adapter: "Adapter | None") -> Generator | None:
        """The runtime for these settings with this adapter, loaded; requests for others do not wait for it.

        Raises:
            MismatchError: the adapter was trained for another model.
            FirstfaultError: the model or the adapter cannot be opened.
        """
        weights = GeneratorConfig(
            kind=settings.kind,
            model=settings.model,
            adapter=settings.adapter,
            context_window=settings.context_window,
            threads=settings.threads,
        )  # what is asked of a model does not need another copy of it
        with self._lock:
            runtime = self._local.setdefault((weights, adapter.digest if adapter else None), _Runtime())
        with runtime.lock:
            if not runtime.opened:
                runtime.generator = open_generator(weights, adapter=adapter)
                runtime.opened = True
        generator: Generator | None = runtime.generator
        return generator

    def retire(self, name: str) -> int:
        """Free the runtimes of what an adapter's name pointed to before; returns how many.

        No request may be at work with them any more.
        """
        from firstfault.collection.adapters import find_adapter as find

        now = find(self.config.home, name).digest
        with self._lock:
            old = [key for key in self._local if key[0].adapter == name and key[1] != now]
            freed = [self._local.pop(key) for key in old]
        for runtime in freed:
            with runtime.lock:
                if runtime.generator is not None:
                    runtime.generator.close()
        return len(freed)

    def breaker(self, base_url: str) -> Breaker:
        """The breaker of an endpoint."""
        serve = self.config.settings.serve
        with self._lock:
            if base_url not in self._breakers:
                self._breakers[base_url] = Breaker(
                    failures=serve.breaker_failures, reset_s=serve.breaker_reset_s
                )
            return self._breakers[base_url]

    def breakers(self) -> dict[str, Breaker]:
        """Endpoint → its breaker."""
        with self._lock:
            return dict(self._breakers)

    def cross_encoders(self) -> dict[str, Any]:
        """Shared by every application."""
        return self._cross_encoders

    def close(self) -> None:
        """Write what is pending and release the home.

        Raises:
            StorageError: traces could not be written; they stay in the spool.
        """
        with self._lock:
            for runtime in self._local.values():
                close = getattr(runtime.generator, "close", None)
                if close is not None:
                    close()
            try:
                if self._traces is not None:
                    self._traces.close()
            finally:
                for collection in self._collections.values():
                    collection.close()


class ServedApplication(Application):
    """An application over shared parts, used by one thread."""

    def __init__(self, parts: Parts, config: Config, collection: str) -> None:
        super().__init__(config, collection=collection)
        self._parts = parts
        self._cross_encoders = parts.cross_encoders()
        self.__dict__["embedder"] = parts.embedder()
        self.__dict__["traces"] = parts.traces()

    @property
    def collection(self) -> "Collection":
        """The open collection."""
        return self._parts.collection(self._collection_name)

    def generator(self, settings: GeneratorConfig) -> Generator | None:
        """The runtime for these settings; a remote one stands behind a circuit breaker."""
        if settings.kind != "openai":
            return self._parts.local_generator(settings)
        key: tuple[GeneratorConfig, str | None] = settings, None
        if key not in self._generators:
            find_adapter(settings, self._parts.config.home)
            remote = open_generator(settings)
            assert remote is not None
            guarded = GuardedGenerator(remote, self._parts.breaker(settings.where))
            self._generators[key] = guarded
        return self._generators[key]

    def verifier(self, settings: VerifierConfig) -> "Verifier":
        """The shared verifier."""
        return self._parts.verifier(settings)

    def sibling(self, settings: Settings, *, collection: str, home: Path | None = None) -> "Application":
        """An application over another collection for a trial; it shares the models, and the event loop."""
        settings = settings if home in (None, self.config.home) else settings.embedded()
        config = replace(self.config, settings=settings, home=home or self.config.home)
        other = _Sibling(self._parts, config, collection)
        if settings.embedder != self.settings.embedder:
            other.__dict__["embedder"] = open_embedder(settings.embedder)
        other._generators = self._generators
        return other

    def _release(self) -> None:
        """What is shared is closed by its owner; here nothing is left but the connections."""


class _Sibling(ServedApplication):
    """An application whose collection is its own: made for a trial, and closed with it."""

    _own: "Collection | None" = None

    @property
    def collection(self) -> "Collection":
        """The collection of the trial, created when absent."""
        from firstfault.collection import Collection

        if self._own is None:
            self._own = Collection.open(
                self.config.home, name=self._collection_name, settings=self.settings, embedder=self.embedder
            )
        return self._own

    async def aclose(self) -> None:
        """Release the collection; the generators are those of the application beside it."""
        self._release()

    def _release(self) -> None:
        if self._own is not None:
            self._own.close()
