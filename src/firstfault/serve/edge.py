"""The outermost layer: every request passes here first and last.

It refuses foreign hosts and bodies that are too large, counts and logs, and turns what nobody caught into a
500 that names the trace id and nothing else.
"""

import logging
import time
from ipaddress import ip_address

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstfault.serve.problems import Problem
from firstfault.serve.state import Served
from firstfault.serve.streams import ClientLeftError

logger = logging.getLogger("firstfault.serve.access")

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths whose successes are counted and not logged."""
CLIENT_LEFT = 499
"""What the log and the metrics call a request whose client left."""


class TooLargeError(HTTPException):
    """The body is larger than allowed; an HTTP error, since the framework reads the body."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status)
        self.problem = problem


class Edge:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, server: Served) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        sent = 0

        async def watch(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                sent = message["status"]
            await send(message)

        try:
            await self._serve(scope, receive, watch)
        except ClientLeftError:
            sent = CLIENT_LEFT
        except Exception:
            call = (scope.get("state") or {}).get("call")
            trace_id = call.id if call is not None else None
            logger.exception("A request failed", extra={"trace_id": trace_id})
            if sent == 0:
                problem = Problem(
                    status=500, detail="The server failed.", hint="Its log has the cause.", trace_id=trace_id
                )
                await problem.response(scope["path"])(scope, receive, watch)
        finally:
            self._account(scope, sent or CLIENT_LEFT, time.perf_counter() - began)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        limit = self._server.engine.settings.serve.max_body_bytes
        if not self._server.keys_demanded and not _is_local(headers.get(b"host", b"")):
            hint = "Use 127.0.0.1 or localhost; a server for others needs keys and serve.host."
            problem = Problem(status=421, detail="The Host header does not name this machine.", hint=hint)
            await problem.response(scope["path"])(scope, receive, send)
            return
        too_large = Problem(
            status=413,
            detail=f"The body is larger than {limit:,} bytes.",
            hint="Send fewer documents at a time, or raise serve.max_body_bytes.",
        )
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > limit:
            await too_large.response(scope["path"])(scope, receive, send)
            return
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise TooLargeError(too_large)
            return message

        await self._app(scope, bounded, send)

    def _account(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._server.metrics.requested(route, scope["method"], status, seconds)
        if route in QUIET and status < 400:
            return
        state = scope.get("state") or {}
        call, key = state.get("call"), state.get("key")
        logger.info(
            "request",
            extra={
                "trace_id": call.id if call is not None else None,
                "method": scope["method"],
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 1),
                "key": key,
                "client": scope["client"][0] if scope.get("client") else None,
                "degraded": ", ".join(call.degraded) if call is not None and call.degraded else None,
            },
        )


def _is_local(host: bytes) -> bool:
    """Whether a Host header names this machine: a web page cannot talk to us under a name of its own."""
    name = host.decode("latin-1").strip()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name in {"localhost", ""}:
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
