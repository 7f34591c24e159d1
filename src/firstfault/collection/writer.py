"""Changes of the corpus: documents in, retired and replaced; the index follows.

In: documents cut into chunks. Out: acknowledgements, each given once the document is on disk. While one
batch is written, the next one is embedded.
"""

import hashlib
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, update

from firstfault.collection import changes
from firstfault.collection.catalog import Catalog
from firstfault.collection.changes import Vectors
from firstfault.collection.database import reading, shrink, writing
from firstfault.collection.embedding import Vectorise
from firstfault.collection.filters import values_of
from firstfault.collection.index import Index, Point
from firstfault.collection.lexical import Lexicon
from firstfault.collection.records import Acknowledged, GcReport
from firstfault.collection.schema import collections
from firstfault.errors import InputError
from firstfault.types import ChunkedDocument, Document

BATCH_CHUNKS = 512
"""Chunks that are embedded and committed together."""
BATCH_DOCUMENTS = 512
"""Documents that are committed together, however few chunks they have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A document with the hashes of its chunks' texts."""

    document: Document
    spans: tuple[tuple[int, int], ...]
    hashes: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Batch:
    """Documents on their way to the disk."""

    entries: list[_Entry] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    """Hash → text, of every chunk."""
    size: int = 0
    """Chunks."""

    def add(self, chunked: ChunkedDocument) -> None:
        spans = tuple(dict.fromkeys(chunked.spans))
        pieces = [chunked.document.text[start:end] for start, end in spans]
        hashes = tuple(hashlib.sha256(piece.encode()).hexdigest() for piece in pieces)
        self.entries.append(_Entry(document=chunked.document, spans=spans, hashes=hashes))
        self.texts.update(zip(hashes, pieces, strict=True))
        self.size += len(spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Embedded:
    """The vectors of a batch, by text hash."""

    vectors: Mapping[str, Vectors]
    cached: frozenset[str]
    """Those that came from the embedding cache."""


class Writer:
    """Writes one collection: the catalog first, in one transaction a batch; then the index."""

    def __init__(self, catalog: Catalog, index: Index, *, placed: str, space: str, lexicon: Lexicon) -> None:
        self._catalog = catalog
        self._engine = catalog.engine
        self._index = index
        self._space = space
        self._lexicon = lexicon
        self._placed = placed
        self._settled = False
        self.version = 0
        """The corpus clock."""
        self.average_length = 0
        """Terms per chunk that BM25 weights are made with; 0 until the first chunk."""
        self.refresh()

    def refresh(self) -> None:
        """Take over what another process may have changed since."""
        row = self._catalog.row()
        self._settled = row.indexed == row.version and row.placed == self._placed
        self.version = row.version
        self.average_length = row.average_length

    def add_all(self, incoming: Iterable[ChunkedDocument], vectorise: Vectorise) -> Iterator[Acknowledged]:
        """Store documents; yields each once it is on disk, in the order given.

        Raises:
            InputError: a document cannot be stored (see `check_document`).
            StorageError: the disk refused; what was acknowledged is kept.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="ingest") as pool:
            ahead: deque[tuple[_Batch, Future[_Embedded]]] = deque()
            try:
                for batch in _batches(incoming):
                    ahead.append((batch, pool.submit(self._embed, batch, vectorise)))
                    if len(ahead) > 1:
                        yield from self._write(*ahead.popleft())
                while ahead:
                    yield from self._write(*ahead.popleft())
            finally:
                pool.shutdown(cancel_futures=True)
        self.settle()

    def retire(self, document_ids: Iterable[str]) -> int:
        """End the validity of documents; absent ones are passed over. Returns how many there were."""
        with writing(self._engine) as connection:
            live = changes.live_revisions(connection, self._catalog.id, dict.fromkeys(document_ids))
            if not live:
                return 0
            version = self.version + 1
            changes.begin_version(connection, self._catalog.id, version, self.average_length)
            keys = changes.retire(connection, self._catalog.id, list(live.values()), version)
        self.version, self._settled = version, False
        self._index.retire(keys, version)
        self.settle()
        return len(live)

    def gc(self, before: datetime) -> GcReport:
        """Drop revisions that were retired before a time, and cached vectors that nothing needs."""
        with writing(self._engine) as connection:
            revisions, keys = changes.drop_retired(connection, self._catalog.id, before)
            orphans = changes.drop_orphans(connection)
            if keys:
                ours = collections.c.id == self._catalog.id
                connection.execute(update(collections).where(ours).values(indexed=-1))
        if keys:
            self._settled = False
            self._index.delete(keys)
            self.settle()
        freed = shrink(self._engine)
        return GcReport(documents=revisions, chunks=len(keys), embeddings=orphans, bytes_freed=freed)

    def settle(self) -> None:
        """Make the index durable, and note that it agrees with the catalog."""
        if self._settled:
            return
        self._index.settle()
        self.mark()

    def mark(self) -> None:
        """Note that the index, as it is, agrees with the catalog."""
        points = self._index.info().points
        with writing(self._engine) as connection:
            ours = collections.c.id == self._catalog.id
            values = {"indexed": self.version, "points": points, "placed": self._placed}
            connection.execute(update(collections).where(ours).values(values))
        self._settled = True

    def restore(self, keys: Sequence[int]) -> None:
        """Give the index what the catalog holds for these keys."""
        self._settled = False
        vectors = self._catalog.vectors(keys)
        self._index.upsert(
            [
                Point(
                    key=key,
                    dense=vectors[key],
                    sparse=self._lexicon.document(text, self.average_length),
                    metadata=metadata,
                    valid_from=span.valid_from,
                    valid_to=span.valid_to,
                )
                for key, (text, metadata, span) in self._catalog.index_rows(keys).items()
            ]
        )

    def remove(self, keys: Sequence[int]) -> None:
        """Take points out of the index that the catalog does not have."""
        self._settled = False
        self._index.delete(keys)

    def remeasure(self) -> None:
        """Take the average length of a chunk from the live chunks; the index must be made anew after it."""
        self.average_length = self._mean_length(self._catalog.live_texts())
        with writing(self._engine) as connection:
            ours = collections.c.id == self._catalog.id
            values = {"average_length": self.average_length, "indexed": -1}
            connection.execute(update(collections).where(ours).values(values))
        self._settled = False

    def _embed(self, batch: _Batch, vectorise: Vectorise) -> _Embedded:
        """Vectors of every text of the batch: from the cache, else from the embedder."""
        with reading(self._engine) as connection:
            vectors = changes.look_up(connection, self._space, batch.texts)
        cached = frozenset(vectors)
        missing = [text_hash for text_hash in batch.texts if text_hash not in cached]
        owners = {text_hash: entry.document.id for entry in batch.entries for text_hash in entry.hashes}
        made = vectorise([batch.texts[one] for one in missing], [owners[one] for one in missing])
        vectors.update(zip(missing, made, strict=True))
        return _Embedded(vectors=vectors, cached=cached)

    def _write(self, batch: _Batch, future: Future[_Embedded]) -> Iterator[Acknowledged]:
        """Commit a batch, bring the index up to it, and acknowledge its documents."""
        embedded = future.result()
        collection = self._catalog.id
        version = self.version + 1
        average_length = self.average_length or self._mean_length(batch.texts.values())
        with writing(self._engine) as connection:
            live = changes.live_revisions(connection, collection, [e.document.id for e in batch.entries])
            fresh = [entry for entry in batch.entries if not _is_live(entry.document, live)]
            retired: list[int] = []
            keys: list[int] = []
            if fresh:
                changes.begin_version(connection, collection, version, average_length)
                replaced = [live[entry.document.id] for entry in fresh if entry.document.id in live]
                retired = changes.retire(connection, collection, replaced, version)
                keys = self._store(connection, fresh, batch, embedded, version)
            changes.forget_failures(connection, collection, {e.document.source for e in batch.entries})
        if fresh:
            self.version, self.average_length, self._settled = version, average_length, False
            self._follow(fresh, batch, embedded, keys, retired)
        for entry in batch.entries:
            before = live.get(entry.document.id)
            unchanged = before is not None and before.revision == entry.document.revision
            yield Acknowledged(
                document_id=entry.document.id,
                source=entry.document.source,
                chunks=len(entry.spans),
                cached=sum(text_hash in embedded.cached for text_hash in entry.hashes),
                truncated=sum(embedded.vectors[text_hash].truncated for text_hash in entry.hashes),
                replaced=before is not None and not unchanged,
                unchanged=unchanged,
                dropped=tuple(sorted(set(before.metadata) - set(entry.document.metadata))) if before else (),
            )

    def _store(
        self, connection: Connection, entries: list[_Entry], batch: _Batch, embedded: _Embedded, version: int
    ) -> list[int]:
        """Add revisions with their chunks and vectors. Returns the keys of the chunks, in order."""
        needed = {text_hash: embedded.vectors[text_hash] for entry in entries for text_hash in entry.hashes}
        cache = changes.store_vectors(connection, self._space, needed)
        revisions = [entry.document for entry in entries]
        rows = changes.store_documents(connection, self._catalog.id, revisions, version)
        values = [
            {
                "document_row": row,
                "embedding_row": cache[text_hash],
                "start": start,
                "end": end,
                "text": batch.texts[text_hash],
            }
            for entry, row in zip(entries, rows, strict=True)
            for text_hash, (start, end) in zip(entry.hashes, entry.spans, strict=True)
        ]
        return changes.store_chunks(connection, values)

    def _follow(
        self,
        entries: list[_Entry],
        batch: _Batch,
        embedded: _Embedded,
        keys: list[int],
        retired: list[int],
    ) -> None:
        """Bring the index up to what was just committed."""
        self._index.ensure_fields(changes.field_counts(entry.document.metadata for entry in entries))
        if retired:
            self._index.retire(retired, self.version)
        pieces = [(entry.document.metadata, text_hash) for entry in entries for text_hash in entry.hashes]
        points = [
            Point(
                key=key,
                dense=embedded.vectors[text_hash].dense,
                sparse=self._lexicon.document(batch.texts[text_hash], self.average_length),
                metadata=metadata,
                valid_from=self.version,
            )
            for key, (metadata, text_hash) in zip(keys, pieces, strict=True)
        ]
        if points:
            self._index.upsert(points)

    def _mean_length(self, texts: Iterable[str]) -> int:
        """Terms per text, at least 1; 0 when there is no text."""
        lengths = [self._lexicon.length(text) for text in texts]
        return max(1, round(sum(lengths) / len(lengths))) if lengths else 0


def check_document(chunked: ChunkedDocument) -> None:
    """Whether a document can be stored.

    Raises:
        InputError: it has no id, its text is not valid Unicode, a chunk lies outside it, or a metadata value
            cannot be filtered on.
    """
    document = chunked.document
    if not document.id:
        raise InputError(f"A document from {document.source} has no id.", hint="Give it one.")
    if any("\ud800" <= character <= "\udfff" for character in document.text):
        message = f"The text of '{document.id}' holds half a surrogate pair, which is not Unicode."
        raise InputError(message, hint="Decode the source with the right encoding.")
    for start, end in chunked.spans:
        if not 0 <= start < end <= len(document.text):
            message = f"A chunk of '{document.id}' spans {start}-{end} of {len(document.text)} characters."
            raise InputError(message, hint="Chunks must lie inside the text and not be empty.")
    for name in document.metadata:
        for value in values_of(document.metadata, name):
            if not name or not _is_filterable(value):
                message = f"The metadata field '{name}' of '{document.id}' holds {str(value)[:60]!r}."
                raise InputError(message, hint="Values are text, numbers, true or false, or lists of them.")


def _is_filterable(value: object) -> bool:
    if isinstance(value, int | float):
        try:
            return math.isfinite(value)
        except OverflowError:
            return False
    return isinstance(value, str)


def _is_live(document: Document, live: Mapping[str, changes.LiveRevision]) -> bool:
    return document.id in live and live[document.id].revision == document.revision


def _batches(incoming: Iterable[ChunkedDocument]) -> Iterator[_Batch]:
    """Group documents, each id at most once in a batch."""
    batch = _Batch()
    ids: set[str] = set()
    for chunked in incoming:
        check_document(chunked)
        full = batch.size >= BATCH_CHUNKS or len(batch.entries) >= BATCH_DOCUMENTS
        if full or chunked.document.id in ids:
            yield batch
            batch, ids = _Batch(), set()
        batch.add(chunked)
        ids.add(chunked.document.id)
    if batch.entries:
        yield batch
