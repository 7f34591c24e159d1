"""A fault-injecting, OpenAI-compatible endpoint: `/v1/chat/completions`, `/v1/embeddings`, `/v1/models`.

In: an upstream and a plan of faults. Out: an HTTP server on 127.0.0.1 that answers like the upstream, except
where a fault strikes. Whether one strikes is decided by the question and the seed, never by the clock: the
same request is hit every time, whatever stands around the question.
"""

import contextlib
import hashlib
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from firstfault.drill.answerer import Reply, question_of
from firstfault.drill.behaviours import (
    CHAT,
    EMBEDDING_DELAY,
    EMBEDDING_INPUT,
    EMBEDDINGS,
    NAMES,
    Exchange,
    Faulty,
)
from firstfault.drill.upstream import Upstream, texts_of
from firstfault.errors import FirstfaultError, InputError

PIECES = 4
"""A streamed reply comes in this many pieces."""
MAX_BODY = 64 * 2**20
_HELD_WORDS = 24
"""Words that `truncated_input` leaves at a severity near 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One fault that the proxy plays."""

    name: str
    """One of `behaviours.NAMES`."""
    rate: float = 1.0
    """Share of the questions that it strikes; for embeddings, how badly every vector is hurt."""
    delay_s: float = 0.0
    """For faults that make a request wait."""

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise InputError(
                f"No fault '{self.name}' of an endpoint.", hint=f"There are: {', '.join(NAMES)}."
            )


@dataclass(slots=True, kw_only=True)
class Plan:
    """What the proxy does at the moment; may be changed while it runs."""

    faults: tuple[Planned, ...] = ()
    seed: int = 0
    struck: int = 0
    """Requests that a fault has struck so far."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, fault: Planned, key: str) -> bool:
        """Whether a fault strikes the request with this key."""
        digest = hashlib.sha256(f"{self.seed}\n{fault.name}\n{key}".encode()).digest()
        if int.from_bytes(digest[:8]) >= fault.rate * 2**64:
            return False
        with self.lock:
            self.struck += 1
        return True


class Proxy:
    """The running server. Use it as a context manager; `base_url` is what clients are given."""

    def __init__(self, upstream: Upstream, plan: Plan | None = None, *, port: int = 0) -> None:
        self.plan = plan or Plan()
        self.upstream = upstream
        self._ending = threading.Event()
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except OSError as error:
            message = f"Port {port} cannot be used: {error.strerror}."
            raise InputError(message, hint="Choose another with --port.") from error
        self._server.proxy = self
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.base_url = f"{self.address}/v1"
        """What clients are given; any path may stand before `/v1`."""

    def start(self) -> None:
        """Serve in the background."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self) -> None:
        """Serve until interrupted."""
        self._server.serve_forever()

    def close(self) -> None:
        """Stop; requests that hang are let go."""
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the server."""
        self._ending.wait(seconds)

    def __enter__(self) -> "Proxy":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests may hold private text: nothing is logged."""

    def do_GET(self) -> None:
        """`/v1/models`."""
        if not self.path.rstrip("/").endswith("/v1/models"):
            self._error(404, f"There is no {self.path} here.")
            return
        with self._explained():
            names = self.server.proxy.upstream.models(self.headers["Authorization"])
            self._json({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    def do_POST(self) -> None:
        """`/v1/chat/completions` and `/v1/embeddings`."""
        with self._explained():
            request = self._body()
            if request is None:
                return
            if self.path.endswith("/v1/chat/completions"):
                self._chat(request)
            elif self.path.endswith("/v1/embeddings"):
                self._embeddings(request)
            else:
                self._error(404, f"There is no {self.path} here.")

    def _body(self) -> dict[str, Any] | None:
        length = int(self.headers["Content-Length"] or 0)
        if length > MAX_BODY:
            self._error(413, "The request is too long.")
            return None
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            self._error(400, "The request is not JSON.")
            return None
        if not isinstance(body, dict):
            self._error(400, "The request is not a JSON object.")
            return None
        return body

    def _chat(self, request: Mapping[str, Any]) -> None:
        proxy = self.server.proxy
        reply = proxy.upstream.chat(request, self.headers["Authorization"])
        question = question_of(request["messages"])
        wait = pause = 0.0
        reset = False
        for planned in proxy.plan.faults:
            if planned.name not in CHAT or not proxy.plan.strikes(planned, question):
                continue
            exchange = Exchange(
                messages=request["messages"],
                reply=reply,
                random=Random(f"{proxy.plan.seed} {question}"),
                delay_s=planned.delay_s,
            )
            faulty: Faulty = CHAT[planned.name](exchange)
            if faulty.status is not None:
                self._error(faulty.status, "This failure was asked for.")
                return
            if faulty.hang:
                proxy.wait(3600.0)
                self.close_connection = True
                return
            reply = faulty.reply or reply
            wait, pause, reset = wait + faulty.wait_s, pause + faulty.pause_s, reset or faulty.reset
        proxy.wait(wait)
        if request.get("stream"):
            self._stream(request, reply, pause, reset=reset)
            return
        if reset:
            self._reset()
            return
        proxy.wait(pause * PIECES)
        message = {"role": "assistant", "content": reply.text}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
        usage = _usage(request, reply)
        self._json({**_head(request, "chat.completion"), "choices": [choice], "usage": usage})

    def _stream(self, request: Mapping[str, Any], reply: Reply, pause: float, *, reset: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        head = _head(request, "chat.completion.chunk")
        for number, piece in enumerate(_pieces(reply.text)):
            if reset and number:
                self._reset()
                return
            if number:
                self.server.proxy.wait(pause)
            delta = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
            self._event({**head, "choices": [delta]})
        if reset:
            self._reset()
            return
        last = {"index": 0, "delta": {}, "finish_reason": reply.finish_reason}
        self._event({**head, "choices": [last]})
        if (request.get("stream_options") or {}).get("include_usage"):
            self._event({**head, "choices": [], "usage": _usage(request, reply)})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _embeddings(self, request: dict[str, Any]) -> None:
        proxy = self.server.proxy
        texts = texts_of(request)
        hurts: list[Planned] = []
        for planned in proxy.plan.faults:
            if planned.name == EMBEDDING_DELAY and proxy.plan.strikes(planned, texts[0] if texts else ""):
                proxy.wait(planned.delay_s)
            elif planned.name == EMBEDDING_INPUT:
                held = max(2, round((1 - planned.rate) * _HELD_WORDS))
                texts = [" ".join(text.split()[:held]) for text in texts]
            elif planned.name in EMBEDDINGS:
                hurts.append(planned)
        vectors = proxy.upstream.embed({**request, "input": list(texts)}, self.headers["Authorization"])
        for planned in hurts:
            vectors = EMBEDDINGS[planned.name](texts, vectors, planned.rate)
        rows = [
            {"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(vectors.tolist())
        ]
        used = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": used, "total_tokens": used}
        self._json({"object": "list", "model": request.get("model"), "data": rows, "usage": usage})

    def _json(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _error(self, status: int, message: str) -> None:
        self._json({"error": {"message": message, "type": "drill", "code": status}}, status)

    def _event(self, value: Any) -> None:
        self._chunk(f"data: {json.dumps(value)}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _reset(self) -> None:
        """Close so that the client sees a reset instead of an orderly end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """What the upstream refuses is passed on as a bad gateway; a client that left is let go."""
        try:
            yield
        except FirstfaultError as error:
            self._error(502, str(error))
        except (KeyError, TypeError, IndexError) as error:
            self._error(400, f"The request lacks something: {error}.")
        except OSError:
            self.close_connection = True


def _head(request: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "drill", "object": kind, "created": 0, "model": request.get("model", "drill")}


def _usage(request: Mapping[str, Any], reply: Reply) -> dict[str, int]:
    """Words; the upstream's own tokens are not known here."""
    asked = sum(len(str(message.get("content", "")).split()) for message in request["messages"])
    said = len(reply.text.split())
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _pieces(text: str) -> Iterator[str]:
    """The text in about equal pieces, at least one."""
    size = max(1, -(-len(text) // PIECES))
    for start in range(0, max(1, len(text)), size):
        yield text[start : start + size]
