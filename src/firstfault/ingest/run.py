"""One ingest as it happens: what it needs of a collection, what it counts, and the report at the end."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from firstfault.ingest.chunking import Chunker
from firstfault.ingest.sources import Failed, file_of
from firstfault.types import ChunkedDocument, Document

_BATCH_DOCUMENTS = 64
_BATCH_CHARACTERS = 400_000
"""Documents are cut in batches of this size, so that tokenization uses every core."""


class Acknowledgement(Protocol):
    """What the collection says about a document that is on disk."""

    @property
    def document_id(self) -> str: ...  # noqa: D102
    @property
    def chunks(self) -> int: ...  # noqa: D102
    @property
    def cached(self) -> int: ...  # noqa: D102
    @property
    def truncated(self) -> int: ...  # noqa: D102
    @property
    def replaced(self) -> bool: ...  # noqa: D102
    @property
    def dropped(self) -> Sequence[str]: ...  # noqa: D102


class StoredDocument(Protocol):
    """A live document of the collection."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102


class RecordedFailure(Protocol):
    """A source that an earlier ingest could not read."""

    @property
    def source(self) -> str: ...  # noqa: D102


class Collection(Protocol):
    """What ingest needs of a collection."""

    def revisions(self) -> dict[str, str]:
        """Live document id → revision."""

    def documents(self) -> Iterable[StoredDocument]:
        """Live documents."""

    def add_all(self, documents: Iterable[ChunkedDocument]) -> Iterator[Acknowledgement]:
        """Embed, commit and index; yield each document once it is on disk."""

    def retire(self, document_ids: Iterable[str]) -> int:
        """Take documents out of what is live; returns how many were."""

    def failures(self) -> Sequence[RecordedFailure]:
        """Sources that could not be ingested."""

    def record_failure(
        self, source: str, reason: str, *, document_id: str | None = None, stale: int = 0
    ) -> None:
        """Remember that a source could not be ingested."""

    def forget_failures(self, sources: Iterable[str]) -> None:
        """Drop what was remembered against sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an ingest is."""

    done: int
    """Documents that are finished: on disk, unchanged, or failed."""
    total: int
    """Documents in all; 0 when it is not known."""
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What an ingest did."""

    added: int
    replaced: int
    unchanged: int
    retired: int
    failed: tuple[Failed, ...]
    """Sources that did not become documents. The next ingest tries them again."""
    notes: tuple[str, ...]
    """What deserves a look though it is no failure: `place: what`."""
    skipped: Mapping[str, int]
    """Suffix → number of files in folders that were passed over because nothing reads them."""
    chunks: int
    """Chunks of the documents added and replaced."""
    cached: int
    """Chunks among them whose vectors came from the embedding cache."""
    truncated: int
    """Chunks among them that are longer than the embedder reads."""
    bytes: int
    """Size of all sources that were looked at."""
    seconds: float

    @property
    def documents_per_second(self) -> float:
        """Documents looked at, changed or not, per second."""
        return (self.added + self.replaced + self.unchanged) / max(self.seconds, 1e-9)

    @property
    def chunks_per_second(self) -> float:
        """Chunks written per second."""
        return self.chunks / max(self.seconds, 1e-9)


@dataclass
class Run:
    """The state of one ingest."""

    collection: Collection
    chunker: Chunker
    progress: Callable[[Progress], None] | None
    started: float = field(default_factory=time.perf_counter)
    live: dict[str, str] = field(init=False)
    sizes: dict[str, int] = field(default_factory=dict)
    current: set[str] = field(default_factory=set)
    """Documents that the collection now holds as their sources are."""
    failed: list[Failed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    total: int = 0
    bytes_total: int = 0
    done: int = 0
    bytes_done: int = 0
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    chunks: int = 0
    cached: int = 0
    truncated: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Metadata field → number of documents that had it and have it no more."""

    def __post_init__(self) -> None:
        self.live = self.collection.revisions()

    def feed(self, documents: Iterable[Document]) -> None:
        """Cut the documents and hand them to the collection, counting what it acknowledges."""
        for done in self.collection.add_all(_cut(self.chunker, documents)):
            self.added += not done.replaced
            self.replaced += done.replaced
            self.chunks += done.chunks
            self.cached += done.cached
            self.truncated += done.truncated
            self.dropped.update(done.dropped)
            self.current.add(done.document_id)
            self.finish(self.sizes.pop(done.document_id, 0))

    def finish(self, size: int) -> None:
        """Count a source as finished and tell whoever is watching."""
        self.done += 1
        self.bytes_done += size
        if self.progress is not None:
            self.progress(
                Progress(
                    done=self.done,
                    total=self.total,
                    bytes_done=self.bytes_done,
                    bytes_total=self.bytes_total,
                )
            )

    def fail(self, place: str, reason: str, size: int, document_id: str | None) -> None:
        """Record a source that did not become a document."""
        self.failed.append(Failed(source=place, reason=reason, document_id=document_id))
        self.finish(size)

    def is_unchanged(self, document_id: str, revision: str, size: int) -> bool:
        """Whether the collection has this very revision; counts it if so."""
        if self.live.get(document_id) != revision:
            self.sizes[document_id] = size
            return False
        self.unchanged += 1
        self.current.add(document_id)
        self.finish(size)
        return True

    @cached_property
    def sources_of_live(self) -> dict[str, str]:
        """Live document id → where it came from. Read when first asked for: few runs need it."""
        return {row.id: row.source for row in self.collection.documents()}

    def record_failures(self) -> None:
        """Tell the collection what failed, so that `status` can show it."""
        self.failed = [replace(failure, stale=self._stale(failure)) for failure in self.failed]
        for failure in self.failed:
            self.collection.record_failure(
                failure.source, failure.reason, document_id=failure.document_id, stale=failure.stale
            )

    def _stale(self, failure: Failed) -> int:
        """How many documents an earlier ingest read from a source that cannot be read now."""
        if failure.document_id is not None:
            source = self.sources_of_live.get(failure.document_id)
            if source is None or failure.document_id in self.current:
                return 0
            file = file_of(source)
            return int(file == file_of(failure.source) or not file.exists())
        inside = (f"{failure.source}:", f"{failure.source}/")
        return sum(
            document_id not in self.current and (source == failure.source or source.startswith(inside))
            for document_id, source in self.sources_of_live.items()
        )

    def _lost_metadata(self) -> Iterator[str]:
        """What was dropped, in one sentence: an ingest without the earlier --meta takes it away."""
        if self.dropped:
            fields = ", ".join(
                f"{name} dropped on {count:,} document{'' if count == 1 else 's'}"
                for name, count in sorted(self.dropped.items())
            )
            yield f"metadata changed: {fields}; to keep a field, ingest with the same --meta as before"

    def report(self, retired: int, skipped: Mapping[str, int]) -> IngestReport:
        """Sum up."""
        return IngestReport(
            added=self.added,
            replaced=self.replaced,
            unchanged=self.unchanged,
            retired=retired,
            failed=tuple(self.failed),
            notes=(*self.notes, *self._lost_metadata()),
            skipped=dict(sorted(skipped.items())),
            chunks=self.chunks,
            cached=self.cached,
            truncated=self.truncated,
            bytes=self.bytes_done,
            seconds=time.perf_counter() - self.started,
        )


def _cut(chunker: Chunker, documents: Iterable[Document]) -> Iterator[ChunkedDocument]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if len(batch) >= _BATCH_DOCUMENTS or characters >= _BATCH_CHARACTERS:
            yield from chunker.chunk_all(batch)
            batch, characters = [], 0
    if batch:
        yield from chunker.chunk_all(batch)
