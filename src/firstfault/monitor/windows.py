"""Health: the readings of a sliding window in, one row a stage out, held against the window before it.

Rates have Wilson's interval, means that of the normal distribution, percentiles are nearest ranks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from firstfault.config import Settings
from firstfault.diagnose.latency import budget_of
from firstfault.intervals import Z, proportion
from firstfault.monitor.reading import Reading
from firstfault.monitor.readings import Readings, Slice
from firstfault.monitor.signals import ANY, LEADING, READ, TIMES, Signal
from firstfault.stages import Stage
from firstfault.types import Status, Verdict

BUCKETS = 24
"""Points of a trend."""
LEAST = 20
"""Requests below which nothing is judged."""
TOLERATED_SLOW = 0.1
"""A component is over budget when more than this share of its requests is."""
_LIMITS = {
    "faithfulness": "faithfulness",
    "hallucination_rate": "hallucination_rate",
    "format_validity": "format_validity",
    "error": "error_rate",
}
"""Signal → the key of `[evaluate]` that holds its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One signal over a window."""

    name: str
    stage: str
    label: str
    value: float | None
    """Mean over the requests that have it; None with n = 0."""
    low: float | None
    high: float | None
    """95 % interval; None with fewer than two requests."""
    n: int
    baseline: float | None
    """The same over the baseline; None where nothing was measured there."""
    lower_is_better: bool
    trend: tuple[float | None, ...]
    """Means over equal parts of the window, oldest first; None = no request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One timed component over a window, in milliseconds."""

    component: str
    stage: str
    n: int
    p50: float
    p95: float
    p99: float
    budget: float | None
    over: float
    """Share of the requests that were over the budget."""
    baseline_p50: float | None
    baseline_p95: float | None
    trend: tuple[float | None, ...]
    """p95 over equal parts of the window, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHealth:
    """One row of the health page."""

    stage: str
    """A stage, or `any`: the whole request."""
    verdict: Verdict
    """`fail` = beyond a limit or budget or an alert is firing, `warn` = an alert is pending or it is surely
    worse than the baseline, `unknown` = too few requests."""
    measures: tuple[Measure, ...]
    """The leading one first."""
    latency: tuple[Latency, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The application over a window."""

    since: str
    until: str
    baseline_since: str
    requests: int
    baseline_requests: int
    worst: Status
    rows: tuple[StageHealth, ...]
    """`any` first, then the stages in their order."""


def health(
    readings: Readings,
    settings: Settings,
    *,
    slice_: Slice | None = None,
    window: timedelta = timedelta(hours=1),
    baseline: timedelta = timedelta(days=1),
    until: datetime | None = None,
    alerts: Sequence[Verdict] = (),
) -> Health:
    """One row a stage over the last `window`, held against the `baseline` before it.

    `alerts` are verdicts whose names begin with their stage, as `Alert.verdict` makes them.
    """
    end = until or datetime.now(UTC)
    start, before = end - window, end - window - baseline
    stamp = [moment.isoformat(timespec="milliseconds") for moment in (before, start, end)]
    now = readings.window(since=stamp[1], until=None if until is None else stamp[2], slice_=slice_)
    usual = readings.window(since=stamp[0], until=stamp[1], slice_=slice_)
    edges = [start.timestamp() + (end - start).total_seconds() * i / BUCKETS for i in range(BUCKETS + 1)]
    rows = []
    for stage in (ANY, *Stage):
        row = _row(stage, (now, usual), settings, edges)
        own = _alerting([one for one in alerts if one.name.split(" ", 1)[0] == stage])
        rows.append(row if own is None else replace(row, verdict=own))
    order: tuple[Status, ...] = ("fail", "warn", "unknown", "ok")
    judged: list[Status] = [row.verdict.status for row in rows if row.verdict.status != "unknown"]
    return Health(
        since=stamp[1],
        until=stamp[2],
        baseline_since=stamp[0],
        requests=len(now),
        baseline_requests=len(usual),
        worst=min(judged, key=order.index, default="unknown"),
        rows=tuple(rows),
    )


def _row(
    stage: str, both: tuple[Sequence[Reading], Sequence[Reading]], settings: Settings, edges: Sequence[float]
) -> StageHealth:
    """A row of `both`: the readings of the window, and those of the baseline."""
    now, usual = both
    leading = LEADING.get(Stage(stage)) if stage != ANY else "error"
    signals = sorted((one for one in READ if one.stage == stage), key=lambda one: one.name != leading)
    measures = tuple(m for one in signals if (m := measure(one, now, usual, edges)) is not None)
    components = [name for name, blamed in TIMES.items() if blamed == stage]
    latencies = tuple(t for name in components if (t := _latency(name, now, usual, settings, edges)))
    return StageHealth(
        stage=stage,
        verdict=_verdict(stage, len(now), measures, latencies, settings),
        measures=measures,
        latency=latencies,
    )


def measure(
    signal: Signal, now: Sequence[Reading], usual: Sequence[Reading], edges: Sequence[float]
) -> Measure | None:
    """A signal over a window; None where no request has it."""
    pairs = [(one.at, value) for one in now if (value := one.value(signal.name)) is not None]
    before = [value for one in usual if (value := one.value(signal.name)) is not None]
    if not pairs and not before:
        return None
    value, low, high = estimate([value for _, value in pairs])
    return Measure(
        name=signal.name,
        stage=signal.stage,
        label=signal.label,
        value=_rounded(value),
        low=_rounded(low),
        high=_rounded(high),
        n=len(pairs),
        baseline=_rounded(math.fsum(before) / len(before)) if before else None,
        lower_is_better=signal.lower_is_better,
        trend=tuple(_rounded(estimate(part)[0]) for part in _parts(pairs, edges)),
    )


def estimate(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Mean and 95 % interval: Wilson's for 0 and 1, else normal; None where there is too little."""
    n = len(values)
    if not n:
        return None, None, None
    if all(value in (0.0, 1.0) for value in values):
        found = proportion(round(sum(values)), n)
        return found.value, found.low, found.high
    mean = math.fsum(values) / n
    if n < 2:
        return mean, None, None
    half = Z * math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
    return mean, mean - half, mean + half


def _latency(
    component: str,
    now: Sequence[Reading],
    usual: Sequence[Reading],
    settings: Settings,
    edges: Sequence[float],
) -> Latency | None:
    pairs = [(one.at, one.times[component]) for one in now if component in one.times]
    if not pairs:
        return None
    ordered = sorted(value for _, value in pairs)
    before = sorted(one.times[component] for one in usual if component in one.times)
    budget = budget_of(component, settings.latency)
    return Latency(
        component=component,
        stage=TIMES[component],
        n=len(ordered),
        p50=percentile(ordered, 0.50),
        p95=percentile(ordered, 0.95),
        p99=percentile(ordered, 0.99),
        budget=budget,
        over=0.0 if budget is None else round(sum(v > budget for v in ordered) / len(ordered), 4),
        baseline_p50=percentile(before, 0.50) if before else None,
        baseline_p95=percentile(before, 0.95) if before else None,
        trend=tuple(percentile(sorted(part), 0.95) if part else None for part in _parts(pairs, edges)),
    )


def percentile(ordered: Sequence[float], q: float) -> float:
    """The nearest-rank percentile of ascending values, at least one."""
    return round(ordered[max(math.ceil(q * len(ordered)), 1) - 1], 3)


def _parts(pairs: Sequence[tuple[str, float]], edges: Sequence[float]) -> list[list[float]]:
    parts: list[list[float]] = [[] for _ in range(len(edges) - 1)]
    width = (edges[-1] - edges[0]) / len(parts)
    for at, value in pairs:
        position = int((datetime.fromisoformat(at).timestamp() - edges[0]) / width)
        parts[min(max(position, 0), len(parts) - 1)].append(value)
    return parts


def _alerting(alerts: Sequence[Verdict]) -> Verdict | None:
    """The alert that fires, else the one that is pending."""
    order = {"fail": 0, "warn": 1}
    return min(
        (one for one in alerts if one.status in order), key=lambda one: order[one.status], default=None
    )


def _verdict(
    stage: str,
    requests: int,
    measures: Sequence[Measure],
    latencies: Sequence[Latency],
    settings: Settings,
) -> Verdict:
    if requests < LEAST:
        return Verdict(
            name=stage,
            status="unknown",
            measured=float(requests),
            limit=float(LEAST),
            reason=f"{requests} requests in the window; {LEAST} are needed to judge",
        )
    beyond = _beyond(stage, measures, latencies, settings)
    if beyond is not None:
        return beyond
    leading = next((one for one in measures if one.value is not None), None)
    if leading is not None:
        before = f", before {leading.baseline:.3g}" if leading.baseline is not None else ""
        return Verdict(
            name=stage,
            status="ok",
            measured=leading.value,
            limit=leading.baseline,
            reason=f"{leading.label}: {leading.value:.3g}{before}",
        )
    if latencies:
        slowest = latencies[0]
        reason = f"{slowest.component} p95 {slowest.p95:,.0f} ms"
        return Verdict(name=stage, status="ok", measured=slowest.p95, limit=slowest.budget, reason=reason)
    return Verdict(name=stage, status="unknown", reason="nothing was measured at this stage")


def _beyond(
    stage: str, measures: Sequence[Measure], latencies: Sequence[Latency], settings: Settings
) -> Verdict | None:
    """The first limit or budget that is surely exceeded."""
    for one in measures:
        limit = getattr(settings.evaluate, _LIMITS.get(one.name, ""), None)
        if limit is None or one.value is None or one.n < LEAST:
            continue
        edge = one.low if one.lower_is_better else one.high
        if edge is not None and (edge > limit if one.lower_is_better else edge < limit):
            where = "above" if one.lower_is_better else "below"
            reason = f"{one.label}: {one.value:.3g}, surely {where} the limit of {limit:g}"
            return _failed(stage, one.value, limit, reason)
    for timing in latencies:
        if timing.budget is not None and timing.over > TOLERATED_SLOW:
            reason = f"{timing.component} over its budget in {timing.over:.0%} of the requests"
            return _failed(stage, timing.p95, timing.budget, reason)
    return None


def _failed(stage: str, measured: float, limit: float, reason: str) -> Verdict:
    return Verdict(
        name=stage,
        status="fail",
        measured=measured,
        limit=limit,
        reason=reason,
        remedy="firstfault diagnose --since 1h",
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
