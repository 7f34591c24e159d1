"""Latency: which component explains that requests are over their budget, or slower than they were.

In: traces, budgets, and perhaps the timings of an earlier run. Out: the timings of every component, and a
blame for each request that a component took too long in.
"""

from collections.abc import Mapping, Sequence

from firstfault.config import LatencyConfig
from firstfault.evaluate.statistics import percentile
from firstfault.stages import Stage
from firstfault.types import Blame, Timing, Trace

FIRST_TOKEN = "first_token"  # noqa: S105 - a moment, no secret
TOTAL = "total"
COMPONENTS = (
    Stage.EMBED,
    Stage.INDEX,
    Stage.FUSE,
    Stage.RERANK,
    Stage.PACK,
    FIRST_TOKEN,
    Stage.GENERATE,
    Stage.CITE,
    Stage.FORMAT,
    TOTAL,
)
SLOWER = 1.5
"""A component whose median is this many times that of the baseline has regressed ..."""
LEAST_MS = 20.0
"""... when that is at least so many milliseconds."""


def components(trace: Trace) -> dict[str, float]:
    """Milliseconds of each component of one request."""
    found = {stage: value for stage, value in trace.timings_ms().items() if value is not None}
    found.pop("time_to_first_token", None)
    began = next((span.start_ms for span in trace.spans if span.stage == Stage.GENERATE), None)
    if trace.time_to_first_token_ms is not None and began is not None:
        found[FIRST_TOKEN] = round(trace.time_to_first_token_ms - began, 3)
    return found


def timings(
    traces: Sequence[Trace], budgets: LatencyConfig, baseline: Mapping[str, float] | None = None
) -> tuple[Timing, ...]:
    """Percentiles of each component over requests that did not fail."""
    measured = [components(trace) for trace in traces]
    total = _median([one[TOTAL] for one in measured]) if measured else 0.0
    found = []
    for name in COMPONENTS:
        values = [one[name] for one in measured if name in one]
        if not values:
            continue
        budget = budget_of(name, budgets)
        found.append(
            Timing(
                component=str(name),
                p50_ms=round(_median(values), 1),
                p95_ms=round(percentile(values, 0.95).value, 1),
                p99_ms=round(percentile(values, 0.99).value, 1),
                share=round(min(1.0, _median(values) / total), 3) if total else 0.0,
                budget_ms=budget,
                over=sum(value > budget for value in values) if budget is not None else 0,
                baseline_ms=baseline.get(str(name)) if baseline else None,
            )
        )
    return tuple(found)


def medians(traces: Sequence[Trace]) -> dict[str, float]:
    """The median of each component: what a later run is compared with."""
    return {timing.component: timing.p50_ms for timing in timings(traces, LatencyConfig())}


def slow(
    traces: Sequence[Trace],
    cases: Sequence[str],
    budgets: LatencyConfig,
    baseline: Mapping[str, float] | None = None,
) -> list[Blame]:
    """A blame for each request that was over a budget, on the component that explains it best.

    A component over its own budget explains it. Where only the total is over, or a baseline is given, it is
    the component that took most beyond its baseline, or beyond nothing.
    """
    blames = []
    for trace, case in zip(traces, cases, strict=True):
        found = components(trace)
        over = [name for name in COMPONENTS if _over(name, found, budgets) and name != TOTAL]
        if over:
            worst = max(over, key=lambda name: found[name] / (budget_of(name, budgets) or 1.0))
            budget = budget_of(worst, budgets)
            blames.append(_blame(trace, case, worst, found, budget=budget, usual=None))
        elif _over(TOTAL, found, budgets) or (baseline and _regressed(TOTAL, found, baseline)):
            usual = baseline or {}
            stages = [name for name in found if name not in (TOTAL, FIRST_TOKEN)]
            worst = max(stages, key=lambda name: found[name] - usual.get(name, 0.0))
            blames.append(_blame(trace, case, worst, found, budget=None, usual=usual.get(worst)))
    return blames


def budget_of(component: str, budgets: LatencyConfig) -> float | None:
    """The budget of a component in milliseconds; None = not judged."""
    value: float | None = getattr(budgets, f"{component}_ms", None)
    return value


def _over(name: str, found: Mapping[str, float], budgets: LatencyConfig) -> bool:
    budget = budget_of(name, budgets)
    return budget is not None and found.get(name, 0.0) > budget


def _regressed(name: str, found: Mapping[str, float], baseline: Mapping[str, float]) -> bool:
    usual = baseline.get(name)
    return usual is not None and found[name] > SLOWER * usual and found[name] - usual > LEAST_MS


def _blame(
    trace: Trace,
    case: str,
    component: str,
    found: Mapping[str, float],
    *,
    budget: float | None,
    usual: float | None,
) -> Blame:
    stage = Stage.GENERATE if component == FIRST_TOKEN else Stage(component)
    what = "The first token" if component == FIRST_TOKEN else f"The stage {component}"
    against = (
        f"budget {budget:,.0f} ms" if budget is not None else f"usually {usual:,.0f} ms" if usual else ""
    )
    parts = ", ".join(f"{name} {found[name]:,.0f}" for name in COMPONENTS if name in found and name != TOTAL)
    evidence = (
        f"{what} took {found[component]:,.0f} ms{f' ({against})' if against else ''}, "
        f"{found[component] / max(found[TOTAL], 1e-9):.0%} of the request ({parts} ms)."
    )
    return Blame(
        case_id=case, trace_id=trace.id, stage=stage, cause="over_budget", verified=True, evidence=evidence
    )


def _median(values: Sequence[float]) -> float:
    return percentile(values, 0.5).value
