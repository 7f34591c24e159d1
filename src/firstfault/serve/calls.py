"""One request on its way through the answer path: its clock, its deadline, and whether anybody waits for it.

In: a deadline, and what must be told on the trace. Out: a `Recording` that ends the request at the next stage
when nobody waits for it any more.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from firstfault.errors import OutOfTimeError
from firstfault.stages import Stage
from firstfault.trace import OpenSpan, Recording

_current: "ContextVar[Call | None]" = ContextVar("call", default=None)


def check_wanted(before: str) -> None:
    """Go on only if somebody waits for the request that is worked on here; outside of requests, always.

    For work that is long within one stage. Raises what `Call.check` raises.
    """
    call = _current.get()
    if call is not None:
        call.check(before)


class Call(Recording):
    """The recording of a request that has a deadline and can be abandoned, from any thread."""

    def __init__(self, deadline_s: float) -> None:
        super().__init__()
        self.deadline_s = deadline_s
        self._abandoned = threading.Event()
        self._pending: list[tuple[str, dict[str, Any]]] = []
        self.degraded: list[str] = []
        """Names of the steps by which the answer was made cheaper, for the response header."""

    def degrade(self, step: str, reason: str) -> None:
        """Note a step down; it becomes an event of the next stage."""
        self.degraded.append(step)
        self.note_event("degraded", step=step, reason=reason)

    def note_event(self, name: str, **attributes: Any) -> None:
        """Note something that happened between stages; it becomes an event of the next one."""
        self._pending.append((name, attributes))

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self._abandoned.set()

    def work_begins(self) -> None:
        """What this task does from now on is done for this call: see `check_wanted`."""
        _current.set(self)
        self.check("the work began")

    @property
    def abandoned(self) -> bool:
        """Whether the client has left."""
        return self._abandoned.is_set()

    def left_s(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self.deadline_s - self.elapsed_ms() / 1000

    def remaining_s(self, limit: float) -> float:
        """Seconds that a stage may take."""
        return max(min(limit, self.left_s()), 0.001)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[OpenSpan]:
        """Time a stage, unless the client has left or time is up.

        Raises:
            asyncio.CancelledError: the client has left.
            OutOfTimeError: the deadline has passed.
        """
        self.check(stage.value)
        with super().stage(stage) as span:
            for name, attributes in self._pending:
                span.event(name, **attributes)
            self._pending.clear()
            yield span

    def check(self, before: str) -> None:
        """Go on only if somebody waits and there is time; `before` says what would come next."""
        if self.abandoned:
            raise asyncio.CancelledError
        if self.left_s() <= 0:
            raise OutOfTimeError(
                f"The deadline of {self.deadline_s:g} s passed before {before}.",
                hint="Ask for more time (timeout_s), ask less at once, or look at /readyz for the load.",
            )
