"""Shard keys: what is sent to a cluster, recorded by a server that has shards as a cluster has them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from firstfault.collection.filters import admits, parse_where, values_of
from firstfault.collection.index import Point
from firstfault.collection.lexical import SparseVector
from firstfault.collection.tenants import OTHERS, shard_of, shards_for
from firstfault.config import IndexConfig
from firstfault.errors import ConfigError

from .test_filters import FILTERS, METADATA

pytest.importorskip("qdrant_client", reason="the extra `scale` is not installed")


@given(FILTERS, METADATA)
def test_what_a_filter_admits_is_in_a_shard_that_is_asked(where: Any, metadata: Any) -> None:
    for field in metadata:
        asked = shards_for(where, field)
        if asked is not None and admits(where, metadata):
            assert shard_of(values_of(metadata, field)) in asked


@pytest.mark.parametrize(
    ("where", "asked"),
    [
        ('tenant = "a"', {"a", OTHERS}),
        ('tenant = "a" and year > 3', {"a", OTHERS}),
        ('tenant in ("a", "b")', {"a", "b", OTHERS}),
        ('tenant = "a" or tenant = "b"', {"a", "b", OTHERS}),
        ('tenant = "a" or year > 3', None),
        ('not tenant = "a"', None),
        ("tenant = 3", None),
    ],
)
def test_filters_on_the_tenant_are_routed(where: str, asked: set[str] | None) -> None:
    assert shards_for(parse_where(where), "tenant") == asked


class Cluster(ThreadingHTTPServer):
    """Keeps ids and payload by shard, answers what the adapter asks before it writes, and records the rest.

    Like a cluster it refuses a write without a shard key, and one for a key that was not created.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.made: dict[str, Any] = {}
        self.shards: dict[str, dict[int, Any]] = {}
        self.queries: list[Any] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Cluster

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        size = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(size)) if size else {}
        parts = self.path.split("?")[0].strip("/").split("/")
        try:
            status, result = 200, self.answer(self.command, "/".join(parts[2:]), body)
        except KeyError as error:
            status, result = 400, f"no shard {error}"
        data = json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def answer(self, method: str, rest: str, body: dict[str, Any]) -> Any:
        given, done = self.server, {"operation_id": 1, "status": "completed"}
        match method, rest:
            case "GET", "exists":
                return {"exists": bool(given.made)}
            case "PUT", "":
                given.made = body
                return True
            case "GET", "":
                params = {"vectors": given.made["vectors"]}
                config = {"params": params, "hnsw_config": HNSW, "optimizer_config": OPTIMIZER}
                return {**INFO, "config": config}
            case "GET", "cluster":
                shards = [
                    {"shard_id": n, "shard_key": key, "points_count": len(points), "state": "Active"}
                    for n, (key, points) in enumerate(given.shards.items())
                ]
                info = {"peer_id": 1, "shard_count": len(shards), "shard_transfers": []}
                return {**info, "local_shards": shards, "remote_shards": []}
            case "PUT", "shards":
                given.shards[body["shard_key"]] = {}
                return True
            case "PUT", "index":
                return done
            case "PUT", "points":
                for point in body["points"]:
                    given.shards[body["shard_key"]][point["id"]] = point["payload"]
                return done
            case "POST", "points/payload":
                for key in body["points"]:
                    given.shards[body["shard_key"]][key] |= body["payload"]
                return done
            case "POST", "points/delete":
                for key in body["points"]:
                    del given.shards[body["shard_key"]][key]
                return done
            case "POST", "points":
                everywhere = {key: load for shard in given.shards.values() for key, load in shard.items()}
                return [{"id": key, "payload": everywhere[key]} for key in body["ids"] if key in everywhere]
            case "POST", "points/query":
                given.queries.append(body)
                return {"points": []}
        raise AssertionError(f"{method} {rest}")


HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10}
OPTIMIZER = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1,
    "default_segment_number": 0,
    "flush_interval_sec": 5,
}
INFO = {
    "status": "green",
    "optimizer_status": "ok",
    "segments_count": 1,
    "payload_schema": {},
    "points_count": 0,
    "indexed_vectors_count": 0,
}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    server = Cluster()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def point(key: int, **metadata: Any) -> Point:
    sparse = SparseVector(indices=[1], values=[1.0])
    return Point(key=key, dense=np.ones(4, np.float32), sparse=sparse, metadata=metadata, valid_from=1)


def test_points_are_written_to_the_shard_of_their_tenant_and_searches_ask_it(cluster: Cluster) -> None:
    from firstfault.collection.index_qdrant import QdrantIndex, connect_cluster

    url = f"http://127.0.0.1:{cluster.server_address[1]}"
    config = IndexConfig(kind="qdrant", url=url, shards=2, shard_key="tenant")
    index = QdrantIndex(connect_cluster(config), "ff-x", 4, config)
    assert (cluster.made["sharding_method"], cluster.made["shard_number"]) == ("custom", 2)
    assert list(cluster.shards) == [OTHERS]
    index.upsert(
        [
            point(1, tenant="a"),
            point(2, tenant="b"),
            point(3),
            point(4, tenant=["a", "b"]),
            point(5, tenant="a"),
        ]
    )
    assert {key: sorted(points) for key, points in cluster.shards.items()} == {
        OTHERS: [3, 4],
        "a": [1, 5],
        "b": [2],
    }
    index.retire([1, 2, 99], valid_to=7)
    assert [cluster.shards["a"][1]["to"], cluster.shards["b"][2]["to"]] == [7, 7]
    index.delete([5, 3])
    assert {key: sorted(points) for key, points in cluster.shards.items()} == {
        OTHERS: [4],
        "a": [1],
        "b": [2],
    }
    again = QdrantIndex(connect_cluster(config), "ff-x", 4, config)
    for where in ('tenant = "a"', 'tenant = "never seen"', None):
        parsed = parse_where(where) if where else None
        again.dense(np.ones(4, np.float32), where=parsed, version=None, limit=3, ef=8, exact=False)
    again.sparse(
        SparseVector(indices=[1], values=[1.0]), where=parse_where('tenant = "b"'), version=None, limit=3
    )
    asked = [query.get("shard_key") for query in cluster.queries]
    assert asked == [[OTHERS, "a"], [OTHERS], None, [OTHERS, "b"]]
    assert all(len(query["filter"]["must"]) == 2 for query in cluster.queries if query.get("shard_key"))
    index.close()
    again.close()


def test_local_mode_says_that_it_has_no_shard_keys() -> None:
    from qdrant_client import QdrantClient

    from firstfault.collection.index_qdrant import QdrantIndex

    client = QdrantClient(":memory:")
    with pytest.raises(ConfigError, match=r"no shard keys.*leave index\.shard_key out"):
        QdrantIndex(client, "x", 4, IndexConfig(kind="qdrant", shard_key="tenant"))
    client.close()
