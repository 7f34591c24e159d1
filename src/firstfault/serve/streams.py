"""Answers over a connection that may close: work in, a response out; the work is cancelled with the client.

A response is only begun when the first event is there: until then a failure still has a status of its own.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

T = TypeVar("T")

KEEP_ALIVE_S = 15.0
"""A comment is sent after this silence, so that proxies keep the connection."""

Emit = Callable[[bytes], None]


class ClientLeftError(Exception):
    """Nobody is there to be answered."""


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work; when the client leaves, the work is cancelled at once.

    Raises:
        ClientLeftError: the client left.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_gone(request.receive))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeftError
        return task.result()
    finally:
        for one in (task, watcher):
            if not one.done():
                one.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def event(name: str, data: Any) -> bytes:
    """A server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


class EventStream(Response):
    """Server-sent events from a producer, which gets a function to emit them with, callable from any thread.

    `failed` turns an exception before the first event into a response, and one after it into last events.
    """

    def __init__(
        self,
        produce: Callable[[Emit], Awaitable[None]],
        *,
        failed: Callable[[Exception], tuple[Response, bytes]],
        headers: Callable[[], dict[str, str]],
    ) -> None:
        self._produce = produce
        self._failed = failed
        self._late_headers = headers
        self.status_code = 200
        self.background = None
        self.raw_headers = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream until it ends or the client leaves."""
        loop = asyncio.get_running_loop()
        pending: asyncio.Queue[bytes | None] = asyncio.Queue()

        def emit(data: bytes) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone with the server
                loop.call_soon_threadsafe(pending.put_nowait, data)

        async def produce() -> None:
            try:
                await self._produce(emit)
            finally:
                loop.call_soon(pending.put_nowait, None)  # after what other threads emitted

        task = asyncio.ensure_future(produce())
        watcher = asyncio.ensure_future(_gone(receive))
        sender = asyncio.ensure_future(self._send(scope, receive, send, pending, task))
        try:
            await asyncio.wait({sender, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if sender.done():
                sender.result()
        finally:
            for one in (task, watcher, sender):
                one.cancel()
            await asyncio.gather(task, watcher, sender, return_exceptions=True)

    async def _send(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        pending: "asyncio.Queue[bytes | None]",
        task: "asyncio.Future[None]",
    ) -> None:
        first = await pending.get()
        if first is None:
            response = self._response_of(task)
            await response(scope, receive, send)
            return
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-store",
            "x-accel-buffering": "no",
            **self._late_headers(),
        }
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        data: bytes | None = first
        while data is not None:
            await send({"type": "http.response.body", "body": data, "more_body": True})
            while True:
                try:
                    data = await asyncio.wait_for(pending.get(), KEEP_ALIVE_S)
                    break
                except TimeoutError:
                    await send({"type": "http.response.body", "body": b": waiting\n\n", "more_body": True})
        error = await _error_of(task)
        last = b"" if error is None else self._failed(error)[1]
        await send({"type": "http.response.body", "body": last, "more_body": False})

    def _response_of(self, task: "asyncio.Future[None]") -> Response:
        error = task.exception() if task.done() and not task.cancelled() else None
        if isinstance(error, Exception):
            return self._failed(error)[0]
        return Response(status_code=204)


async def _error_of(task: "asyncio.Future[None]") -> Exception | None:
    (found,) = await asyncio.gather(task, return_exceptions=True)
    return found if isinstance(found, Exception) else None
