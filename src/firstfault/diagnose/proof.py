"""The proof of a patch: results before and after on the holdout in, a `Trial` out.

Verified means: the interval of the gain excludes zero, the adjusted p-value is below 0.05, and no other
metric is significantly worse. Whatever falls short is said in words.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstfault.config import EvaluateConfig, LatencyConfig, Settings
from firstfault.diagnose.candidates import Candidate
from firstfault.diagnose.playbook import OVER_BUDGET, Entry
from firstfault.diagnose.split import ALPHA, fewest
from firstfault.evaluate.aggregate import DIGITS, limit_of, lower_is_better
from firstfault.evaluate.metrics import NAMES, UNDIRECTED
from firstfault.evaluate.statistics import Estimate, holm, paired, sign_flip_p
from firstfault.stages import Stage
from firstfault.types import CaseResult, Finding, SideEffect, Trial

ERROR_RATE = "error_rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be proven."""

    finding: Finding
    entry: Entry
    metric: str
    settings: Settings
    """In force without the patch."""
    trials: int
    """Patches that are proven on this run, in all."""
    earlier: tuple[float, ...]
    """P-values of those proven before, not adjusted."""
    failing: frozenset[str]
    """Cases of the finding."""


Results = Mapping[str, CaseResult]
"""Case id → result."""


def prove(
    question: Question,
    candidate: Candidate,
    before: Results,
    after: Results,
    *,
    side: tuple[Results, Results],
    timed: tuple[Results, Results],
) -> Trial | None:
    """Judge a patch by the results of the same cases before and after; None when none has a value in both.

    `side` are the results by which other metrics are compared, `timed` those by which latencies are: the
    same, unless answers are dear.
    """
    metric = question.metric
    pairs = both(before, after, metric, question)
    if not pairs:
        return None
    olds, news = [old for old, _ in pairs], [new for _, new in pairs]
    sign = -1.0 if less_is_better(metric) else 1.0
    gain = paired([sign * old for old in olds], [sign * new for new in news])
    raw = chance(question, before, after)
    untried = [1.0] * (question.trials - len(question.earlier) - 1)
    p_value = holm([*question.earlier, raw, *untried])[len(question.earlier)]
    effects = side_effects(question, *side)
    reason = _short_of_proof(question, pairs, p_value, gain, harmed(question, effects))
    return Trial(
        stage=question.finding.stage,
        cause=question.finding.cause,
        patch=dict(candidate.patch),
        repair=candidate.repair,
        metric=metric,
        before=round(statistics.fmean(olds), DIGITS),
        after=round(statistics.fmean(news), DIGITS),
        delta=round(gain.value, DIGITS),
        ci_low=round(gain.low, DIGITS) if gain.low is not None else None,
        ci_high=round(gain.high, DIGITS) if gain.high is not None else None,
        p_value=round(p_value, DIGITS),
        n=len(pairs),
        verified=not reason,
        reason=reason or f"better on {len(pairs)} cases it was not chosen on, and nothing else is worse",
        latency_before_ms=median_ms(timed[0]),
        latency_after_ms=median_ms(timed[1]),
        side_effects=effects,
    )


def chance(question: Question, before: Results, after: Results) -> float:
    """The p-value of the gain, not adjusted; 1 without a pair."""
    pairs = both(before, after, question.metric, question)
    return sign_flip_p([old for old, _ in pairs], [new for _, new in pairs]) if pairs else 1.0


def less_is_better(metric: str) -> bool:
    """Whether a fix has to lower the metric."""
    return metric == OVER_BUDGET or lower_is_better(metric)


def both(before: Results, after: Results, metric: str, question: Question) -> list[tuple[float, float]]:
    """The values of a metric before and after, of cases that have both; a failed request has the worst."""
    found = []
    for case, new in after.items():
        values = [_value(one, metric, question) for one in (before[case], new)]
        worst = float(less_is_better(metric))
        failed = (before[case].error is not None, new.error is not None)
        old_value, new_value = (
            worst if one is None and error else one for one, error in zip(values, failed, strict=True)
        )
        if old_value is not None and new_value is not None and not all(failed):
            found.append((old_value, new_value))
    return found


def _value(result: CaseResult, metric: str, question: Question) -> float | None:
    return value(result, metric, stage=question.finding.stage, latency=question.settings.latency)


def value(result: CaseResult, metric: str, *, stage: str, latency: LatencyConfig) -> float | None:
    """A metric of one case; an error counts as a failed request and has no other value."""
    if metric == ERROR_RATE:
        return float(result.error is not None)
    if metric == OVER_BUDGET:
        return over_budget(result.timings_ms, stage, latency)
    score = result.scores.get(metric)
    return None if score is None else score.value


def over_budget(timings_ms: Mapping[str, float], stage: str, latency: LatencyConfig) -> float | None:
    """1 when a request exceeds a budget that the stage can be blamed for, else 0; None without a budget."""
    spent: list[tuple[float | None, float | None]] = [
        (timings_ms.get(stage), getattr(latency, f"{stage}_ms", None))
    ]
    if stage == Stage.GENERATE and "time_to_first_token" in timings_ms:
        earlier = [timings_ms.get(one.value, 0.0) for one in list(Stage)[: list(Stage).index(Stage.GENERATE)]]
        spent.append((timings_ms["time_to_first_token"] - sum(earlier), latency.first_token_ms))
    spent.append((timings_ms.get("total"), latency.total_ms))
    judged = [took > limit for took, limit in spent if took is not None and limit is not None]
    return float(any(judged)) if judged else None


def _short_of_proof(
    question: Question,
    pairs: Sequence[tuple[float, float]],
    p_value: float,
    gain: Estimate,
    worse: Sequence[str],
) -> str:
    """Why the patch is not proven; empty when it is."""
    needed = fewest(question.trials)
    differing = sum(old != new for old, new in pairs)
    few = (
        f"only {differing} of {len(pairs)} cases for proving changed, and fewer than {needed} prove nothing: "
        f"run at least {2 * needed} cases that fail like this (there are {len(question.failing)})"
    )
    shortcomings = (
        (gain.value <= 0, f"no gain on the {len(pairs)} cases for proving"),
        (differing < needed, few),
        (p_value >= ALPHA, f"chance could explain the gain (p = {p_value:.3f})"),
        (gain.low is None or gain.low <= 0, "the interval of the gain includes zero"),
        (bool(worse), f"it makes {', '.join(worse)} worse"),
    )
    return next((reason for falls_short, reason in shortcomings if falls_short), "")


def side_effects(question: Question, before: Results, after: Results) -> tuple[SideEffect, ...]:
    """What changed in every other metric, adjusted for their number."""
    names, values = [], []
    for name in (*NAMES, ERROR_RATE):
        found = both(before, after, name, question)
        if name != question.metric and found:
            names.append(name)
            values.append(found)
    p_values = holm([sign_flip_p([old for old, _ in one], [new for _, new in one]) for one in values])
    effects = []
    for name, found, p_value in zip(names, values, p_values, strict=True):
        old, new = statistics.fmean(old for old, _ in found), statistics.fmean(new for _, new in found)
        if any(one != other for one, other in found):
            effects.append(
                SideEffect(
                    metric=name,
                    before=round(old, DIGITS),
                    after=round(new, DIGITS),
                    delta=round(new - old, DIGITS),
                    p_value=round(p_value, DIGITS),
                )
            )
    return tuple(effects)


def harmed(question: Question, effects: Sequence[SideEffect]) -> list[str]:
    """Metrics that forbid the patch: what the playbook accepts does so only beyond its limit."""
    limits = question.settings.evaluate
    return [
        effect.metric
        for effect in effects
        if is_worse(effect) and (effect.metric not in question.entry.accepts or _beyond(effect, limits))
    ]


def is_worse(effect: SideEffect) -> bool:
    """Whether a metric is significantly worse."""
    if effect.p_value >= ALPHA or effect.metric in UNDIRECTED or not effect.delta:
        return False
    return (effect.delta > 0) == lower_is_better(effect.metric)


def _beyond(effect: SideEffect, limits: EvaluateConfig) -> bool:
    limit = limit_of(effect.metric, limits)
    if limit is None:
        return False
    return effect.after > limit if lower_is_better(effect.metric) else effect.after < limit


def median_ms(results: Results) -> float | None:
    """Median of the whole request in milliseconds, over the requests that succeeded."""
    totals = [result.timings_ms["total"] for result in results.values() if "total" in result.timings_ms]
    return round(statistics.median(totals), 3) if totals else None
