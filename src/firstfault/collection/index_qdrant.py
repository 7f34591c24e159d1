"""The index in a Qdrant cluster: the same vectors, payload and filters as in the embedded engine.

In: a client and the name of a collection of the cluster. Out: an `Index`. Every request may be repeated
without harm, so one that the network lost is sent again. Needs the extra `scale`.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from firstfault.collection.conditions import Terms, condition, valid_at
from firstfault.collection.filters import FieldKind, Filter, values_of
from firstfault.collection.index import FOREVER, IndexInfo, Point, Span
from firstfault.collection.layout import (
    DENSE,
    EXACT_BELOW_KB,
    MOST_FIELDS,
    SPARSE,
    path_of,
    payload_of,
    text_of,
)
from firstfault.collection.lexical import SparseVector
from firstfault.collection.tenants import OTHERS, shard_of, shards_for
from firstfault.config import IndexConfig
from firstfault.errors import (
    ConfigError,
    FirstfaultError,
    MismatchError,
    MissingError,
    RemoteError,
    StorageError,
)
from firstfault.models.embedder import FloatArray
from firstfault.types import Candidate

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

OVERSAMPLING = 2.0
"""With quantised vectors, how many times as many candidates are scored anew with the full ones."""

_ATTEMPTS = 3
_TIMEOUT_S = 60
_SETTLE_S = 60.0
"""How long `settle` waits for the cluster to build its graphs; until then new points are searched exactly."""
_PAGE = 2_000
_DIGITS = 6
"""Of a score: below, nodes with other processors differ, and equal chunks would change places."""
_BATCH = 256
"""Points in one upsert: a few megabytes."""

_T = TypeVar("_T")


def connect_cluster(settings: IndexConfig) -> "QdrantClient":
    """A client for the cluster that the settings name. Nothing is asked of it yet.

    Raises:
        MissingError: the extra `scale` is not installed.
        ConfigError: no url is set, or the variable of the key is empty.
    """
    if not (settings.url or "").startswith(("http://", "https://")):
        raise ConfigError(
            'index.kind = "qdrant" needs index.url.'
            if not settings.url
            else f"{settings.url!r} is no address.",
            hint="Set index.url to the cluster, e.g. http://127.0.0.1:6333.",
        )
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise MissingError(
            "A Qdrant cluster needs qdrant-client.", hint="Install it: pip install 'firstfault[scale]'"
        ) from error
    key = None
    if settings.api_key_env:
        key = os.environ.get(settings.api_key_env)
        if not key:
            raise ConfigError(
                f"The environment variable {settings.api_key_env} is not set.",
                hint=f"Set it to the key for {settings.url}.",
            )
    return QdrantClient(url=settings.url, api_key=key, timeout=_TIMEOUT_S, check_compatibility=False)


class QdrantIndex:
    """One collection of a cluster. Implements `Index`."""

    def __init__(self, client: "QdrantClient", name: str, dimension: int, settings: IndexConfig) -> None:
        """Open the collection, or create it when the cluster has none of this name.

        Raises:
            RemoteError: the cluster cannot be reached, or refused the key.
            MismatchError: it is of another dimension.
        """
        self._client = client
        self.name = name
        self._where = settings.url or "Qdrant's local mode"
        self._quantised = settings.quantization != "none"
        self._shard_key = settings.shard_key
        self._keys: set[str] = set()
        """Keys of the shards that are known to be there."""
        if not self._call(lambda: client.collection_exists(name)):
            self._create(dimension, settings)
        if self._shard_key:
            self._ensure_shards([OTHERS])
            self._index_fields()
        vectors: Any = self._call(lambda: client.get_collection(name)).config.params.vectors
        found = vectors[DENSE].size if isinstance(vectors, dict) and DENSE in vectors else None
        if found != dimension:
            raise MismatchError(
                f"The collection {name} at {self._where} has vectors of {found} dimensions, not {dimension}.",
                hint="Set another index.prefix, or delete it in the cluster.",
            )

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
        from qdrant_client import models

        rescored = models.QuantizationSearchParams(
            ignore=exact, rescore=True, oversampling=None if exact else OVERSAMPLING
        )
        parameters = models.SearchParams(
            hnsw_ef=max(ef, limit), exact=exact, quantization=rescored if self._quantised else None
        )
        return self._query(
            vector.tolist(), DENSE, where=where, version=version, limit=limit, parameters=parameters
        )

    def sparse(
        self, vector: SparseVector, *, where: Filter | None, version: int | None, limit: int
    ) -> list[Candidate]:
        """See `Index.sparse`."""
        if not vector.indices:
            return []
        from qdrant_client import models

        population = models.Filter(must=valid_at(version, _terms()))
        parameters = models.SearchParams(idf=models.IdfCorpusParams(corpus=population))
        query = models.SparseVector(indices=vector.indices, values=vector.values)
        return self._query(query, SPARSE, where=where, version=version, limit=limit, parameters=parameters)

    def upsert(self, points: Sequence[Point]) -> None:
        """See `Index.upsert`."""
        from qdrant_client import models

        for shard, group in self._by_shard(points).items():
            for start in range(0, len(group), _BATCH):
                records = [
                    models.PointStruct(
                        id=point.key,
                        vector={
                            DENSE: point.dense.tolist(),
                            SPARSE: models.SparseVector(
                                indices=point.sparse.indices, values=point.sparse.values
                            ),
                        },
                        payload=payload_of(point),
                    )
                    for point in group[start : start + _BATCH]
                ]
                self._call(
                    partial(self._client.upsert, self.name, records, wait=True, shard_key_selector=shard)
                )

    def retire(self, keys: Sequence[int], valid_to: int) -> None:
        """See `Index.retire`."""
        payload = {"live": int(valid_to == FOREVER), "to": valid_to}
        for shard, group in self._shards_of(keys).items():
            self._call(
                partial(
                    self._client.set_payload,
                    self.name,
                    payload,
                    points=group,
                    wait=True,
                    shard_key_selector=shard,
                )
            )

    def delete(self, keys: Sequence[int]) -> None:
        """See `Index.delete`."""
        for shard, group in self._shards_of(keys).items():
            self._call(partial(self._client.delete, self.name, group, wait=True, shard_key_selector=shard))

    def ensure_fields(self, fields: Iterable[tuple[str, FieldKind]]) -> None:
        """See `Index.ensure_fields`."""
        from qdrant_client import models

        present = set(self._info().payload_schema)
        for name, kind in sorted(fields):
            path = path_of(name, kind)
            if path in present or len(present) >= MOST_FIELDS:
                continue
            ordered = kind in ("number", "date")
            schema = models.PayloadSchemaType.FLOAT if ordered else models.PayloadSchemaType.KEYWORD
            self._index_field(path, schema)
            present.add(path)

    def spans(self) -> Iterator[tuple[int, Span]]:
        """See `Index.spans`."""
        for record in self._scroll(["from", "to"]):
            yield (
                int(record.id),
                Span(valid_from=int(record.payload["from"]), valid_to=int(record.payload["to"])),
            )

    def vectors(self, keys: Sequence[int]) -> Mapping[int, FloatArray]:
        """See `Index.vectors`."""
        records = self._call(
            lambda: self._client.retrieve(self.name, list(keys), with_payload=False, with_vectors=[DENSE])
        )
        found: dict[int, FloatArray] = {}
        for record in records:
            vector: Any = record.vector
            found[int(record.id)] = np.array(vector[DENSE], dtype=np.float32)
        return found

    def info(self) -> IndexInfo:
        """See `Index.info`."""
        counted = self._call(lambda: self._client.count(self.name, exact=True)).count
        return IndexInfo(points=counted, graphed=self._info().indexed_vectors_count or 0)

    def settle(self) -> None:
        """See `Index.settle`: what was written is durable already; here the graphs are waited for."""
        until = time.monotonic() + _SETTLE_S
        while self._info().status != "green" and time.monotonic() < until:
            time.sleep(0.2)

    def close(self) -> None:
        """See `Index.close`."""
        self._client.close()

    def drop(self) -> None:
        """Delete the collection in the cluster."""
        self._call(lambda: self._client.delete_collection(self.name))

    def _create(self, dimension: int, settings: IndexConfig) -> None:
        from qdrant_client import models

        self._call(
            lambda: self._client.create_collection(
                self.name,
                vectors_config={
                    DENSE: models.VectorParams(
                        size=dimension, distance=models.Distance.COSINE, on_disk=settings.on_disk
                    )
                },
                sparse_vectors_config={
                    SPARSE: models.SparseVectorParams(
                        modifier=models.Modifier.IDF,
                        index=models.SparseIndexParams(on_disk=settings.on_disk),
                    )
                },
                shard_number=settings.shards,
                sharding_method=models.ShardingMethod.CUSTOM if settings.shard_key else None,
                replication_factor=settings.replication,
                write_consistency_factor=settings.write_consistency,
                on_disk_payload=settings.on_disk,
                hnsw_config=models.HnswConfigDiff(
                    m=settings.hnsw_m,
                    ef_construct=settings.hnsw_ef_construct,
                    full_scan_threshold=EXACT_BELOW_KB,
                ),
                optimizers_config=models.OptimizersConfigDiff(indexing_threshold=EXACT_BELOW_KB),
                quantization_config=_quantization(settings),
            ),
            tolerated=409,  # another process made it meanwhile
        )
        if not settings.shard_key:
            self._index_fields()

    def _index_fields(self) -> None:
        """Index validity; with shard keys once there is a shard, without which older servers refuse."""
        from qdrant_client import models

        if "live" in self._info().payload_schema:
            return
        self._index_field("live", models.IntegerIndexParams(type=_INTEGER, lookup=True, range=False))
        for key in ("from", "to"):
            self._index_field(key, models.IntegerIndexParams(type=_INTEGER, lookup=False, range=True))

    def _index_field(self, path: str, schema: Any) -> None:
        self._call(lambda: self._client.create_payload_index(self.name, path, schema, wait=True))

    def _query(
        self,
        query: Any,
        using: str,
        *,
        where: Filter | None,
        version: int | None,
        limit: int,
        parameters: Any,
    ) -> list[Candidate]:
        from qdrant_client import models

        terms = _terms()
        conditions = valid_at(version, terms)
        if where is not None:
            conditions.append(condition(where, terms))
        found = self._call(
            lambda: self._client.query_points(
                self.name,
                query=query,
                using=using,
                limit=limit,
                query_filter=models.Filter(must=conditions),
                search_params=parameters,
                with_payload=False,
                shard_key_selector=self._asked(where),
            )
        )
        return sorted(
            (Candidate(key=int(point.id), score=round(point.score, _DIGITS)) for point in found.points),
            key=lambda candidate: (-candidate.score, candidate.key),
        )

    def _asked(self, where: Filter | None) -> Any:
        """The shards to ask; None = all."""
        wanted = shards_for(where, self._shard_key) if self._shard_key else None
        if wanted is None:
            return None
        if wanted - self._keys:  # unknown here; another process may have made them
            self._keys = self._present()
        return sorted(wanted & self._keys) or [OTHERS]

    def _by_shard(self, points: Sequence[Point]) -> dict[str | None, list[Point]]:
        """Points by the shard that each belongs to, which is made where it is absent."""
        if not self._shard_key:
            return {None: list(points)}
        groups: dict[str | None, list[Point]] = {}
        for point in points:
            groups.setdefault(shard_of(values_of(point.metadata, self._shard_key)), []).append(point)
        self._ensure_shards([shard for shard in groups if shard is not None])
        return groups

    def _shards_of(self, keys: Sequence[int]) -> dict[str | None, Any]:
        """Keys by the shard that each is in: a write must name it. Absent ones are left out."""
        if not keys or not self._shard_key:
            return {None: list(keys)} if keys else {}
        path = path_of(self._shard_key, "text")
        groups: dict[str | None, Any] = {}
        for start in range(0, len(keys), _PAGE):
            records = self._call(
                partial(
                    self._client.retrieve, self.name, list(keys[start : start + _PAGE]), with_payload=[path]
                )
            )
            for record in records:
                shard = shard_of(text_of(record.payload or {}, self._shard_key))
                groups.setdefault(shard, []).append(int(record.id))
        return groups

    def _ensure_shards(self, wanted: Sequence[str]) -> None:
        if set(wanted) <= self._keys:
            return
        self._keys = self._present()
        for shard in sorted(set(wanted) - self._keys):
            self._call(
                partial(self._client.create_shard_key, self.name, shard), tolerated=409
            )  # another process may have made it meanwhile
            self._keys.add(shard)

    def _present(self) -> set[str]:
        found: Any = self._call(lambda: self._client.collection_cluster_info(self.name))
        shards = [*found.local_shards, *found.remote_shards]
        return {str(one.shard_key) for one in shards if one.shard_key is not None}

    def _scroll(self, fields: list[str]) -> Iterator[Any]:
        offset: Any = None
        while True:
            records, offset = self._call(
                partial(
                    self._client.scroll,
                    self.name,
                    offset=offset,
                    limit=_PAGE,
                    with_payload=fields,
                    with_vectors=False,
                )
            )
            yield from records
            if offset is None:
                return

    def _info(self) -> Any:
        return self._call(lambda: self._client.get_collection(self.name))

    def _call(self, request: Callable[[], _T], *, tolerated: int | None = None) -> _T:
        """Send a request, again where the network lost it.

        Raises:
            RemoteError: the cluster cannot be reached or refused the key.
            StorageError: it refused the request.
        """
        import stamina
        from qdrant_client.http.exceptions import ResponseHandlingException

        with explained(self._where, tolerated=tolerated):
            for attempt in stamina.retry_context(
                on=ResponseHandlingException, attempts=_ATTEMPTS, wait_initial=0.2, timeout=None
            ):
                with attempt:
                    return request()
        return None  # type: ignore[return-value]  # only where an answer is tolerated that nobody reads


@contextmanager
def explained(where: str, *, tolerated: int | None = None) -> Iterator[None]:
    """Say in plain words what the client raises; a status that is tolerated is passed over."""
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    try:
        yield
    except FirstfaultError:
        raise
    except ResponseHandlingException as error:
        raise RemoteError(
            f"The Qdrant cluster at {where} cannot be reached: {str(error.source)[:200]}.",
            hint="Check that it runs, index.url, and the network: firstfault doctor.",
            transient=True,
        ) from error
    except UnexpectedResponse as error:
        if error.status_code == tolerated:
            return
        if error.status_code in (401, 403):
            raise RemoteError(
                f"The Qdrant cluster at {where} refused the key ({error.status_code}).",
                hint="Set index.api_key_env to the variable that holds the right one.",
            ) from None
        said = error.content[:300].decode(errors="replace")
        raise StorageError(
            f"The Qdrant cluster at {where} refused a request ({error.status_code}): {said}",
            hint="See the cluster's log; `firstfault doctor` compares it with the catalog.",
        ) from error
    except NotImplementedError as error:
        raise ConfigError(
            f"{where} has no shard keys: {str(error)[:200]}.",
            hint="Use a Qdrant cluster, or leave index.shard_key out.",
        ) from error
    except ValueError as error:
        raise StorageError(
            f"The Qdrant index at {where} cannot do this: {str(error)[:300]}.",
            hint="`firstfault doctor` compares it with the catalog.",
        ) from error


_INTEGER: Any = "integer"


def _quantization(settings: IndexConfig) -> Any:
    from qdrant_client import models

    if settings.quantization == "scalar":
        scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        return models.ScalarQuantization(scalar=scalar)
    if settings.quantization == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    return None


def _terms() -> Terms:
    from qdrant_client import models

    return Terms(
        filter=models.Filter, field=models.FieldCondition, match=models.MatchValue, range=models.Range
    )
