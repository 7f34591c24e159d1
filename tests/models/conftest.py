"""The real models, pulled once, and a real HTTP endpoint that misbehaves as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.listening import listening

from firstfault.models import LlamaGenerator, OnnxEmbedder, store

KEY = "right-key"


@pytest.fixture(scope="session")
def embedder() -> OnnxEmbedder:
    store.ensure("all-MiniLM-L6-v2")
    return OnnxEmbedder(threads=2)


@pytest.fixture(scope="session")
def llama() -> Iterator[LlamaGenerator]:
    store.ensure("SmolLM2-135M-Instruct")
    generator = LlamaGenerator(context_window=1024, threads=1)
    yield generator
    generator.close()


@dataclass
class FakeEndpoint:
    """An OpenAI-compatible server on the loopback; `reply` decides what a request gets."""

    reply: "Callable[[Exchange], None]"
    requests: list[dict[str, Any]] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when the server notices that the client has gone."""
    url: str = ""


class Exchange(BaseHTTPRequestHandler):
    """One request, with helpers to answer it well or badly."""

    protocol_version = "HTTP/1.1"
    endpoint: FakeEndpoint
    body: dict[str, Any]

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.body["path"] = self.path
        self.endpoint.requests.append(self.body)
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self.send_json(401, {"error": {"message": f"Incorrect API key: {self.headers['Authorization']}"}})
            return
        try:
            self.endpoint.reply(self)
        except (BrokenPipeError, ConnectionResetError):
            self.endpoint.closed.set()
            self.close_connection = True

    def send_json(self, status: int, body: dict[str, Any], **headers: str) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(raw)),
            **headers,
        }.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_event(self, data: str) -> None:
        raw = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.flush()

    def send_text(self, text: str, finish: str | None = None, **extra: Any) -> None:
        choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
        chunk = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        self.send_event(json.dumps(chunk | extra))

    def end_stream(self) -> None:
        self.send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def wait_until_gone(self, seconds: float = 10.0) -> None:
        """Keep sending comments until the client hangs up (which raises) or time is up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.wfile.write(b"a\r\n: waiting\n\r\n")
            self.wfile.flush()
            time.sleep(0.01)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    fake = FakeEndpoint(reply=lambda exchange: exchange.send_json(500, {}))
    monkeypatch.setenv("TEST_KEY", KEY)
    with listening(type("Bound", (Exchange,), {"endpoint": fake})) as address:
        fake.url = f"{address}/v1"
        yield fake
