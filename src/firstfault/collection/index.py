"""What the catalog needs of a vector engine: points in, ranked keys out.

The index is derived from the catalog and can be rebuilt from it. An engine implements `Index`; nothing
else touches it. Validity is in corpus versions: a point is valid from `valid_from` until before `valid_to`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from firstfault.collection.filters import FieldKind, Filter
from firstfault.collection.lexical import SparseVector
from firstfault.models.embedder import FloatArray
from firstfault.types import Candidate, Metadata

FOREVER = 2**53 - 1
"""`valid_to` of what is live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A chunk as the index holds it."""

    key: int
    dense: FloatArray
    """(dimension,); compared by cosine."""
    sparse: SparseVector
    metadata: Metadata
    valid_from: int
    valid_to: int = FOREVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Validity of a point, in corpus versions, half-open."""

    valid_from: int
    valid_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """The size of an index."""

    points: int
    graphed: int
    """Points that the HNSW graph covers; the others are searched exactly."""


class Index(Protocol):
    """A vector engine that holds the points of one collection.

    Errors of the engine are raised as StorageError.
    """

    def dense(
        self,
        vector: FloatArray,
        *,
        where: Filter | None,
        version: int | None,
        limit: int,
        ef: int,
        exact: bool,
    ) -> list[Candidate]:
        """The nearest points by cosine that pass the filter and are valid at `version` (None = now).

        Sorted by falling score, then key.
        """

    def sparse(
        self, vector: SparseVector, *, where: Filter | None, version: int | None, limit: int
    ) -> list[Candidate]:
        """The best points that share a term and pass the filter, scored with inverse document frequency.

        idf = ln(1 + (n - df + 0.5) / (df + 0.5)), n and df over the points valid at `version`.
        Sorted like `dense`.
        """

    def upsert(self, points: Sequence[Point]) -> None:
        """Add points, or replace those with the same key."""

    def retire(self, keys: Sequence[int], valid_to: int) -> None:
        """Set the end of validity."""

    def delete(self, keys: Sequence[int]) -> None:
        """Remove points; absent ones are passed over."""

    def ensure_fields(self, fields: Iterable[tuple[str, FieldKind]]) -> None:
        """Prepare filters on these metadata fields to be fast; without it they are only slower."""

    def spans(self) -> Iterator[tuple[int, Span]]:
        """Every key with its validity."""

    def vectors(self, keys: Sequence[int]) -> Mapping[int, FloatArray]:
        """The dense vectors that are stored for the keys."""

    def info(self) -> IndexInfo:
        """Its size."""

    def settle(self) -> None:
        """Build the graph over what was added, and make everything durable."""

    def close(self) -> None:
        """Release the engine's files."""
