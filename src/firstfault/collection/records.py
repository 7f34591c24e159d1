"""What the collection reports about itself."""

from dataclasses import dataclass
from datetime import datetime

from firstfault.types import Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A document that is on disk: it survives a crash from here on."""

    document_id: str
    source: str
    chunks: int
    cached: int
    """Chunks whose vectors came from the embedding cache."""
    truncated: int
    """Chunks longer than what the embedder reads: their ends were not embedded."""
    replaced: bool
    """An older revision was retired."""
    unchanged: bool
    """This revision was live already; nothing was written."""
    dropped: tuple[str, ...] = ()
    """Metadata fields that the retired revision had and this one lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A source that could not be ingested."""

    source: str
    reason: str
    at: str
    """UTC, ISO 8601."""
    document_id: str | None = None
    """The document that it would have become; None where that could not be read, e.g. a folder that cannot
    be opened or a line that is not JSON."""
    stale: int = 0
    """Documents that are served as an earlier ingest read them, since the source could not be read now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """A document in a listing."""

    id: str
    title: str
    source: str
    revision: str
    metadata: Metadata
    characters: int
    chunks: int
    valid_from: int
    """Corpus version since which this revision is live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A document as it was for a while; `Collection.document` gives its text at `valid_from`."""

    document_id: str
    revision: str
    title: str
    source: str
    metadata: Metadata
    characters: int
    chunks: int
    valid_from: int
    """First corpus version that has it."""
    valid_to: int | None
    """First corpus version that no longer has it; None while it is live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """When a text was what a document said."""

    document_id: str
    began: datetime
    ended: datetime | None
    """None while it is live. A revision that says the same as the one before it goes on with its life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """The state of a collection."""

    name: str
    version: int
    """Corpus clock."""
    changed_at: str | None
    """When the version began, UTC, ISO 8601; None before the first change."""
    documents: int
    chunks: int
    retired_documents: int
    retired_chunks: int
    failures: int
    cached_embeddings: int
    """Rows of the home's embedding cache; collections share it."""
    index_points: int
    index_graphed: int
    """Points that the HNSW graph covers; the others are searched exactly."""
    bytes_database: int
    bytes_index: int
    embedder: str
    fingerprint: str
    dimension: int
    language: str
    """Stemmer of the lexical arm."""
    fields: dict[str, tuple[str, ...]]
    """Metadata field of live documents → kinds of its values: text, number, boolean, date (a text, too)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GcReport:
    """What `gc` dropped."""

    documents: int
    """Retired revisions."""
    chunks: int
    embeddings: int
    """Cached vectors that no chunk of the home needs any more."""
    bytes_freed: int
    """By which the database file shrank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What opening a collection had to repair in the index."""

    added: int = 0
    """Points that the catalog has and the index lacked, or held with another validity."""
    removed: int = 0
    """Points that the catalog does not have."""
    rebuilt: str = ""
    """Why the whole index was made anew; empty when it was not."""
