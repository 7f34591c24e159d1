"""Damage to the stored index of a copy, as lost writes and bad builds leave it. The catalog stays whole.

In: the home of a sandbox that nobody has open. Out: an index that opens without complaint and is wrong.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import update

from firstfault.collection.database import connect, writing
from firstfault.collection.schema import collections
from firstfault.drill.sandbox import Sandbox


def build_graph(sandbox: Sandbox, *, edges: int, effort: int) -> None:
    """Build the graph of the index anew with so few edges a node and so little effort.

    The engine searches small segments exactly; the graph is forced, and stays when the index is opened with
    the usual settings.
    """
    with _shard(sandbox, edges=edges, effort=effort) as shard:
        shard.optimize()


def lose_points(sandbox: Sandbox, keys: Sequence[int]) -> None:
    """Take points out of the index, and have the catalog believe that this is the number there should be, as
    after the restore of an index that is older than its catalog.
    """
    import qdrant_edge as engine

    with _shard(sandbox) as shard:
        shard.update(engine.UpdateOperation.delete_points(list(keys)))
    _agree(sandbox, len(keys))


def end_validity(sandbox: Sandbox, keys: Sequence[int]) -> None:
    """Mark points as retired that the catalog holds valid; their number stays right."""
    import qdrant_edge as engine

    with _shard(sandbox) as shard:
        shard.update(engine.UpdateOperation.set_payload(list(keys), {"live": 0}))


def keys_of(sandbox: Sandbox, document_ids: Sequence[str]) -> list[int]:
    """Points of documents."""
    with sandbox.application() as app:
        return [key for one in document_ids for key, _ in app.collection.chunks_of(one)]


def _agree(sandbox: Sandbox, fewer: int) -> None:
    engine = connect(sandbox.home)
    ours = collections.c.name == sandbox.collection
    with writing(engine) as connection:
        connection.execute(update(collections).where(ours).values(points=collections.c.points - fewer))
    engine.dispose()


@contextmanager
def _shard(sandbox: Sandbox, *, edges: int = 32, effort: int = 200) -> Iterator[Any]:
    """The shard, opened directly, with a graph wanted for however few vectors."""
    import qdrant_edge as engine

    with sandbox.application() as app:
        dimension = app.collection.info().dimension
    small = 1 if edges < 32 else 40_000
    config = engine.EdgeConfig(
        vectors={"dense": engine.EdgeVectorParams(size=dimension, distance=engine.Distance.Cosine)},
        sparse_vectors={
            "bm25": engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf, memory=engine.Memory.Cached)
        },
        hnsw_config=engine.HnswIndexConfig(m=edges, ef_construct=effort, full_scan_threshold=small),
        optimizers=engine.EdgeOptimizersConfig(indexing_threshold=small),
        id_tracker_memory=engine.Memory.Cached,
        wal_enabled=False,
    )
    shard = engine.EdgeShard.load(str(sandbox.home / "index" / sandbox.collection), config)
    try:
        yield shard
        shard.flush()
    finally:
        shard.close()
