"""The statements that change the catalog, each for use inside one transaction of `writer`.

In: a connection that holds the write lock, and what changes. Out: row numbers and keys.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, delete, insert, select, update

from firstfault.collection.catalog import decode_vector, encode_vector
from firstfault.collection.database import insert_new
from firstfault.collection.filters import FieldKind, kinds_of, values_of
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
from firstfault.models.embedder import FloatArray
from firstfault.types import Document, Metadata

_T = TypeVar("_T")

_PART = 500
"""Values in one IN list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """What the embedding cache holds for a text."""

    dense: FloatArray
    """(dimension,)"""
    tokens: bytes | None
    """Compressed token vectors; None when the embedder gives none, and when looked up."""
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRevision:
    """The revision of a document that is live."""

    row: int
    revision: str
    metadata: Metadata


def now() -> str:
    """UTC, ISO 8601 to the millisecond; sorts as text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def begin_version(connection: Connection, collection: int, version: int, average_length: int) -> None:
    """Advance the corpus clock; the average length of chunks is fixed by the first that come."""
    values = {"version": version, "average_length": average_length}
    connection.execute(update(collections).where(collections.c.id == collection).values(values))
    connection.execute(insert(versions).values(collection_id=collection, version=version, at=now()))


def live_revisions(connection: Connection, collection: int, ids: Iterable[str]) -> dict[str, LiveRevision]:
    """The live revisions among these document ids."""
    found = {}
    columns = (documents.c.document_id, documents.c.id, documents.c.revision, documents.c.metadata)
    for part in parts(ids):
        query = select(*columns).where(
            documents.c.collection_id == collection,
            documents.c.document_id.in_(part),
            documents.c.valid_to.is_(None),
        )
        for row in connection.execute(query):
            found[row.document_id] = LiveRevision(row=row.id, revision=row.revision, metadata=row.metadata)
    return found


def retire(
    connection: Connection, collection: int, revisions: Sequence[LiveRevision], version: int
) -> list[int]:
    """End the validity of revisions with this version. Returns the keys of their chunks."""
    keys: list[int] = []
    for part in parts(revision.row for revision in revisions):
        connection.execute(update(documents).where(documents.c.id.in_(part)).values(valid_to=version))
        keys += connection.scalars(select(chunks.c.id).where(chunks.c.document_row.in_(part)))
    _count(connection, collection, [revision.metadata for revision in revisions], step=-1)
    return keys


def look_up(connection: Connection, space: str, hashes: Iterable[str]) -> dict[str, Vectors]:
    """What the embedding cache has, by text hash; without token vectors, which only the cache needs."""
    found = {}
    columns = (embeddings.c.text_hash, embeddings.c.vector, embeddings.c.truncated)
    for part in parts(hashes):
        query = select(*columns).where(embeddings.c.space == space, embeddings.c.text_hash.in_(part))
        for text_hash, vector, truncated in connection.execute(query):
            found[text_hash] = Vectors(dense=decode_vector(vector), tokens=None, truncated=truncated)
    return found


def store_vectors(connection: Connection, space: str, vectors: Mapping[str, Vectors]) -> dict[str, int]:
    """Put vectors that the cache lacks into it. Returns the cache's row of every one, by text hash."""
    rows = _cache_rows(connection, space, vectors)
    missing = [
        {
            "space": space,
            "text_hash": text_hash,
            "vector": encode_vector(found.dense),
            "tokens": found.tokens,
            "truncated": found.truncated,
        }
        for text_hash, found in vectors.items()
        if text_hash not in rows
    ]
    if missing:
        connection.execute(insert_new(connection, embeddings), missing)
        rows |= _cache_rows(connection, space, [str(values["text_hash"]) for values in missing])
    return rows


def store_documents(
    connection: Connection, collection: int, revisions: Sequence[Document], version: int
) -> list[int]:
    """Add revisions that are valid from this version. Returns their rows, in order."""
    if not revisions:
        return []
    _count(connection, collection, [document.metadata for document in revisions], step=1)
    values = [
        {
            "collection_id": collection,
            "document_id": document.id,
            "revision": document.revision,
            "title": document.title,
            "text": document.text,
            "source": document.source,
            "metadata": dict(document.metadata),
            "valid_from": version,
        }
        for document in revisions
    ]
    statement = insert(documents).returning(documents.c.id, sort_by_parameter_order=True)
    return list(connection.scalars(statement, values))


def store_chunks(connection: Connection, values: Sequence[Mapping[str, object]]) -> list[int]:
    """Add chunks, given by column. Returns their keys, in order."""
    if not values:
        return []
    statement = insert(chunks).returning(chunks.c.id, sort_by_parameter_order=True)
    return list(connection.scalars(statement, values))


def forget_failures(connection: Connection, collection: int, sources: Iterable[str]) -> None:
    """Remove what was recorded against these sources."""
    for part in parts(sources):
        ours = failures.c.collection_id == collection
        connection.execute(delete(failures).where(ours, failures.c.source.in_(part)))


def drop_retired(connection: Connection, collection: int, before: datetime) -> tuple[int, list[int]]:
    """Delete revisions that were retired before a time. Returns their number and the keys of their chunks."""
    ended = (versions.c.collection_id == documents.c.collection_id) & (
        versions.c.version == documents.c.valid_to
    )
    query = (
        select(documents.c.id)
        .join(versions, ended)
        .where(
            documents.c.collection_id == collection,
            versions.c.at < before.astimezone(UTC).isoformat(timespec="milliseconds"),
        )
    )
    rows = list(connection.scalars(query))
    keys: list[int] = []
    for part in parts(rows):
        keys += connection.scalars(select(chunks.c.id).where(chunks.c.document_row.in_(part)))
        ours = select(chunks.c.id).where(chunks.c.document_row.in_(part))
        connection.execute(delete(token_counts).where(token_counts.c.chunk.in_(ours)))
        connection.execute(delete(chunks).where(chunks.c.document_row.in_(part)))
        connection.execute(delete(documents).where(documents.c.id.in_(part)))
    return len(rows), keys


def drop_orphans(connection: Connection) -> int:
    """Delete cached vectors that no chunk of any collection has. Returns how many there were."""
    needed = select(chunks.c.id).where(chunks.c.embedding_row == embeddings.c.id).exists()
    return connection.execute(delete(embeddings).where(~needed)).rowcount


def live_ids(connection: Connection, collection: int) -> list[str]:
    """Ids of the live documents of a collection."""
    ours = (documents.c.collection_id == collection, documents.c.valid_to.is_(None))
    return list(connection.scalars(select(documents.c.document_id).where(*ours)))


def move_documents(connection: Connection, source: int, target: int, version: int) -> list[int]:
    """Give the live documents of a collection to another, valid from a version. Returns their chunks."""
    ours = (documents.c.collection_id == source, documents.c.valid_to.is_(None))
    _count(connection, target, connection.scalars(select(documents.c.metadata).where(*ours)), step=1)
    rows = list(connection.scalars(select(documents.c.id).where(*ours)))
    keys: list[int] = []
    for part in parts(rows):
        values = {"collection_id": target, "valid_from": version}
        connection.execute(update(documents).where(documents.c.id.in_(part)).values(values))
        keys += connection.scalars(select(chunks.c.id).where(chunks.c.document_row.in_(part)))
    return sorted(keys)


def drop_collection(connection: Connection, collection: int) -> None:
    """Delete a collection with all that is its own; cached vectors stay."""
    owned = select(documents.c.id).where(documents.c.collection_id == collection)
    connection.execute(delete(chunks).where(chunks.c.document_row.in_(owned)))
    for table in (documents, fields, failures, versions):
        connection.execute(delete(table).where(table.c.collection_id == collection))
    connection.execute(delete(collections).where(collections.c.id == collection))


def replace_vectors(connection: Connection, space: str, vectors: Mapping[str, Vectors]) -> int:
    """Put other vectors into the rows of the cache that are there, by text hash. Returns how many."""
    replaced = 0
    for text_hash, found in vectors.items():
        values = {"vector": encode_vector(found.dense), "tokens": found.tokens, "truncated": found.truncated}
        row = (embeddings.c.space == space, embeddings.c.text_hash == text_hash)
        replaced += connection.execute(update(embeddings).where(*row).values(values)).rowcount
    return replaced


def all_vectors(connection: Connection, space: str) -> dict[str, Vectors]:
    """The whole embedding cache of a space, by text hash."""
    query = select(embeddings).where(embeddings.c.space == space)
    return {
        row.text_hash: Vectors(dense=decode_vector(row.vector), tokens=row.tokens, truncated=row.truncated)
        for row in connection.execute(query)
    }


def field_counts(metadata: Iterable[Metadata]) -> Counter[tuple[str, FieldKind]]:
    """How many documents have each field, by the kind of its values."""
    return Counter(
        pair
        for entry in metadata
        for pair in {
            (name, kind) for name in entry for value in values_of(entry, name) for kind in kinds_of(value)
        }
    )


def parts(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Cut into lists short enough for an IN."""
    rest = iter(items)
    while part := list(islice(rest, _PART)):
        yield part


def _cache_rows(connection: Connection, space: str, hashes: Iterable[str]) -> dict[str, int]:
    columns = (embeddings.c.text_hash, embeddings.c.id)
    return {
        text_hash: row
        for part in parts(hashes)
        for text_hash, row in connection.execute(
            select(*columns).where(embeddings.c.space == space, embeddings.c.text_hash.in_(part))
        )
    }


def _count(connection: Connection, collection: int, metadata: Iterable[Metadata], *, step: int) -> None:
    """Add to, or take from, the number of live documents that have each field."""
    for (name, kind), number in sorted(field_counts(metadata).items()):
        ours = (fields.c.collection_id == collection, fields.c.name == name, fields.c.kind == kind)
        changed = connection.execute(
            update(fields).where(*ours).values(documents=fields.c.documents + step * number)
        )
        if not changed.rowcount:
            connection.execute(
                insert(fields).values(collection_id=collection, name=name, kind=kind, documents=step * number)
            )
