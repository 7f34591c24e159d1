"""A collection: documents that can be searched, with the catalog as the truth and the index derived from it.

In: chunked documents, questions, vectors, filters. Out: candidates with scores, chunks, documents.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from platform import node
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, Row, delete, insert, select

from firstfault.collection import changes, filters
from firstfault.collection.catalog import Catalog
from firstfault.collection.check import check
from firstfault.collection.database import bind, connect, insert_new, reading, size_of, writing
from firstfault.collection.embedding import vectoriser
from firstfault.collection.filters import FieldKind, Filter
from firstfault.collection.index import Index
from firstfault.collection.lexical import DEFAULT_LANGUAGE, Lexicon
from firstfault.collection.lock import HomeLock
from firstfault.collection.place import EdgePlace, Place, QdrantPlace
from firstfault.collection.postgres import enter, is_shared, leave, sole_writer
from firstfault.collection.readonly import borrow, give_back, is_read_only
from firstfault.collection.records import (
    Acknowledged,
    CollectionInfo,
    DocumentRow,
    Failure,
    GcReport,
    Lifetime,
    Recovery,
    Revision,
)
from firstfault.collection.recovery import agrees, open_index, reconcile
from firstfault.collection.schema import collections, failures
from firstfault.collection.writer import Writer
from firstfault.config import IndexConfig, Settings
from firstfault.errors import ConfigError, InputError, MismatchError, MissingError
from firstfault.models.embedder import Embedder, FloatArray
from firstfault.types import Candidate, Chunk, ChunkedDocument, Document, Verdict

if TYPE_CHECKING:
    from firstfault.collection.move import Move, Progress

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class Collection:
    """An open collection. Close it, or use it as a context manager.

    One process at a time, unless the database is a PostgreSQL and the index in a cluster: then any number may
    search, and those that change the corpus take turns.
    """

    def __init__(
        self,
        home: Path,
        *,
        lock: HomeLock,
        engine: Engine,
        presence: Connection | None,
        row: Row[Any],
        settings: Settings,
        embedder: Embedder | None,
    ) -> None:
        """Use `Collection.open`."""
        self.name: str = row.name
        self.home = home
        self._lock = lock
        self._engine = engine
        self._presence = presence
        self._settings = settings
        self._embedder = embedder
        self._row = row
        self._catalog = Catalog(engine, row.id)
        self._lexicon = Lexicon(row.language)
        self._fields: tuple[int, dict[str, set[FieldKind]]] | None = None
        self._folder = home / "index" / row.name
        self.read_only = is_read_only(home)
        """Whether the home cannot be written; the index is then searched in a temporary copy."""
        if self.read_only and settings.index.kind == "edge":
            self._folder = borrow(self._folder)
        self._place = self._new_place()
        self._index, reason = open_index(self._place, self._catalog)
        self._writer = self._new_writer()
        done = Recovery()
        if presence is None or not agrees(self._catalog, self._index, self._place):
            with sole_writer(engine, row.id, wait=False) as alone:
                if alone:  # else another process is at it
                    done = reconcile(self._catalog, self._index, self._writer, self._place)
        self.recovery = Recovery(added=done.added, removed=done.removed, rebuilt=reason)
        """What had to be repaired in the index when the collection was opened."""

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        name: str = "default",
        settings: Settings,
        embedder: Embedder | None = None,
        write: bool = True,
    ) -> "Collection":
        """Open a collection; `write` says whether it is created when it is absent.

        `embedder` is needed to create it and to add documents. `settings.index.language` is taken when the
        collection is created.

        Raises:
            LockedError: another process has the home.
            MissingError: there is no such collection and it must not be created.
            MismatchError: it was made with another embedder or language, or by a newer Firstfault.
            StorageError: the disk refused.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"'{name}' cannot be the name of a collection.",
                hint="Use letters, digits, - and _; at most 63, beginning with a letter or digit.",
            )
        bind(home, settings)
        engine = connect(home, create=write)
        lock = HomeLock(home, name)
        try:
            row = _find(engine, name)
            if row is None:
                language = settings.index.language or DEFAULT_LANGUAGE
                row = _create(engine, home, name, embedder if write else None, language)
            _compare_language(row, settings.index.language)
            if embedder is not None:
                _compare_embedder(row, embedder)
            presence = None
            if is_shared(engine):
                presence = enter(engine, row.id, name, alone=settings.index.kind == "edge")
            return cls(
                home,
                lock=lock,
                engine=engine,
                presence=presence,
                row=row,
                settings=settings,
                embedder=embedder,
            )
        except BaseException:
            lock.release()
            engine.dispose()
            raise

    @property
    def version(self) -> int:
        """The corpus clock: one more after every committed change of the corpus."""
        return self._writer.version if self._presence is None else self._catalog.row().version

    def add_all(self, incoming: Iterable[ChunkedDocument]) -> Iterator[Acknowledged]:
        """Store documents; yields each once it survives a crash, in the order given.

        A revision that is live already is acknowledged as unchanged; another revision of the same document
        is retired in the same transaction. Texts whose vectors are cached are not embedded again. When all
        is in, the graph of the index is built: consume the iterator to its end.

        Raises:
            InputError: a document cannot be stored (see `check_document`).
            StorageError: the disk refused; what was acknowledged is kept, the rest can be given again.
        """
        if self._embedder is None:
            raise ConfigError("Documents cannot be added without an embedder.", hint="Open it with one.")
        return self._add_all(incoming, self._embedder)

    def _add_all(self, incoming: Iterable[ChunkedDocument], embedder: Embedder) -> Iterator[Acknowledged]:
        with self._alone(), vectoriser(self._settings, embedder) as vectorise:
            yield from self._writer.add_all(incoming, vectorise)

    def retire(self, document_ids: Iterable[str]) -> int:
        """Take documents out of the corpus; their revisions stay for replays until `gc`.

        Returns how many of them were live.
        """
        with self._alone():
            return self._writer.retire(document_ids)

    def gc(self, *, before: datetime) -> GcReport:
        """Drop revisions retired before a time, and cached vectors that no chunk needs."""
        with self._alone():
            return self._writer.gc(before)

    def rebuild_index(self) -> None:
        """Make the index anew, from the catalog alone; nothing is embedded again.

        The average length of a chunk, which BM25 needs, is measured anew as well.
        """
        with self._alone():
            self._index.close()
            self._place = self._new_place()
            self._place.clear()
            self._writer.remeasure()  # after the old index is gone: its weights are of the old length
            self._index = self._place.open()
            self._writer = self._new_writer()
            reconcile(self._catalog, self._index, self._writer, self._place)

    def revisions(self) -> dict[str, str]:
        """Live document id → revision."""
        return self._catalog.revisions()

    def revisions_of(self, document_id: str) -> list[Revision]:
        """Every revision of a document that is still kept, retired ones included, oldest first."""
        return self._catalog.revisions_of(document_id)

    def lifetimes(self) -> list[Lifetime]:
        """Every text that a document has had and that is still kept, by document, oldest first."""
        return self._catalog.lifetimes()

    def record_failure(
        self, source: str, reason: str, *, document_id: str | None = None, stale: int = 0
    ) -> None:
        """Note that a source could not be ingested; forgotten when one of its documents is stored.

        `document_id` is the document that it would have become; `stale` says how many documents are served
        as an earlier ingest read them, since this source could not be read.
        """
        values = {
            "collection_id": self._row.id,
            "source": source,
            "reason": reason,
            "at": changes.now(),
            "document_id": document_id,
            "stale": stale,
        }
        ours = (failures.c.collection_id == self._row.id, failures.c.source == source)
        with writing(self._engine) as connection:
            connection.execute(delete(failures).where(*ours))
            connection.execute(insert(failures).values(values))

    def forget_failures(self, sources: Iterable[str]) -> None:
        """Drop what was noted against sources, e.g. because they no longer exist."""
        with writing(self._engine) as connection:
            changes.forget_failures(connection, self._row.id, sources)

    def failures(self) -> list[Failure]:
        """Sources that could not be ingested, by name."""
        return self._catalog.failures()

    def document(self, document_id: str, *, version: int | None = None) -> Document:
        """A document as it was at a version (None = now).

        Raises:
            InputError: there was none.
        """
        return self._catalog.document(document_id, version)

    def documents(self) -> Iterator[DocumentRow]:
        """Live documents, by id."""
        return self._catalog.documents()

    def chunk(self, chunk_id: str, *, version: int | None = None) -> Chunk:
        """The chunk with this id; without a version also one that was retired since.

        Raises:
            InputError: there is none.
        """
        return self._catalog.chunk(chunk_id, version)

    def chunks_of(self, document_id: str, *, version: int | None = None) -> list[tuple[int, Chunk]]:
        """Keys and chunks of a document, in the order of the text."""
        return self._catalog.chunks_of(document_id, version)

    def fetch(self, keys: Sequence[int], *, version: int | None = None) -> dict[int, Chunk]:
        """The chunks behind keys, in their order: those valid at a version (None = now)."""
        return self._catalog.fetch(keys, version)

    def token_vectors(self, keys: Sequence[int]) -> dict[int, bytes]:
        """Compressed token vectors of chunks (`models.tokenvectors`); empty where none were stored."""
        return self._catalog.token_vectors(keys)

    def vectors(self, keys: Iterable[int]) -> dict[int, FloatArray]:
        """The stored vectors (dimension,) of chunks, live or retired, as the embedder made them.

        Keys that the catalog does not have are absent.
        """
        return {
            key: vector for part in changes.parts(keys) for key, vector in self._catalog.vectors(part).items()
        }

    def token_counts(self, counter: str, keys: Sequence[int]) -> dict[int, int]:
        """Tokens that chunks take in a prompt, where the generator with this fingerprint has counted them."""
        return self._catalog.token_counts(counter, keys)

    def remember_token_counts(self, counter: str, counts: Mapping[int, int]) -> None:
        """Keep what a generator counted, key → tokens, until `gc` drops the chunk."""
        self._catalog.remember_token_counts(counter, counts)

    def dense(
        self,
        vector: FloatArray,
        *,
        where: Filter | None = None,
        limit: int,
        exact: bool = False,
        version: int | None = None,
        ef: int | None = None,
    ) -> list[Candidate]:
        """The nearest chunks by cosine among those that pass the filter, best first.

        `exact` compares with every one of them instead of walking the graph; `ef` is how many candidates the
        walk considers, from the settings when None.

        Raises:
            InputError: the filter names a field that no document has (only without a version).
        """
        return self._index.dense(
            vector,
            where=self._checked(where, version),
            version=self._past(version),
            limit=limit,
            ef=ef or self._settings.index.hnsw_ef,
            exact=exact,
        )

    def bm25(
        self, question: str, *, where: Filter | None = None, limit: int, version: int | None = None
    ) -> list[Candidate]:
        """The best chunks by BM25 among those that share a term with the question and pass the filter.

        Raises:
            InputError: the filter names a field that no document has (only without a version).
        """
        return self._index.sparse(
            self._lexicon.question(question),
            where=self._checked(where, version),
            version=self._past(version),
            limit=limit,
        )

    def fields(self) -> dict[str, set[FieldKind]]:
        """Metadata fields of live documents, with the kinds of their values."""
        if self._fields is None or self._fields[0] != self.version:
            self._fields = (self.version, self._catalog.fields())
        return self._fields[1]

    def check_filter(self, where: Filter) -> None:
        """Compare a filter with the metadata that live documents have.

        Raises:
            InputError: a field that none has, or a value of a kind that the field never holds.
        """
        filters.check(where, self.fields())

    def changed_at(self, version: int) -> str | None:
        """When a version of the corpus began: UTC, ISO 8601; None when there is no such version."""
        return self._catalog.changed_at(version)

    def info(self) -> CollectionInfo:
        """Its size and state."""
        counts = self._catalog.counts()
        index = self._index.info()
        return CollectionInfo(
            name=self.name,
            version=self.version,
            changed_at=self._catalog.changed_at(self.version),
            documents=counts["documents"],
            chunks=counts["chunks"],
            retired_documents=counts["retired_documents"],
            retired_chunks=counts["retired_chunks"],
            failures=len(self.failures()),
            cached_embeddings=counts["embeddings"],
            index_points=index.points,
            index_graphed=index.graphed,
            bytes_database=size_of(self._engine),
            bytes_index=self._place.size(),
            embedder=self._row.embedder,
            fingerprint=self._row.fingerprint,
            dimension=self._row.dimension,
            language=self._row.language,
            fields={name: tuple(sorted(kinds)) for name, kinds in sorted(self.fields().items())},
        )

    def announce(self, url: str) -> None:
        """Say in the home's lock where this process can be reached over HTTP."""
        self._lock.announce(url)

    def check(self) -> list[Verdict]:
        """Whether what is stored holds together, for the doctor."""
        return list(check(self._catalog, self._index, self._place))

    def copy_index(self, to: IndexConfig, progress: "Progress") -> "Move":
        """Copy the index to another place and verify it; where that holds, the catalog relies on it from now.

        The settings that name the place are still to be changed by hand.

        Raises:
            InputError: it is there already.
            RemoteError: the cluster cannot be reached; what was copied is kept for the next try.
        """
        from firstfault.collection.move import move

        with self._alone():
            place = self._new_place(to)
            if place.name == self._place.name:
                raise InputError(
                    f"The index is at {place.name} already.", hint="Name another place: a URL, or edge."
                )
            target = place.open()
            try:
                writer = self._new_writer(target, place)
                return move(
                    self._catalog,
                    self._lexicon,
                    source=(self._index, self._place),
                    target=(target, place),
                    writer=writer,
                    progress=progress,
                )
            finally:
                target.close()

    def close(self) -> None:
        """Release the home. Further use is an error; closing again is not."""
        if "_closed" in self.__dict__:
            return
        self._closed = True
        try:
            self._index.close()
        finally:
            if self._presence is not None:
                leave(self._presence)
            self._engine.dispose()
            self._lock.release()
            if self.read_only and self._settings.index.kind == "edge":
                give_back(self._folder)

    def __enter__(self) -> "Collection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _checked(self, where: Filter | None, version: int | None) -> Filter | None:
        """The filter; the fields of the past are not known, so it is only compared with those of now."""
        if where is not None and self._past(version) is None:
            self.check_filter(where)
        return where

    def _past(self, version: int | None) -> int | None:
        """The version, or None when it is the current one: the index is fastest there."""
        return None if version is None or version == self.version else version

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While the corpus changes: the only writer among all processes, on top of what the last one left."""
        with sole_writer(self._engine, self._row.id):
            if self._presence is not None:
                self._writer.refresh()
                reconcile(self._catalog, self._index, self._writer, self._place)
            yield

    def _new_place(self, settings: IndexConfig | None = None) -> Place:
        settings = settings or self._settings.index
        if settings.kind == "qdrant":
            return QdrantPlace(self._row.identity, self._row.dimension, settings)
        name = "edge" if self._presence is None else f"edge {node()} {self._folder.resolve()}"
        return EdgePlace(self._folder, self._row.dimension, settings, name=name)

    def _new_writer(self, index: Index | None = None, place: Place | None = None) -> Writer:
        space = f"{self._row.fingerprint}:{self._row.token_format}"
        placed = (place or self._place).name
        return Writer(self._catalog, index or self._index, placed=placed, space=space, lexicon=self._lexicon)


def _find(engine: Engine, name: str) -> Row[Any] | None:
    with reading(engine) as connection:
        return connection.execute(select(collections).where(collections.c.name == name)).one_or_none()


def _create(engine: Engine, home: Path, name: str, embedder: Embedder | None, language: str) -> Row[Any]:
    if embedder is None:
        raise MissingError(
            f"There is no collection '{name}' in {home} yet.", hint="Make it: firstfault ingest PATH"
        )
    Lexicon(language)
    values = {
        "name": name,
        "embedder": embedder.name,
        "fingerprint": embedder.fingerprint,
        "dimension": embedder.dimension,
        "token_format": _token_format(embedder),
        "language": language,
        "average_length": 0,
        "version": 0,
        "indexed": 0,
        "points": 0,
        "identity": uuid4().hex,
    }
    with writing(engine) as connection:
        connection.execute(insert_new(connection, collections), values)
    row = _find(engine, name)
    assert row is not None
    return row


def _compare_embedder(row: Row[Any], embedder: Embedder) -> None:
    """Refuse vectors of one embedder in a collection of another."""
    if row.fingerprint == embedder.fingerprint and row.token_format == _token_format(embedder):
        return
    raise MismatchError(
        f"The collection '{row.name}' was made with the embedder {row.embedder} ({row.fingerprint[:12]}), "
        f"and the settings name {embedder.name} ({embedder.fingerprint[:12]}): "
        "their vectors cannot be compared.",
        hint=f"Set embedder.model back to {row.embedder}, or ingest into another --collection or --home.",
    )


def _compare_language(row: Row[Any], language: str | None) -> None:
    """Refuse to search stems of one language with those of another."""
    if language is None or language == row.language:
        return
    raise MismatchError(
        f"The collection '{row.name}' was made with index.language = {row.language!r}, "
        f"and the settings say {language!r}: their terms cannot be compared.",
        hint=f"Set index.language back to {row.language!r}, or ingest into another --collection or --home.",
    )


def _token_format(embedder: Embedder) -> str:
    if not embedder.late_interaction:
        return ""
    from firstfault.models.tokenvectors import FORMAT

    return FORMAT
