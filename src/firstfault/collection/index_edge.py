"""The embedded index: Qdrant's engine in this process, one shard a collection.

The catalog is the truth, so the shard runs without a write-ahead log: what a crash left out is put back
from the catalog at the next start. A trap of this version of the engine: its collection-wide document
frequencies count removed points, which is why every lexical query states its population.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as engine

from firstfault.collection.conditions import Terms, condition, valid_at
from firstfault.collection.database import storage_error
from firstfault.collection.filters import FieldKind, Filter
from firstfault.collection.index import FOREVER, IndexInfo, Point, Span
from firstfault.collection.layout import (
    DENSE,
    EXACT_BELOW_KB,
    MOST_FIELDS,
    SPARSE,
    path_of,
    payload_of,
)
from firstfault.collection.lexical import SparseVector
from firstfault.config import IndexConfig
from firstfault.errors import StorageError
from firstfault.models.embedder import FloatArray
from firstfault.types import Candidate

_SPARE_BYTES = 96 * 2**20
"""Free space below which nothing is written: the engine maps its files, and a full disk would kill it."""

_MAPPED: Mapping[str, Any] = {"enable_hnsw": False, "memory": engine.Memory.Cached}
"""For indexes of the payload: mapped from disk, which opens several times faster than held in memory, and
without graphs of their own, which would take as long to build as the main one."""

_TERMS = Terms(
    filter=engine.Filter, field=engine.FieldCondition, match=engine.MatchValue, range=engine.RangeFloat
)
_RETIRED = engine.Filter(must=[engine.FieldCondition("live", match=engine.MatchValue(0))])


class EdgeIndex:
    """One shard of the embedded engine. Implements `Index`."""

    def __init__(self, folder: Path, dimension: int, settings: IndexConfig) -> None:
        """Open the shard in `folder`, or create it when the folder is absent.

        Raises:
            StorageError: it cannot be opened: damaged, or of another dimension.
        """
        self._folder = folder
        config = _config(dimension, settings)
        self._require_space()  # the engine maps its files: a full disk would kill the process
        with self._engine():
            self._shard: Any
            if folder.exists():
                self._shard = engine.EdgeShard.load(str(folder), config)
            else:
                folder.mkdir(parents=True)
                self._shard = engine.EdgeShard.create(str(folder), config)
                for key in ("live", "from", "to"):
                    self._create_index(
                        key, engine.IntegerIndexParams(lookup=key == "live", range=key != "live", **_MAPPED)
                    )
            self._retired = self._shard.count(engine.CountRequest(filter=_RETIRED, exact=True)) > 0

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
        """See `Index.dense`."""
        query = engine.Query.Nearest(vector.tolist(), using=DENSE)
        parameters = engine.SearchParams(hnsw_ef=max(ef, limit), exact=exact)
        if version is None and not self._retired:
            return self._query(query, [], where, limit, parameters)  # a third of the time was this condition
        return self._query(query, valid_at(version, _TERMS), where, limit, parameters)

    def sparse(
        self, vector: SparseVector, *, where: Filter | None, version: int | None, limit: int
    ) -> list[Candidate]:
        """See `Index.sparse`."""
        if not vector.indices:
            return []
        query = engine.Query.Nearest(engine.SparseVector(vector.indices, vector.values), using=SPARSE)
        valid = valid_at(version, _TERMS)
        parameters = engine.SearchParams(idf=engine.IdfParams(corpus=engine.Filter(must=valid)))
        return self._query(query, valid, where, limit, parameters)

    def upsert(self, points: Sequence[Point]) -> None:
        """See `Index.upsert`."""
        self._require_space()
        records = [
            engine.Point(
                point.key,
                {
                    DENSE: point.dense.tolist(),
                    SPARSE: engine.SparseVector(point.sparse.indices, point.sparse.values),
                },
                payload_of(point),
            )
            for point in points
        ]
        self._retired = self._retired or any(point.valid_to != FOREVER for point in points)
        self._update(engine.UpdateOperation.upsert_points(records))

    def retire(self, keys: Sequence[int], valid_to: int) -> None:
        """See `Index.retire`."""
        self._require_space()
        self._retired = self._retired or valid_to != FOREVER
        payload = {"live": int(valid_to == FOREVER), "to": valid_to}
        self._update(engine.UpdateOperation.set_payload(list(keys), payload))

    def delete(self, keys: Sequence[int]) -> None:
        """See `Index.delete`."""
        self._update(engine.UpdateOperation.delete_points(list(keys)))

    def ensure_fields(self, fields: Iterable[tuple[str, FieldKind]]) -> None:
        """See `Index.ensure_fields`."""
        with self._engine():
            present = set(self._shard.info().payload_schema)
        for name, kind in sorted(fields):
            path = path_of(name, kind)
            if path in present or len(present) >= MOST_FIELDS:
                continue
            ordered = kind in ("number", "date")
            make = engine.FloatIndexParams if ordered else engine.KeywordIndexParams
            self._create_index(path, make(**_MAPPED))
            present.add(path)

    def spans(self) -> Iterator[tuple[int, Span]]:
        """See `Index.spans`."""
        offset = None
        while True:
            with self._engine():
                records, offset = self._shard.scroll(
                    engine.ScrollRequest(
                        offset=offset,
                        limit=10_000,
                        with_payload=engine.PayloadSelector.Include(["from", "to"]),
                    )
                )
            for record in records:
                yield record.id, Span(valid_from=record.payload["from"], valid_to=record.payload["to"])
            if offset is None:
                return

    def vectors(self, keys: Sequence[int]) -> Mapping[int, FloatArray]:
        """See `Index.vectors`."""
        with self._engine():
            records = self._shard.retrieve(list(keys), with_payload=False, with_vector=[DENSE])
        return {record.id: np.array(record.vector[DENSE], dtype=np.float32) for record in records}

    def info(self) -> IndexInfo:
        """See `Index.info`."""
        with self._engine():
            found = self._shard.info()
        return IndexInfo(points=found.points_count, graphed=found.indexed_vectors_count)

    def settle(self) -> None:
        """See `Index.settle`."""
        size = sum(file.stat().st_blocks * 512 for file in self._folder.rglob("*"))
        self._require_space(size)  # segments are written anew beside the old ones
        with self._engine():
            self._shard.flush()
            self._shard.optimize()
            self._shard.flush()

    def close(self) -> None:
        """See `Index.close`."""
        with self._engine():
            self._shard.close()

    def _query(
        self, query: Any, valid: list[Any], where: Filter | None, limit: int, parameters: Any
    ) -> list[Candidate]:
        conditions = valid if where is None else [*valid, condition(where, _TERMS)]
        only = engine.Filter(must=conditions) if conditions else None
        request = engine.QueryRequest(limit=limit, query=query, filter=only, params=parameters)
        with self._engine():
            found = self._shard.query(request)
        return sorted(
            (Candidate(key=point.id, score=point.score) for point in found),
            key=lambda candidate: (-candidate.score, candidate.key),
        )

    def _create_index(self, path: str, parameters: Any) -> None:
        self._update(engine.UpdateOperation.create_field_index(path, parameters))

    def _update(self, operation: Any) -> None:
        with self._engine():
            self._shard.update(operation)

    def _require_space(self, size: int = 0) -> None:
        """Refuse to write `size` bytes, and as many as one batch may need, when they could fill the disk."""
        place = next(folder for folder in (self._folder, *self._folder.parents) if folder.exists())
        free = shutil.disk_usage(place).free
        if free < size + _SPARE_BYTES:
            needed = (size + _SPARE_BYTES) >> 20
            raise StorageError(
                f"The disk of {self._folder} has {free >> 20} MiB left, and {needed} are needed.",
                hint="Free disk space and run the command again: what was acknowledged is kept.",
            )

    @contextmanager
    def _engine(self) -> Iterator[None]:
        """The engine raises bare `Exception`, its subclasses being Python's own."""
        try:
            yield
        except StorageError:
            raise
        except Exception as error:
            raise storage_error(error, self._folder) from error


def _config(dimension: int, settings: IndexConfig) -> Any:
    return engine.EdgeConfig(
        vectors={DENSE: engine.EdgeVectorParams(size=dimension, distance=engine.Distance.Cosine)},
        sparse_vectors={
            SPARSE: engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf, memory=engine.Memory.Cached)
        },
        hnsw_config=engine.HnswIndexConfig(
            m=settings.hnsw_m,
            ef_construct=settings.hnsw_ef_construct,
            full_scan_threshold=EXACT_BELOW_KB,
        ),
        optimizers=engine.EdgeOptimizersConfig(indexing_threshold=EXACT_BELOW_KB),
        id_tracker_memory=engine.Memory.Cached,
        wal_enabled=False,
    )
