"""A circuit breaker: failures of an endpoint in, a decision whether to ask it again out."""

import threading
import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Opens after some failures in a row; when its time is up one request may try, and decides.

    Thread-safe. Time is monotonic: a jump of the wall clock changes nothing.
    """

    def __init__(self, *, failures: int, reset_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = failures
        self._reset_s = reset_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._trying = False

    @property
    def state(self) -> State:
        """`closed` = asked as usual, `open` = not asked, `half_open` = one request tries."""
        with self._lock:
            return self._state()

    def allows(self) -> bool:
        """Whether to ask now. Whoever is allowed must report `succeeded`, `failed` or `withdrawn`."""
        with self._lock:
            state = self._state()
            if state == "half_open":
                if self._trying:
                    return False
                self._trying = True
            return state != "open"

    def succeeded(self) -> None:
        """The endpoint answered."""
        with self._lock:
            self._failures, self._opened_at, self._trying = 0, None, False

    def failed(self) -> None:
        """The endpoint did not answer as it should."""
        with self._lock:
            self._failures += 1
            if self._trying or self._failures >= self._most:
                self._opened_at = self._clock()
            self._trying = False

    def withdrawn(self) -> None:
        """The request ended for a reason of its own; nothing was learnt."""
        with self._lock:
            self._trying = False

    def retry_after_s(self) -> float:
        """Seconds until it is tried again."""
        with self._lock:
            if self._opened_at is None:
                return 0.0
            return max(self._reset_s - (self._clock() - self._opened_at), 0.0)

    def _state(self) -> State:
        if self._opened_at is None:
            return "closed"
        return "open" if self._clock() - self._opened_at < self._reset_s else "half_open"
