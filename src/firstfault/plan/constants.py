"""What was measured, and what is assumed: every number that a plan rests on, with its source.

In: nothing. Out: `MEASURED`. `bench/scale.py` and docs/scale.md say how to measure them on another machine.
"""

from dataclasses import dataclass
from math import log10


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Times in milliseconds of one core, sizes in bytes."""

    dense_base_ms: float
    """A dense search among 1,000 vectors of 384 dimensions, ef 256."""
    dense_decade_ms: float
    """What every tenfold of the chunks adds: the graph's walk grows with the logarithm."""
    bm25_base_ms: float
    """A BM25 search that reads nothing."""
    bm25_million_ms: float
    """What every million chunks of a shard adds: lists of postings are read whole."""
    service_cv: float
    """Standard deviation of a search over its mean, at the same size."""
    rest_ms: float
    """Everything else before generation: embedding the question, fetching, fusing, reranking, packing."""
    rest_cv: float
    """Standard deviation of the rest over its mean."""
    network_ms: float
    """Assumed: there and back inside one data centre, serialising included."""
    graph_bytes: float
    """Edges of the HNSW graph, m = 32: 64 links on the lowest layer, 4 bytes each, upper layers included."""
    sparse_bytes: float
    """Postings of a chunk's BM25 terms."""
    payload_bytes: float
    """Validity, metadata and its indexes, id tracker."""
    text_bytes: float
    """Text and rows of a chunk in the catalog."""
    token_vector_bytes: float
    """Compressed token vectors of a chunk in the catalog, for reranking."""
    trace_bytes: float
    """One trace, compressed."""
    statements: float
    """SQL statements of one question."""
    statements_per_core: float
    """Assumed: short primary-key reads that one core of PostgreSQL does in a second."""

    def dense_ms(self, chunks: float, dimension: int = 384) -> float:
        """Mean time of a dense search in one shard; proportional to the dimension."""
        grown = self.dense_base_ms + self.dense_decade_ms * max(0.0, log10(max(chunks, 1.0)) - 3)
        return grown * (0.4 + 0.6 * dimension / 384)

    def bm25_ms(self, chunks: float) -> float:
        """Mean time of a BM25 search in one shard."""
        return self.bm25_base_ms + self.bm25_million_ms * chunks / 1e6

    def index_bytes(self, dimension: int) -> float:
        """Of one chunk in the index, unquantised."""
        return 4 * dimension + self.graph_bytes + self.sparse_bytes + self.payload_bytes


MEASURED = Constants(
    dense_base_ms=0.3,
    dense_decade_ms=0.9,
    bm25_base_ms=0.15,
    bm25_million_ms=20.0,
    service_cv=0.5,
    rest_ms=11.0,
    rest_cv=0.35,
    network_ms=1.0,
    graph_bytes=280.0,
    sparse_bytes=330.0,
    payload_bytes=120.0,
    text_bytes=1500.0,
    token_vector_bytes=2200.0,
    trace_bytes=6000.0,
    statements=8.0,
    statements_per_core=4000.0,
)
"""On two cores of a cloud machine, one question at a time."""
