"""Who gets in: a bounded number of requests at work, a bounded queue before them, and a rate for each key.

In: requests, all from one event loop. Out: a slot, or a refusal that says when to try again.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from firstfault.errors import FirstfaultError, OutOfTimeError

_SMOOTHING = 0.2
"""Weight of the newest request in the running mean of how long one takes."""


class RefusedError(FirstfaultError):
    """The server does not take the request now."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str, status: int, retry_after_s: float) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        """429 = this client asks too often; 503 = the server is full or stopping."""
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        """For the header of the same name."""


class Admission:
    """Slots and a first-come queue. Used by one event loop."""

    def __init__(self, *, concurrency: int, queue: int) -> None:
        self.concurrency = concurrency
        self.queue = queue
        self.working = 0
        """Requests at work."""
        self.closed = False
        """True once the server is stopping: nothing new gets in."""
        self.mean_s = 0.0
        """Running mean of how long a request takes at work."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(not one.done() for one in self._waiting)

    @property
    def fill(self) -> float:
        """Share of the queue that is taken, 0 to 1; without a queue, whether every slot is taken."""
        return self.waiting / self.queue if self.queue else float(self.working >= self.concurrency)

    @property
    def saturated(self) -> bool:
        """Whether the next request would be refused."""
        return self.working >= self.concurrency and self.waiting >= self.queue

    def expected_wait_s(self) -> float:
        """How long a request that came now would wait."""
        if self.working < self.concurrency:
            return 0.0
        return (self.waiting + 1) * self.mean_s / self.concurrency

    async def enter(self, left_s: float) -> float:
        """Wait for a slot; returns when it is taken, as `time.monotonic()`. Give it back with `leave`.

        Raises:
            RefusedError: the queue is full, too long for the deadline, or the server is stopping.
            OutOfTimeError: the deadline passed in the queue.
        """
        if self.closed:
            raise RefusedError(
                "The server is stopping.", hint="Ask another one.", status=503, retry_after_s=5
            )
        if self.working < self.concurrency and not self.waiting:
            self.working += 1
            return time.monotonic()
        expected = self.expected_wait_s()
        if self.waiting >= self.queue or expected > left_s:
            raise RefusedError(
                f"{self.working} requests are worked on and {self.waiting} wait: there is no room.",
                hint="Try again later, or raise serve.queue and serve.concurrency.",
                status=503,
                retry_after_s=expected,
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await asyncio.wait_for(place, timeout=max(left_s, 0.0))
        except TimeoutError:
            raise OutOfTimeError(
                f"The deadline passed after {left_s:.1f} s in the queue.",
                hint="Try again later, or allow more time (timeout_s).",
            ) from None
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._release()  # the slot came as the client left
            raise
        return time.monotonic()

    def leave(self, entered: float) -> None:
        """Give a slot back."""
        took = time.monotonic() - entered
        self.mean_s = took if self.mean_s == 0 else self.mean_s + _SMOOTHING * (took - self.mean_s)
        self._release()

    def _release(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)  # the slot changes hands
                return
        self.working -= 1


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimits:
    """A token bucket for each key: a minute's worth may come at once, then at the steady rate."""

    MOST_BUCKETS = 10_000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str, per_minute: float | None) -> None:
        """Count a request.

        Raises:
            RefusedError: the key has asked too often.
        """
        if per_minute is None:
            return
        now = self._clock()
        most = max(per_minute, 1.0)
        if len(self._buckets) > self.MOST_BUCKETS:
            self._buckets = {name: one for name, one in self._buckets.items() if now - one.at < 60}
        bucket = self._buckets.setdefault(key, _Bucket(most, now))
        bucket.tokens = min(most, bucket.tokens + (now - bucket.at) * per_minute / 60)
        bucket.at = now
        if bucket.tokens < 1:
            raise RefusedError(
                f"This key may ask {per_minute:g} times a minute.",
                hint="Wait, or have its limit raised: firstfault keys create --per-minute.",
                status=429,
                retry_after_s=(1 - bucket.tokens) * 60 / per_minute,
            )
        bucket.tokens -= 1
