"""What was measured, and what is assumed: every number that a plan rests on, with its source.

In: nothing. Out: `MEASURED`. `bench/scale.py` and docs/scale.md say how to measure them on another machine.
"""

from dataclasses import dataclass
from math import log10

from firstfault.collection.layout import EXACT_BELOW_KB


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Times in milliseconds of one core, sizes in bytes."""

    scan_base_ms: float
    """A dense search among few vectors."""
    scan_thousand_ms: float
    """What every thousand vectors of 384 dimensions add while they are searched one by one."""
    scan_bytes: float
    """Vectors of a shard up to which they are searched one by one."""
    graph_base_ms: float
    """A dense search in the smallest graph, m = 32, ef = 256."""
    graph_decade_ms: float
    """What every tenfold of the chunks adds: the walk grows with the logarithm."""
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
        smallest_graph = self.scan_bytes / (4 * dimension)
        if chunks < smallest_graph:
            time = self.scan_base_ms + self.scan_thousand_ms * chunks / 1000
        else:
            time = self.graph_base_ms + self.graph_decade_ms * log10(chunks / smallest_graph)
        return time * dimension / 384

    def bm25_ms(self, chunks: float) -> float:
        """Mean time of a BM25 search in one shard."""
        return self.bm25_base_ms + self.bm25_million_ms * chunks / 1e6

    def index_bytes(self, dimension: int) -> float:
        """Of one chunk in the index, unquantised."""
        return 4 * dimension + self.graph_bytes + self.sparse_bytes + self.payload_bytes


MEASURED = Constants(
    scan_base_ms=0.2,
    scan_thousand_ms=0.066,
    scan_bytes=EXACT_BELOW_KB * 1024,
    graph_base_ms=2.6,
    graph_decade_ms=3.25,
    bm25_base_ms=0.42,
    bm25_million_ms=14.0,
    service_cv=0.2,
    rest_ms=9.8,
    rest_cv=0.35,
    network_ms=1.0,
    graph_bytes=280.0,
    sparse_bytes=330.0,
    payload_bytes=320.0,
    text_bytes=1500.0,
    token_vector_bytes=2200.0,
    trace_bytes=6000.0,
    statements=8.0,
    statements_per_core=4000.0,
)
"""Searches and the index's size: `bench/scale.py`, 1,000 to 1,000,000 chunks on two cores, fitted to the time
of the processor and to the clock, since segments are searched at once. The rest: docs/benchmarks.md,
*Before generation*. Assumed, not measured: the network and database values that say so, the sizes of text,
token vectors and traces, and how the index's size is shared out."""
