"""The catalog of one collection: every revision of every document, when it was valid, and its chunks.

In: ids, keys, a corpus version. Out: documents and chunks as they were at that version. Nothing of the
corpus is changed here; `writer` does that.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, Engine, Row, Select, and_, func, or_, select

from firstfault.collection.database import insert_new, reading, writing
from firstfault.collection.filters import FieldKind
from firstfault.collection.index import FOREVER, Span
from firstfault.collection.records import DocumentRow, Failure, Lifetime, Revision
from firstfault.collection.schema import (
    chunks,
    collections,
    documents,
    embeddings,
    failures,
    fields,
    token_counts,
    versions,
)
from firstfault.errors import InputError
from firstfault.models.embedder import FloatArray
from firstfault.types import Chunk, Document, Metadata

_CHUNK_ID = re.compile(r"(?P<document>.*)@(?P<revision>[0-9a-f]{8}):(?P<start>\d+)-(?P<end>\d+)", re.DOTALL)
_OWNER_COLUMNS = (
    documents.c.id,
    documents.c.collection_id,
    documents.c.document_id,
    documents.c.revision,
    documents.c.title,
    documents.c.metadata,
    documents.c.valid_from,
    documents.c.valid_to,
)
_CHUNKS_WITH_OWNERS = """
    SELECT c.id, c.start, c."end", c.text,
        d.id, d.collection_id, d.document_id, d.revision, d.title, d.metadata, d.valid_from, d.valid_to
    FROM json_each(?) AS k CROSS JOIN chunks AS c ON c.id = k.value
    CROSS JOIN documents AS d ON d.id = c.document_row
"""
_STORED_SIGNS = """
    SELECT c.id, e.tokens FROM json_each(?) AS k CROSS JOIN chunks AS c ON c.id = k.value
    CROSS JOIN embeddings AS e ON e.id = c.embedding_row
"""
_COUNTED = """
    SELECT t.chunk, t.tokens FROM json_each(?) AS k CROSS JOIN token_counts AS t ON t.chunk = k.value
    AND t.counter = ?
"""
# These three run in every request, so they are written for SQLite as they stand: one text however many keys,
# which it compiles once, and CROSS JOIN, which it does not reorder. As expressions they took 4 x as long.
# PostgreSQL takes the keys as an array.


class _Statements(NamedTuple):
    """The statements of every request, in one dialect."""

    chunks_with_owners: str
    stored_signs: str
    counted: str


def _for_postgres(statement: str) -> str:
    keys = "unnest(CAST(%s AS bigint[])) AS k(value)"
    return statement.replace("json_each(?) AS k", keys).replace("CROSS JOIN", "JOIN").replace("?", "%s")


def _statements(engine: Engine) -> _Statements:
    texts = (_CHUNKS_WITH_OWNERS, _STORED_SIGNS, _COUNTED)
    return _Statements(*(map(_for_postgres, texts) if engine.dialect.name == "postgresql" else texts))


_PAGE = 1000
"""Rows that are read at a time where all are read."""


class _Owner(NamedTuple):
    """What a chunk takes from its document."""

    collection: int
    document_id: str
    revision: str
    title: str
    metadata: Metadata
    span: Span


class Catalog:
    """What one collection holds."""

    def __init__(self, engine: Engine, collection_id: int) -> None:
        self.engine = engine
        self.id = collection_id
        self._statements = _statements(engine)

    def row(self) -> Row[Any]:
        """The collection's own row."""
        with reading(self.engine) as connection:
            return connection.execute(select(collections).where(collections.c.id == self.id)).one()

    def revisions(self) -> dict[str, str]:
        """Live document id → revision."""
        query = select(documents.c.document_id, documents.c.revision).where(self._valid(None))
        with reading(self.engine) as connection:
            return {name: revision for name, revision in connection.execute(query)}  # noqa: C416 - rows are typed

    def document(self, document_id: str, version: int | None) -> Document:
        """The revision that is valid at a version (None = now)."""
        query = select(documents).where(documents.c.document_id == document_id, self._valid(version))
        with reading(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            when = "" if version is None else f" at version {version}"
            message = f"There is no document '{document_id}'{when}."
            raise InputError(message, hint="`firstfault documents` lists them.")
        return Document(
            id=row.document_id,
            title=row.title,
            text=row.text,
            source=row.source,
            revision=row.revision,
            metadata=row.metadata,
        )

    def documents(self) -> Iterator[DocumentRow]:
        """Live documents by id."""
        query = (
            select(*_OWNER_COLUMNS, documents.c.source, *_sizes())
            .where(self._valid(None))
            .order_by(documents.c.document_id)
        )
        with reading(self.engine) as connection:
            for row in connection.execute(query).yield_per(_PAGE):
                yield DocumentRow(
                    id=row.document_id,
                    title=row.title,
                    source=row.source,
                    revision=row.revision,
                    metadata=row.metadata,
                    characters=row.characters,
                    chunks=row.chunks,
                    valid_from=row.valid_from,
                )

    def revisions_of(self, document_id: str) -> list[Revision]:
        """Every revision of a document that is still kept, oldest first."""
        query = (
            select(*_OWNER_COLUMNS, documents.c.source, *_sizes())
            .where(documents.c.collection_id == self.id, documents.c.document_id == document_id)
            .order_by(documents.c.valid_from, documents.c.id)
        )
        with reading(self.engine) as connection:
            return [
                Revision(
                    document_id=row.document_id,
                    revision=row.revision,
                    title=row.title,
                    source=row.source,
                    metadata=row.metadata,
                    characters=row.characters,
                    chunks=row.chunks,
                    valid_from=row.valid_from,
                    valid_to=row.valid_to,
                )
                for row in connection.execute(query)
            ]

    def lifetimes(self) -> list[Lifetime]:
        """Every text that a document has had and that is still kept, by document, oldest first."""
        at = versions.alias("at"), versions.alias("until")
        query = (
            select(documents.c.document_id, documents.c.text, at[0].c.at, at[1].c.at.label("until"))
            .join(
                at[0],
                and_(at[0].c.collection_id == self.id, at[0].c.version == documents.c.valid_from),
            )
            .join(
                at[1],
                and_(at[1].c.collection_id == self.id, at[1].c.version == documents.c.valid_to),
                isouter=True,
            )
            .where(documents.c.collection_id == self.id)
            .order_by(documents.c.document_id, documents.c.valid_from, documents.c.id)
        )
        found: list[Lifetime] = []
        said = ""
        with reading(self.engine) as connection:
            for row in connection.execute(query).yield_per(_PAGE):
                ended = datetime.fromisoformat(row.until) if row.until else None
                if found and found[-1].document_id == row.document_id and said == row.text:
                    found[-1] = replace(found[-1], ended=ended)
                    continue
                said = row.text
                began = datetime.fromisoformat(row.at)
                found.append(Lifetime(document_id=row.document_id, began=began, ended=ended))
        return found

    def chunk(self, chunk_id: str, version: int | None) -> Chunk:
        """The chunk with this id; without a version also one that is no longer valid."""
        match = _CHUNK_ID.fullmatch(chunk_id)
        row = None
        if match is not None:
            query = (
                _chunk_query()
                .where(
                    documents.c.collection_id == self.id,
                    documents.c.document_id == match["document"],
                    documents.c.revision.startswith(match["revision"]),
                    chunks.c.start == int(match["start"]),
                    chunks.c.end == int(match["end"]),
                    *([] if version is None else [self._valid(version)]),
                )
                .order_by(documents.c.id.desc())
            )
            with reading(self.engine) as connection:
                row = connection.execute(query).first()
        if row is None:
            raise InputError(
                f"There is no chunk '{chunk_id}'.",
                hint="Copy it from a search result; it looks like guide.md@1a2b3c4d:0-420.",
            )
        return _chunk(row)

    def chunks_of(self, document_id: str, version: int | None) -> list[tuple[int, Chunk]]:
        """Keys and chunks of a document, in the order of the text; none when the document is absent."""
        query = (
            _chunk_query()
            .where(documents.c.document_id == document_id, self._valid(version))
            .order_by(chunks.c.start, chunks.c.end)
        )
        with reading(self.engine) as connection:
            return [(row.id, _chunk(row)) for row in connection.execute(query)]

    def fetch(self, keys: Sequence[int], version: int | None) -> dict[int, Chunk]:
        """The chunks behind the keys, those valid at a version (None = now); others are absent."""
        at = FOREVER - 1 if version is None else version
        found = {}
        for key, (start, end, text, owner) in self._rows(keys).items():
            if owner.collection == self.id and owner.span.valid_from <= at < owner.span.valid_to:
                found[key] = Chunk(
                    id=_chunk_id(owner.document_id, owner.revision, start, end),
                    document_id=owner.document_id,
                    document_title=owner.title,
                    start=start,
                    end=end,
                    text=text,
                    metadata=owner.metadata,
                )
        return {key: found[key] for key in keys if key in found}

    def token_vectors(self, keys: Sequence[int]) -> dict[int, bytes]:
        """Compressed token vectors of chunks, empty where none were stored."""
        with reading(self.engine) as connection:
            rows = connection.exec_driver_sql(self._statements.stored_signs, (self._given(keys),))
            return {key: tokens or b"" for key, tokens in rows}

    def token_counts(self, counter: str, keys: Sequence[int]) -> dict[int, int]:
        """Tokens of chunks as a generator counts them, where that is known."""
        with reading(self.engine) as connection:
            rows = connection.exec_driver_sql(self._statements.counted, (self._given(keys), counter))
            return {key: tokens for key, tokens in rows}  # noqa: C416 - rows are typed

    def remember_token_counts(self, counter: str, counts: Mapping[int, int]) -> None:
        """Keep what a generator counted; what is known already stays."""
        values = [{"chunk": key, "counter": counter, "tokens": tokens} for key, tokens in counts.items()]
        with writing(self.engine) as connection:
            connection.execute(insert_new(connection, token_counts), values)

    def vectors(self, keys: Sequence[int]) -> dict[int, FloatArray]:
        """The dense vectors of chunks, as the embedder made them."""
        query = (
            select(chunks.c.id, embeddings.c.vector)
            .join(embeddings, embeddings.c.id == chunks.c.embedding_row)
            .where(chunks.c.id.in_(keys))
        )
        with reading(self.engine) as connection:
            return {key: decode_vector(vector) for key, vector in connection.execute(query)}

    def index_rows(self, keys: Sequence[int]) -> dict[int, tuple[str, Metadata, Span]]:
        """Text, metadata and validity of chunks: with the vectors, all that the index is made of."""
        return {
            key: (text, owner.metadata, owner.span) for key, (_, _, text, owner) in self._rows(keys).items()
        }

    def spans(self) -> dict[int, Span]:
        """Validity of every chunk, live and retired, by key."""
        query = (
            select(chunks.c.id, documents.c.valid_from, documents.c.valid_to)
            .join(documents, documents.c.id == chunks.c.document_row)
            .where(documents.c.collection_id == self.id)
            .order_by(chunks.c.id)
        )
        with reading(self.engine) as connection:
            return {key: _span(start, end) for key, start, end in connection.execute(query)}

    def fields(self) -> dict[str, set[FieldKind]]:
        """Metadata fields of live documents, with the kinds of their values."""
        query = select(fields.c.name, fields.c.kind).where(
            fields.c.collection_id == self.id, fields.c.documents > 0
        )
        known: dict[str, set[FieldKind]] = {}
        with reading(self.engine) as connection:
            for name, kind in connection.execute(query):
                known.setdefault(name, set()).add(kind)
        return known

    def live_texts(self) -> Iterator[str]:
        """The text of every live chunk."""
        query = select(chunks.c.text).join(documents, documents.c.id == chunks.c.document_row)
        with reading(self.engine) as connection:
            yield from connection.scalars(query.where(self._valid(None))).yield_per(_PAGE)

    def live_metadata(self) -> Iterator[Metadata]:
        """The metadata of every live document."""
        with reading(self.engine) as connection:
            yield from connection.scalars(select(documents.c.metadata).where(self._valid(None))).yield_per(
                _PAGE
            )

    def failures(self) -> list[Failure]:
        """Sources that could not be ingested, by name."""
        live = documents.c.id.is_not(None) | failures.c.document_id.is_(None)
        same = (documents.c.document_id == failures.c.document_id) & self._valid(None)
        query = (
            select(failures, live.label("live"))
            .join(documents, same, isouter=True)
            .where(failures.c.collection_id == self.id)
            .order_by(failures.c.source)
        )
        with reading(self.engine) as connection:
            return [
                Failure(
                    source=row.source,
                    reason=row.reason,
                    at=row.at,
                    document_id=row.document_id,
                    stale=row.stale if row.live else 0,
                )
                for row in connection.execute(query)
            ]

    def counts(self) -> Mapping[str, int]:
        """Documents and chunks, live and retired, and rows of the embedding cache."""
        live = documents.c.valid_to.is_(None)
        per_document = (
            select(chunks.c.document_row, func.count().label("n")).group_by(chunks.c.document_row).subquery()
        )
        query = (
            select(live, func.count(), func.coalesce(func.sum(per_document.c.n), 0))
            .select_from(documents)
            .join(per_document, per_document.c.document_row == documents.c.id, isouter=True)
            .where(documents.c.collection_id == self.id)
            .group_by(live)
        )
        counted = {"documents": 0, "chunks": 0, "retired_documents": 0, "retired_chunks": 0}
        with reading(self.engine) as connection:
            for is_live, rows, parts in connection.execute(query):
                prefix = "" if is_live else "retired_"
                counted[f"{prefix}documents"], counted[f"{prefix}chunks"] = rows, parts
            counted["embeddings"] = connection.scalar(select(func.count()).select_from(embeddings)) or 0
        return counted

    def changed_at(self, version: int) -> str | None:
        """When a version began."""
        query = select(versions.c.at).where(
            versions.c.collection_id == self.id, versions.c.version == version
        )
        with reading(self.engine) as connection:
            return connection.scalar(query)

    def _rows(self, keys: Sequence[int]) -> dict[int, tuple[int, int, str, _Owner]]:
        """Start, end and text of every chunk, and its document; by primary key alone."""
        owners: dict[int, _Owner] = {}
        found = {}
        with reading(self.engine) as connection:
            rows = connection.exec_driver_sql(self._statements.chunks_with_owners, (self._given(keys),)).all()
        for key, start, end, text, owner, *about in rows:
            if owner not in owners:
                collection, document_id, revision, title, metadata, valid_from, valid_to = about
                span = _span(valid_from, valid_to)
                owners[owner] = _Owner(collection, document_id, revision, title, _metadata(metadata), span)
            found[key] = (start, end, text, owners[owner])
        return found

    def _given(self, keys: Sequence[int]) -> str | list[int]:
        """Keys as the dialect takes many values in one."""
        return list(keys) if self.engine.dialect.name == "postgresql" else json.dumps(keys)

    def _valid(self, version: int | None) -> ColumnElement[bool]:
        ours = documents.c.collection_id == self.id
        if version is None:
            return and_(ours, documents.c.valid_to.is_(None))
        return and_(
            ours,
            documents.c.valid_from <= version,
            or_(documents.c.valid_to.is_(None), documents.c.valid_to > version),
        )


def encode_vector(vector: FloatArray) -> bytes:
    """(dimension,) as little-endian float32."""
    return vector.astype("<f4").tobytes()


def decode_vector(data: bytes) -> FloatArray:
    """What `encode_vector` was given."""
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def _chunk_query() -> Select[Any]:
    return select(
        chunks.c.id,
        chunks.c.start,
        chunks.c.end,
        chunks.c.text,
        documents.c.document_id,
        documents.c.revision,
        documents.c.title,
        documents.c.metadata,
    ).join(documents, documents.c.id == chunks.c.document_row)


def _metadata(stored: Any) -> Metadata:
    """SQLite gives the text, PostgreSQL's driver what it says."""
    found: Metadata = json.loads(stored) if isinstance(stored, str) else stored
    return found


def _sizes() -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Columns `characters` and `chunks` of a document."""
    parts = select(func.count()).where(chunks.c.document_row == documents.c.id).scalar_subquery()
    return func.length(documents.c.text).label("characters"), parts.label("chunks")


def _chunk(row: Row[Any]) -> Chunk:
    return Chunk(
        id=_chunk_id(row.document_id, row.revision, row.start, row.end),
        document_id=row.document_id,
        document_title=row.title,
        start=row.start,
        end=row.end,
        text=row.text,
        metadata=row.metadata,
    )


def _chunk_id(document_id: str, revision: str, start: int, end: int) -> str:
    return f"{document_id}@{revision[:8]}:{start}-{end}"


def _span(valid_from: int, valid_to: int | None) -> Span:
    return Span(valid_from=valid_from, valid_to=FOREVER if valid_to is None else valid_to)
