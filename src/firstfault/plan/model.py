"""From a corpus and a rate of questions to memory, disk, nodes and latency, embedded and in a cluster.

In: a `Load` and a `Node`. Out: a `Plan`: the embedded set-up with what it cannot do, and clusters, one for
each way of keeping the vectors. The model: sizes grow with the chunks; a dense search with their logarithm,
BM25 with the chunks of a shard; a node is a queue; a question waits for the slowest of the shards.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from firstfault.plan.constants import MEASURED, Constants
from firstfault.plan.queueing import Station, Times, response

Quantization = Literal["none", "scalar", "binary"]

GIB = 2**30
FILL = 0.75
"""Share of a node's memory and disk that data may take; the rest is for the system, caches and merging."""
BUSY = 0.6
"""Utilisation that nodes are planned for: beyond it, waiting grows steeply."""
EMBEDDED_SLOTS = 8
"""Requests that one server works on at a time by default ([serve] concurrency)."""
MOST_SHARDS = 512
SPARE_NODES = 1.1
"""How many times the fewest nodes may be taken for shorter searches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked."""

    documents: int
    qps: float
    """Questions a second, at the busiest time."""
    chunks_per_document: float = 8.0
    dimension: int = 384
    replication: int = 2
    """Copies of every shard."""
    trace_days: int = 30
    """How long traces are kept."""

    @property
    def chunks(self) -> float:
        """In all."""
        return self.documents * self.chunks_per_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine."""

    cores: int = 8
    memory_gib: float = 32.0
    disk_gib: float = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Everything in one process on one machine."""

    memory_bytes: float
    """Of the index, to be held in the page cache for these times."""
    disk_bytes: float
    utilisation: float
    latency: Times | None
    """Before generation; None where it cannot keep up."""
    fits: bool
    reasons: tuple[str, ...]
    """Why it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Qdrant for the index, PostgreSQL for the truth, several servers."""

    quantization: Quantization
    shards: int
    replicas: int
    index_nodes: int
    memory_bytes_per_node: float
    disk_bytes_per_node: float
    utilisation: float
    """Of the index nodes."""
    servers: int
    """Firstfault servers."""
    database_cores: int
    database_bytes: float
    """Of the catalog."""
    trace_bytes: float
    """Of the traces that are kept."""
    index_ms: float
    """Mean time of both searches in one shard, without waiting."""
    index_latency: Times
    """Of the slowest shard, network included."""
    latency: Times
    """Before generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was worked out."""

    load: Load
    node: Node
    chunks: float
    embedded: Embedded
    clusters: tuple[Cluster, ...]
    """One for each way of keeping the vectors; the fewest nodes first."""
    drivers: tuple[str, ...]
    """What the cost grows with, the greatest first."""
    constants: Constants = field(default=MEASURED)


def plan(load: Load, node: Node | None = None, constants: Constants = MEASURED) -> Plan:
    """Plan both set-ups."""
    node = node or Node()
    ways: tuple[Quantization, ...] = ("none", "scalar", "binary")
    clusters = [_cluster(load, node, constants, way) for way in ways]
    clusters.sort(key=lambda one: (one.index_nodes, one.latency.p95))
    return Plan(
        load=load,
        node=node,
        chunks=load.chunks,
        embedded=_embedded(load, node, constants),
        clusters=tuple(clusters),
        drivers=_drivers(load, clusters[0]),
        constants=constants,
    )


def in_memory(chunks: float, dimension: int, way: Quantization, constants: Constants) -> float:
    """Bytes of an index that must be in memory: quantised, the full vectors and payload stay on disk."""
    vector = {"none": 4.0 * dimension, "scalar": 1.0 * dimension, "binary": dimension / 8}[way]
    rest = constants.graph_bytes + constants.sparse_bytes
    return chunks * (vector + rest + (constants.payload_bytes if way == "none" else 0.0))


def on_disk(chunks: float, dimension: int, way: Quantization, constants: Constants) -> float:
    """Bytes of an index on disk."""
    copies = {"none": 0.0, "scalar": 1.0 * dimension, "binary": dimension / 8}[way]
    return chunks * (constants.index_bytes(dimension) + copies)


def catalog_bytes(load: Load, constants: Constants) -> float:
    """Bytes of documents, chunks and cached vectors in the database."""
    return load.chunks * (constants.text_bytes + 4 * load.dimension + constants.token_vector_bytes)


def _embedded(load: Load, node: Node, constants: Constants) -> Embedded:
    memory = in_memory(load.chunks, load.dimension, "none", constants)
    traces = load.qps * 86_400 * load.trace_days * constants.trace_bytes
    disk = on_disk(load.chunks, load.dimension, "none", constants) + catalog_bytes(load, constants) + traces
    search = constants.dense_ms(load.chunks, load.dimension) + constants.bm25_ms(load.chunks)
    mean = search + constants.rest_ms
    station = Station(
        rate=load.qps / 1000,
        servers=min(node.cores, EMBEDDED_SLOTS),
        mean_ms=mean,
        cv=math.hypot(search * constants.service_cv, constants.rest_ms * constants.rest_cv) / mean,
    )
    reasons = []
    if memory > FILL * node.memory_gib * GIB:
        reasons.append(f"the index wants {memory / GIB:.0f} GiB of memory, a node has {node.memory_gib:.0f}")
    if disk > FILL * node.disk_gib * GIB:
        reasons.append(f"data and traces take {disk / GIB:,.0f} GiB of disk, a node has {node.disk_gib:,.0f}")
    if station.utilisation > BUSY:
        reasons.append(
            f"questions keep {station.utilisation:.0%} of its cores busy; {BUSY:.0%} is planned for"
        )
    return Embedded(
        memory_bytes=memory,
        disk_bytes=disk,
        utilisation=round(station.utilisation, 3),
        latency=response([station]) if station.utilisation < 0.98 else None,
        fits=not reasons,
        reasons=tuple(reasons),
    )


def _cluster(load: Load, node: Node, constants: Constants, way: Quantization) -> Cluster:
    memory = in_memory(load.chunks, load.dimension, way, constants)
    disk = on_disk(load.chunks, load.dimension, way, constants)
    least = max(
        1,
        math.ceil(memory / (FILL * node.memory_gib * GIB)),
        math.ceil(disk / (FILL * node.disk_gib * GIB)),
    )
    shards, replicas = _layout(load, node, constants, least)
    mean = constants.dense_ms(load.chunks / shards, load.dimension) + constants.bm25_ms(load.chunks / shards)
    index = Station(
        rate=load.qps / 1000 / replicas,
        servers=node.cores,
        mean_ms=mean,
        cv=constants.service_cv,
        parallel=shards,
        fixed_ms=constants.network_ms,
    )
    slots = min(node.cores, EMBEDDED_SLOTS)
    servers = max(2, math.ceil(load.qps / 1000 * constants.rest_ms / slots / BUSY))
    rest = Station(
        rate=load.qps / 1000 / servers, servers=slots, mean_ms=constants.rest_ms, cv=constants.rest_cv
    )
    return Cluster(
        quantization=way,
        shards=shards,
        replicas=replicas,
        index_nodes=shards * replicas,
        memory_bytes_per_node=memory / shards,
        disk_bytes_per_node=disk / shards,
        utilisation=round(index.utilisation, 3),
        servers=servers,
        database_cores=max(
            2, math.ceil(load.qps * constants.statements / constants.statements_per_core / BUSY)
        ),
        database_bytes=catalog_bytes(load, constants),
        trace_bytes=load.qps * 86_400 * load.trace_days * constants.trace_bytes,
        index_ms=round(mean, 3),
        index_latency=response([index]),
        latency=response([index, rest]),
    )


def _layout(load: Load, node: Node, constants: Constants, least: int) -> tuple[int, int]:
    """Shards and replicas that hold the data and keep up: of the smallest layouts the one with most shards,
    whose searches are shortest."""
    found = []
    for shards in range(least, max(least, MOST_SHARDS) + 1):
        chunks = load.chunks / shards
        mean = constants.dense_ms(chunks, load.dimension) + constants.bm25_ms(chunks)
        busy = load.qps / 1000 * mean / node.cores / BUSY
        found.append((shards, max(load.replication, math.ceil(busy))))
    fewest = min(shards * replicas for shards, replicas in found)
    return max(pair for pair in found if pair[0] * pair[1] <= SPARE_NODES * fewest)


def _drivers(load: Load, cluster: Cluster) -> tuple[str, ...]:
    """What is large, in words."""
    traces, catalog = cluster.trace_bytes, cluster.database_bytes
    index = cluster.disk_bytes_per_node * cluster.index_nodes
    sizes = {
        f"traces: {traces / GIB:,.1f} GiB for {load.trace_days} days at {load.qps:,.0f} a second": traces,
        f"catalog: {catalog / GIB:,.1f} GiB of text, vectors and token vectors": catalog,
        f"index: {index / GIB:,.1f} GiB on {cluster.index_nodes} nodes, copies included": index,
    }
    return tuple(sorted(sizes, key=lambda name: -sizes[name]))
