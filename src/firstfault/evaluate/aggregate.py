"""From cases to metrics: results and limits in, one estimate with its status a metric out."""

from collections.abc import Iterator, Mapping, Sequence

from firstfault.config import EvaluateConfig
from firstfault.evaluate import statistics
from firstfault.evaluate.metrics import LOWER_IS_BETTER, NAMES
from firstfault.evaluate.statistics import Estimate
from firstfault.stages import Stage
from firstfault.types import CaseResult, Metric, Status

PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
TIMINGS = (*(stage.value for stage in Stage), "time_to_first_token", "total")
DIGITS = 6
"""Decimals that are kept: what differs later is rounding of the last bit."""


def aggregate(results: Sequence[CaseResult], limits: EvaluateConfig) -> dict[str, Metric]:
    """Every metric over the results, then error rate and latencies. At least one result is needed."""
    metrics = {
        name: _metric(name, [result.scores[name].value for result in results], results, limits)
        for name in NAMES
    }
    errors = [float(result.error is not None) for result in results]
    metrics["error_rate"] = _judge("error_rate", statistics.mean(errors), len(errors), limits)
    return metrics | dict(_latencies(results, limits))


def limit_of(name: str, limits: EvaluateConfig) -> float | None:
    """The limit that the settings hold a metric against."""
    key = "latency_p95_ms" if name == "latency_total_p95_ms" else name
    value: float | None = getattr(limits, key, None)
    return value


def lower_is_better(name: str) -> bool:
    """Whether less of a metric is better."""
    return name in LOWER_IS_BETTER or name.startswith("latency_")


def _metric(
    name: str, values: Sequence[float | None], results: Sequence[CaseResult], limits: EvaluateConfig
) -> Metric:
    measured = [value for value in values if value is not None]
    if measured:
        return _judge(name, statistics.mean(measured), len(measured), limits)
    reasons: dict[str, int] = {}
    for result in results:
        reason = result.scores[name].reason
        reasons[reason] = reasons.get(reason, 0) + 1
    reason = max(reasons, key=lambda text: reasons[text])
    return _unmeasured(reason if len(reasons) == 1 else f"mostly: {reason}", limit_of(name, limits))


def _latencies(results: Sequence[CaseResult], limits: EvaluateConfig) -> Iterator[tuple[str, Metric]]:
    for timing in TIMINGS:
        values = [result.timings_ms[timing] for result in results if timing in result.timings_ms]
        for label, q in PERCENTILES.items():
            name = f"latency_{timing}_{label}_ms"
            if values:
                yield name, _judge(name, statistics.percentile(values, q), len(values), limits)
            elif timing == "total":
                yield name, _unmeasured("no request was completed", limit_of(name, limits))


def _unmeasured(reason: str, limit: float | None) -> Metric:
    return Metric(value=None, ci_low=None, ci_high=None, n=0, status="unknown", reason=reason, limit=limit)


def _judge(name: str, found: Estimate, n: int, limits: EvaluateConfig) -> Metric:
    limit = limit_of(name, limits)
    status, reason = _status(name, found, limit)
    return Metric(
        value=round(found.value, DIGITS),
        ci_low=None if found.low is None else round(found.low, DIGITS),
        ci_high=None if found.high is None else round(found.high, DIGITS),
        n=n,
        status=status,
        reason=reason,
        limit=limit,
    )


def _status(name: str, found: Estimate, limit: float | None) -> tuple[Status, str]:
    """Beyond the limit is `fail`; within it, but not surely so, is `warn`."""
    if limit is None:
        return "unknown", "no limit is set"
    lower = lower_is_better(name)
    if found.value > limit if lower else found.value < limit:
        return "fail", f"{'above' if lower else 'below'} the limit of {limit:g}"
    if limit == (0.0 if lower else 1.0):
        return "ok", f"at the limit of {limit:g}, which no interval clears"
    edge = found.high if lower else found.low
    if edge is None:
        return "warn", f"within the limit of {limit:g}, but too few cases for an interval"
    if edge > limit if lower else edge < limit:
        return "warn", f"within the limit of {limit:g}, but the interval reaches beyond it"
    return "ok", f"within the limit of {limit:g}"


def failing(metrics: Mapping[str, Metric]) -> list[str]:
    """Names of the metrics beyond their limit."""
    return [name for name, metric in metrics.items() if metric.status == "fail"]
