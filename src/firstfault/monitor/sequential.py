"""Sequential tests: the values of one signal, one request after the other, in; alarm and recovery out.

Whatever the signal, the test sees failures. A failure of a score is a value beyond a limit that at most a
known share of the baseline's requests passes: an order statistic, with confidence `CONFIDENCE`
(Wilks 1941). The rate of failures at rest is that share, or for signals that are failures the upper
confidence limit of the baseline's rate (Clopper and Pearson 1934). So an estimate from few requests costs
sensitivity, never the promise on false alarms. Every stream is watched by two CUSUMs, tuned to a small and to
a large change; their run lengths are exact (`structured.drift`), and the promise is shared between all
streams (Bonferroni).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal

from firstfault.diagnose.latency import LEAST_MS, SLOWER
from firstfault.monitor.signals import Signal, signal_of
from firstfault.structured.drift import Watch, design

CONFIDENCE = 0.99
"""That the rate of failures at rest is not above the one that is assumed."""
ODDS = (2.0, 6.0)
"""The changes that the tests are tuned to: the odds of a failure times these."""
SHARES = (0.05, 0.15, 0.30, 0.50)
"""Of the baseline's requests that may pass the limit of a score: the least that can tell good from bad."""
GRID = (0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Rates of failures at rest; estimates are rounded up to the next, so that designs are made once."""
HEAVIER = 1.5
"""More of a load is bad only beyond this many times the usual."""
REMEMBERED = 200
"""Requests of which the outcome is remembered, for the rate and the examples in a message."""

Limit = Literal["below", "above"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is usual: learnt from the baseline."""

    n: int
    """Requests of the baseline that had the signal."""
    usual: float
    """Their mean; for times and loads their median."""
    bad: Limit
    limit: float
    """A value beyond it is a failure."""
    failures: float
    """Share of failures that is assumed at rest."""


def learn(signal: Signal, values: Sequence[float]) -> Rest | None:
    """What is usual, from the values of the baseline; None where the signal cannot get worse than it is."""
    ordered = sorted(values)
    n = len(ordered)
    if signal.kind == "failure":
        rate = _upper(sum(value > 0.5 for value in ordered), n)
        if rate > GRID[-1]:
            return None
        return Rest(n=n, usual=math.fsum(ordered) / n, bad="above", limit=0.5, failures=_rounded_up(rate))
    median = ordered[(n - 1) // 2]
    rising = signal.lower_is_better
    worst_first = [-value for value in reversed(ordered)] if rising else ordered
    found = _order_statistic(worst_first)
    if found is None:
        return None
    limit, share = found
    if not rising:
        return Rest(n=n, usual=math.fsum(ordered) / n, bad="below", limit=limit, failures=share)
    least = max(SLOWER * median, median + LEAST_MS) if signal.kind == "time" else HEAVIER * median
    return Rest(n=n, usual=median, bad="above", limit=max(-limit, least), failures=share)


def _order_statistic(ascending: Sequence[float]) -> tuple[float, float] | None:
    """A value that surely no more than a share of the requests is below, and that share, the least that
    lies above the worst value; None where half of the requests are as bad as can be."""
    for share in SHARES:
        rank = _rank(len(ascending), share)
        if rank and (ascending[rank - 1] > ascending[0] or ascending[0] == ascending[-1]):
            return ascending[rank - 1], share
    return None


@cache
def _rank(n: int, share: float) -> int:
    """The greatest rank r so that surely at most `share` of all values are below the r-th least of n: fewer
    than r of n values would be below that quantile with a probability of at most 1 - CONFIDENCE. 0 = none."""
    rank, tail = 0, 0.0
    while rank < n:
        tail += _binomial(rank, n, share)
        if tail > 1 - CONFIDENCE:
            break
        rank += 1
    return rank


@cache
def _upper(failures: int, n: int) -> float:
    """The one-sided upper confidence limit of a rate (Clopper and Pearson 1934), by bisection."""
    if failures >= n:
        return 1.0
    low, high = failures / n, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if math.fsum(_binomial(k, n, middle) for k in range(failures + 1)) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _binomial(k: int, n: int, p: float) -> float:
    """The probability of k successes in n trials, 0 < p < 1."""
    if p >= 1.0:
        return float(k == n)
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


def _rounded_up(rate: float) -> float:
    return next(value for value in GRID if value >= rate)


def watches(failures: float, *, false_alarm: float, horizon: int) -> tuple[Watch, ...]:
    """The tests of one stream: an alarm of any of them within `horizon` has at most the probability given."""
    each = false_alarm / len(ODDS)
    return tuple(design(failures, odds=odds, false_alarm=each, horizon=horizon) for odds in ODDS)


@dataclass(slots=True, kw_only=True)
class Stream:
    """One signal of one collection, watched; mutable, and kept between processes as `record`."""

    signal: str
    baseline: int
    """Requests to learn from."""
    false_alarm: float
    """Probability of a false alarm of this stream within `horizon` requests."""
    horizon: int
    rest: Rest | None = None
    learning: list[float] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    """Of the CUSUMs."""
    began: str | None = None
    """The trace at which the evidence began to pile up."""
    began_at: str | None = None
    since: int = 0
    """Requests since then."""
    raised: bool = False
    recovery: int = 0
    """Of the CUSUM that looks for the way back, while raised."""
    seen: int = 0
    """Requests that were held against the baseline."""
    recent: list[tuple[str, bool]] = field(default_factory=list)
    """The newest requests: trace, and whether it failed."""

    def step(self, value: float, trace_id: str, at: str) -> None:
        """Take in one more request."""
        known = signal_of(self.signal).at_rest
        if self.rest is None and known is not None:
            self.rest = Rest(n=0, usual=0.0, bad="above", limit=0.5, failures=known)
            self.states = [0] * len(ODDS)
        if self.rest is None:
            self.learning.append(value)
            if len(self.learning) >= self.baseline:
                self.rest = learn(signal_of(self.signal), self.learning)
                if self.rest is None:  # as bad as can be: look again with what comes next
                    del self.learning[: self.baseline // 2]
                else:
                    self.learning.clear()
                    self.states = [0] * len(ODDS)
            return
        failed = value > self.rest.limit if self.rest.bad == "above" else value < self.rest.limit
        self.seen += 1
        self.recent.append((trace_id, failed))
        del self.recent[:-REMEMBERED]
        tests = self._tests()
        quiet = not any(self.states)
        if not self.raised:
            self.states = [
                test.step(state, valid=not failed) for test, state in zip(tests, self.states, strict=True)
            ]
        if quiet and failed:
            self.began, self.began_at, self.since = trace_id, at, 0
        self.since += 1
        if self.raised:
            slow = tests[-1]
            self.recovery = max(0, self.recovery - slow.up) if failed else self.recovery + slow.down
            if self.recovery >= slow.threshold:
                self.raised, self.recovery, self.states = False, 0, [0] * len(ODDS)
        elif any(state >= test.threshold for test, state in zip(tests, self.states, strict=True)):
            self.raised, self.recovery = True, 0

    @property
    def level(self) -> float:
        """How far the nearest test is from its alarm, 0 to 1; 1 = raised."""
        if self.rest is None:
            return 0.0
        if self.raised:
            return 1.0
        tests = self._tests()
        return min(1.0, max(s / test.threshold for s, test in zip(self.states, tests, strict=True)))

    @property
    def failing(self) -> tuple[int, int]:
        """Failures, and requests, since the evidence began to pile up; of at most the last `REMEMBERED`."""
        part = self.recent[-max(1, self.since) :]
        return sum(failed for _, failed in part), len(part)

    def examples(self, most: int = 5) -> tuple[str, ...]:
        """The newest requests that failed, newest first."""
        part = self.recent[-max(1, self.since) :]
        return tuple(trace_id for trace_id, failed in reversed(part) if failed)[:most]

    def median_delay(self) -> int | None:
        """Requests until the alarm for the large change, in half of the cases; None before the baseline."""
        return self._tests()[-1].median_delay if self.rest is not None else None

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Stream":
        """What `record` gave."""
        rest = Rest(**record["rest"]) if record["rest"] is not None else None
        recent = [(str(trace_id), bool(failed)) for trace_id, failed in record["recent"]]
        return cls(**{**record, "rest": rest, "recent": recent})

    def _tests(self) -> tuple[Watch, ...]:
        assert self.rest is not None
        return watches(self.rest.failures, false_alarm=self.false_alarm, horizon=self.horizon)
