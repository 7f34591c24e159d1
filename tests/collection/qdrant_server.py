"""Qdrant's HTTP interface over the local mode of its client: no engine of its own, but a real wire between.

It lets the tests use the adapter as a cluster is used: through HTTP, from several clients, with requests that
fail. What it answers comes from `QdrantClient(":memory:")`.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Qdrant(ThreadingHTTPServer):
    """One server with its collections. `lose` of the next requests are dropped after they were done."""

    daemon_threads = True

    def __init__(self) -> None:
        from qdrant_client import QdrantClient

        super().__init__(("127.0.0.1", 0), _Handler)
        self.client = QdrantClient(":memory:")
        self.lock = threading.Lock()
        self.lose = 0
        self.key: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Qdrant

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        size = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(size)) if size else {}
        parts = [part for part in urlsplit(self.path).path.split("/") if part]
        if self.server.key is not None and self.headers.get("api-key") != self.server.key:
            self._reply(401, {"status": {"error": "wrong key"}})
            return
        with self.server.lock:
            try:
                result = _answer(self.server.client, self.command, parts, body)
            except ValueError as error:
                status = 409 if "already exists" in str(error) else 404
                self._reply(status, {"status": {"error": str(error)}})
                return
            lost = self.server.lose > 0
            self.server.lose -= lost
        if lost:
            self.connection.close()
            self.close_connection = True
            return
        self._reply(200, {"result": result, "status": "ok", "time": 0.0})

    def _reply(self, status: int, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _answer(client: Any, method: str, parts: list[str], body: dict[str, Any]) -> Any:
    from qdrant_client import models

    done = {"operation_id": 1, "status": "completed"}
    name, rest = parts[1], "/".join(parts[2:])
    match method, rest:
        case "GET", "exists":
            return {"exists": client.collection_exists(name)}
        case "GET", "":
            return _plain(client.get_collection(name))
        case "DELETE", "":
            return client.delete_collection(name)
        case "PUT", "":
            asked = models.CreateCollection.model_validate(body)
            client.create_collection(
                name, vectors_config=asked.vectors, sparse_vectors_config=asked.sparse_vectors
            )
            return True
        case "PUT", "index":
            return done
        case "PUT", "points":
            client.upsert(name, models.PointsList.model_validate(body).points)
            return done
        case "POST", "points/payload":
            change = models.SetPayload.model_validate(body)
            client.set_payload(name, change.payload, points=change.points)
            return done
        case "POST", "points/delete":
            client.delete(name, models.PointIdsList.model_validate(body).points)
            return done
        case "POST", "points/count":
            return _plain(client.count(name, exact=True))
        case "POST", "points/scroll":
            wanted = models.ScrollRequest.model_validate(body)
            records, after = client.scroll(
                name, offset=wanted.offset, limit=wanted.limit, with_payload=wanted.with_payload
            )
            return {"points": _plain(records), "next_page_offset": after}
        case "POST", "points":
            point = models.PointRequest.model_validate(body)
            return _plain(
                client.retrieve(
                    name, point.ids, with_payload=point.with_payload, with_vectors=point.with_vector
                )
            )
        case "POST", "points/query":
            query = models.QueryRequest.model_validate(body)
            found = client.query_points(
                name,
                query=query.query,
                using=query.using,
                query_filter=query.filter,
                search_params=query.params,
                limit=query.limit,
                with_payload=query.with_payload,
            )
            return _plain(found)
    raise ValueError(f"{method} {parts} is not served here")


@contextmanager
def serve() -> Iterator[Qdrant]:
    """A server on a free port of this machine."""
    server = Qdrant()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        server.client.close()
