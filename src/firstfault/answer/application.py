"""An open application: a home, its settings, and the parts that a command needs.

In: a `Config`. Out: the collection, models, verifier and traces, each opened when first used.
"""

import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from firstfault.config import Config, GeneratorConfig, Settings, VerifierConfig
from firstfault.errors import ConfigError
from firstfault.models.opening import open_embedder, required

if TYPE_CHECKING:
    import asyncio

    from pydantic import BaseModel

    from firstfault.answer.ask import Listener
    from firstfault.answer.counts import TokenCounts
    from firstfault.collection import Collection
    from firstfault.ingest import IngestReport
    from firstfault.models.adapters import Adapter
    from firstfault.models.cross_encoder import CrossEncoder
    from firstfault.models.embedder import Embedder
    from firstfault.models.generator import Generator
    from firstfault.models.store import ProgressCallback
    from firstfault.trace import TraceStore
    from firstfault.types import Hit, Metadata, Trace
    from firstfault.verify import Verifier


T = TypeVar("T")

ATTEMPTS = 3
"""How often one endpoint is asked; where there are several, the next one is asked instead."""


class Application:
    """Everything that a command works on. Close it, or use it as a context manager."""

    def __init__(
        self,
        config: Config,
        *,
        collection: str = "default",
        create: bool = False,
        progress: "ProgressCallback | None" = None,
    ) -> None:
        self.config = config
        if config.settings.home.database:
            from firstfault.collection.database import bind

            bind(config.home, config.settings)
        self._progress = progress
        self._collection_name = collection
        self._create = create
        self._generators: dict[tuple[GeneratorConfig, str | None], Generator | None] = {}
        self._cross_encoders: dict[str, CrossEncoder] = {}
        self._verifiers: dict[VerifierConfig, Verifier] = {}
        self._loads: list[tuple[str, float]] = []

    def sibling(self, settings: Settings, *, collection: str, home: Path | None = None) -> "Application":
        """An application over another collection, created when absent, that shares the models loaded here.

        Its requests run on the event loop of this one (`run`); close it before this one.
        """
        settings = settings.model_copy(update={"bulk": self.settings.bulk})  # not of an old request
        settings = settings if home in (None, self.config.home) else settings.embedded()
        config = replace(self.config, settings=settings, home=home or self.config.home)
        other = Application(config, collection=collection, create=True, progress=self._progress)
        if settings.embedder == self.settings.embedder:
            other.embedder = self.embedder
        other._generators = self._generators
        other._cross_encoders = self._cross_encoders
        other._verifiers = self._verifiers
        return other

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.config.settings

    @cached_property
    def embedder(self) -> "Embedder":
        """The embedder of the collection.

        Raises:
            MissingError: its model has not been pulled.
        """
        return open_embedder(self.settings.embedder, self._progress)

    @cached_property
    def collection(self) -> "Collection":
        """The collection, locked by this process until `close`."""
        from firstfault.collection import Collection

        return Collection.open(
            self.config.home,
            name=self._collection_name,
            settings=self.settings,
            embedder=self.embedder,
            write=self._create,
        )

    @cached_property
    def traces(self) -> "TraceStore":
        """The traces of this home; what an earlier process left unwritten is written first."""
        from firstfault.collection.database import connect
        from firstfault.trace import TraceStore

        store = TraceStore(self.config.home, connect(self.config.home), queue_size=self.settings.trace.queue)
        store.recover()
        return store

    def generator(self, settings: GeneratorConfig) -> "Generator | None":
        """The runtime for these settings, loaded once; None for the extractive generator.

        Raises:
            MissingError: the model or the adapter is not there.
        """
        adapter = find_adapter(settings, self.config.home)
        key = settings, adapter.digest if adapter else None
        if key not in self._generators:
            with self._loading(settings.model):
                self._generators[key] = open_generator(settings, self._progress, adapter=adapter)
        return self._generators[key]

    @cached_property
    def token_counts(self) -> "TokenCounts":
        """How many tokens the chunks take in a prompt."""
        from firstfault.answer.counts import TokenCounts

        return TokenCounts(self.collection)

    def cross_encoder(self, model: str | None) -> "CrossEncoder":
        """The cross-encoder of `search.rerank = "cross"`, loaded once."""
        if model is None:
            raise ConfigError(
                'search.rerank = "cross" needs search.rerank_model.',
                hint="Set it to a folder with an ONNX cross-encoder and tokenizer.json.",
            )
        if model not in self._cross_encoders:
            from firstfault.models.cross_encoder import CrossEncoder

            with self._loading(model):
                self._cross_encoders[model] = CrossEncoder(Path(model))
        return self._cross_encoders[model]

    def verifier(self, settings: VerifierConfig) -> "Verifier":
        """The verifier for these settings, loaded once."""
        if settings not in self._verifiers:
            from firstfault.verify import open_verifier

            with self._loading(f"verifier {settings.model or settings.kind}"):
                self._verifiers[settings] = open_verifier(settings, home=self.config.home)
        return self._verifiers[settings]

    def take_loads(self) -> list[tuple[str, float]]:
        """The models that were loaded since the last call, with the milliseconds that it took."""
        loads, self._loads = self._loads, []
        return loads

    @contextmanager
    def _loading(self, model: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._loads.append((model, round((time.perf_counter() - began) * 1000, 1)))

    def ingest(
        self, paths: Iterable[str | Path], *, metadata: "Metadata | None" = None, prune: bool = False
    ) -> "IngestReport":
        """Bring the collection up to date; see `firstfault.ingest.ingest`."""
        from firstfault.ingest import Chunker, ingest

        chunker = Chunker(self.settings.chunking, self.embedder)
        return ingest(self.collection, paths, chunker=chunker, metadata=metadata, prune=prune)

    def search(self, question: str, *, where: str | None = None, exact: bool = False) -> "tuple[Hit, ...]":
        """Every candidate in final order; see `firstfault.answer.search`."""
        from firstfault.answer.search import search

        return search(self, question, where=where, exact=exact)

    def ask(
        self,
        question: str,
        *,
        where: str | None = None,
        settings: Settings | None = None,
        schema: "Mapping[str, Any] | type[BaseModel] | None" = None,
        listener: "Listener | None" = None,
    ) -> "Trace":
        """Answer a question where no event loop is running; see `firstfault.answer.ask`."""
        from firstfault.answer.ask import ask

        return self.run(ask(self, question, where=where, settings=settings, schema=schema, listener=listener))

    def replay(self, trace: "Trace", changes: Mapping[str, str], *, where: str | None = None) -> "Trace":
        """Run a recorded request again; see `firstfault.answer.replay`."""
        from firstfault.answer.replay import replay

        return self.run(replay(self, trace, changes, where=where))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run asynchronous work on the application's own event loop, where no other is running."""
        return self._runner.run(work)

    async def aclose(self) -> None:
        """Write what is pending and release the home.

        Raises:
            StorageError: traces could not be written; they stay in the spool.
        """
        for generator in self._generators.values():
            if generator is not None:
                await generator.aclose()
        self._generators.clear()
        self._release()

    def close(self) -> None:
        """`aclose`; inside a running event loop, where only that can close connections, `await aclose()`."""
        if not self._generators and "_runner" not in self.__dict__:
            self._release()
        elif _is_looping():
            for generator in self._generators.values():
                if (close := getattr(generator, "close", None)) is not None:
                    close()
            self._generators.clear()
            self._release()
        else:
            with self.__dict__.pop("_runner", None) or self._runner as runner:
                runner.run(self.aclose())
            self.__dict__.pop("_runner", None)

    def _release(self) -> None:
        try:
            if "traces" in self.__dict__:
                self.traces.close()
        finally:
            if "collection" in self.__dict__:
                if "token_counts" in self.__dict__:
                    self.token_counts.save()
                self.collection.close()

    @cached_property
    def _runner(self) -> "asyncio.Runner":
        """One event loop for all synchronous calls: connections to endpoints belong to their loop."""
        import asyncio

        return asyncio.Runner()

    def __enter__(self) -> "Application":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_looping() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def find_adapter(settings: GeneratorConfig, home: Path) -> "Adapter | None":
    """The adapter that the settings name, as the home has it now; None for none and for an endpoint's.

    Raises:
        MissingError: it is not there.
        ConfigError: a generator of this kind takes no such adapter.
    """
    if settings.adapter is None:
        return None
    from firstfault.models.adapters import is_path

    if settings.kind == "extractive":
        raise ConfigError(
            "The extractive generator has no model that an adapter could change.",
            hint='Set generator.kind to "llama" or "openai", or leave generator.adapter out.',
        )
    if settings.kind == "openai":
        if is_path(settings.adapter) and settings.adapter.endswith(".gguf"):
            raise ConfigError(
                f"An endpoint takes an adapter by its name, not as a file ({settings.adapter}).",
                hint="Load it at the server, and set generator.adapter to the name it is served by.",
            )
        return None
    from firstfault.collection.adapters import find_adapter as find

    return find(home, settings.adapter)


def open_generator(
    settings: GeneratorConfig,
    progress: "ProgressCallback | None" = None,
    *,
    adapter: "Adapter | None" = None,
) -> "Generator | None":
    """The generator that the settings name; None for the extractive one, which needs no model.

    `adapter` is what `find_adapter` found; an endpoint is asked for its own by name.
    """
    if settings.kind == "extractive":
        return None
    if settings.kind == "openai":
        return _open_remote(settings)
    from firstfault.models import store
    from firstfault.models.llama import LlamaGenerator

    if store.is_known(settings.model):
        store.ensure(settings.model, progress)
    generator = LlamaGenerator(
        settings.model,
        context_window=settings.context_window,
        threads=settings.threads or None,
        adapter=adapter,
    )
    generator.load()
    return generator


def _open_remote(settings: GeneratorConfig) -> "Generator":
    from firstfault.models.pool import Member, PooledGenerator
    from firstfault.models.remote import OpenAIGenerator

    def at(url: str, attempts: int) -> OpenAIGenerator:
        return OpenAIGenerator(
            model=settings.model,
            base_url=url,
            api_key_env=settings.api_key_env,
            context_window=settings.context_window,
            timeout_s=settings.timeout_s,
            attempts=attempts,
            adapter=settings.adapter,
        )

    if not settings.endpoints:
        return at(required(settings.base_url, "generator.base_url"), ATTEMPTS)
    members = [Member(one.url, at(one.url, 1), one.weight) for one in settings.endpoints]
    return PooledGenerator(members, hedge_after_s=settings.hedge_after_s)
