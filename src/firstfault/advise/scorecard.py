"""The scorecard of a bake-off: runs and traces of an arm in; measures, tokens, money and faults out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from firstfault.advise.arms import Arm
from firstfault.advise.measures import FIRST_TRY, QUALITY, STYLE
from firstfault.advise.verdict import Conclusion
from firstfault.config import BakeoffConfig, EvaluateConfig
from firstfault.evaluate import statistics
from firstfault.evaluate.aggregate import DIGITS, aggregate
from firstfault.evaluate.compare import Difference
from firstfault.types import CaseResult, Metric, Run, Scalar, Trace, Verdict

PER = 1_000
"""Answers that money is told for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A first fault of an arm."""

    stage: str
    cause: str
    cases: int
    share: float
    ci_low: float
    ci_high: float
    verified: int
    """In how many of the cases an intervention recovered the case."""
    tolerated: bool
    """Whether it is within what the playbook takes for scatter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmScore:
    """One arm, measured."""

    name: str
    summary: str
    patch: Mapping[str, Scalar | None]
    run_id: str
    reused: bool
    """Whether its run was there already."""
    model: str
    adapter: str | None
    retrieves: bool
    metrics: Mapping[str, Metric]
    """By name: those of a run, and quality, format_first_try and style_similarity."""
    prompt_tokens: float | None
    completion_tokens: float | None
    """Of an answer on average, retries included; None where the endpoint did not count."""
    money: float | None
    """For 1,000 answers; None with a reason."""
    money_reason: str
    faults: tuple[Fault, ...]
    """The first faults, the primary one first."""
    abilities: tuple[Verdict, ...]
    """What the adapter did to each ability of the base model, from the gates of its release."""
    abilities_reason: str
    """Why there are none."""
    on_front: bool = False
    """Whether no other arm is as good, as fast and as cheap, and better in one of the three."""

    def value(self, name: str) -> float | None:
        """The value of a metric; None where it has none."""
        metric = self.metrics.get(name)
        return metric.value if metric is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """A bake-off."""

    at: str
    """When it was put together, ISO 8601 in UTC."""
    cases: str
    """Where they came from."""
    total: int
    """How many cases."""
    arms: tuple[ArmScore, ...]
    against: str
    """The arm that the others are compared with."""
    differences: Mapping[str, tuple[Difference, ...]]
    """Arm → its paired differences to that arm."""
    conclusion: Conclusion
    margin: float
    currency: str


def score(
    arm: Arm,
    run: Run,
    results: Sequence[CaseResult],
    traces: Mapping[str, Trace],
    *,
    faults: tuple[Fault, ...],
    abilities: tuple[Verdict, ...],
    reused: bool,
    limits: EvaluateConfig,
) -> ArmScore:
    """Sum up one arm. `results` have every measure."""
    metrics = aggregate(results, limits)
    for name in (QUALITY, FIRST_TRY, STYLE):
        metrics[name] = _metric([one.scores[name].value for one in results], results[0].scores[name].reason)
    answered = [traces[one.trace_id] for one in results if one.trace_id and one.error is None]
    prompt, completion = _tokens(answered)
    total = [one.timings_ms["total"] for one in results if "total" in one.timings_ms]
    hours = math.fsum(total) / len(total) / 3_600_000 if total else None
    money, reason = _money(arm, prompt, completion, hours)
    generation = next((one.generation for one in answered if one.generation is not None), None)
    return ArmScore(
        name=arm.name,
        summary=arm.summary,
        patch=arm.patch,
        run_id=run.id,
        reused=reused,
        model=generation.model if generation is not None else arm.settings.generator.model,
        adapter=arm.settings.generator.adapter,
        retrieves=arm.retrieves,
        metrics=metrics,
        prompt_tokens=prompt,
        completion_tokens=completion,
        money=money,
        money_reason=reason,
        faults=faults,
        abilities=abilities,
        abilities_reason="" if abilities else _why_no_abilities(arm),
    )


def _why_no_abilities(arm: Arm) -> str:
    if not arm.tuned:
        return "the base model's own"
    return "no release of this adapter was measured: firstfault finetune bench"


def front(scores: Sequence[ArmScore]) -> tuple[ArmScore, ...]:
    """The arms with those on the Pareto front of quality against median latency and cost marked.

    By the measured values; whether differences are real is told beside them. Cost counts only where every
    arm has one.
    """
    priced = all(one.money is not None for one in scores)

    def place(one: ArmScore) -> tuple[float, ...] | None:
        quality, latency = one.value(QUALITY), one.value("latency_total_p50_ms")
        if quality is None or latency is None:
            return None
        return (-quality, latency, *([one.money or 0.0] if priced else []))

    places = {one.name: place(one) for one in scores}

    def beaten(one: ArmScore) -> bool:
        ours = places[one.name]
        return ours is None or any(
            theirs is not None and theirs != ours and all(a <= b for a, b in zip(theirs, ours, strict=True))
            for name, theirs in places.items()
            if name != one.name
        )

    return tuple(replace(one, on_front=not beaten(one)) for one in scores)


def cost(
    prices: BakeoffConfig, *, prompt: float | None, completion: float | None, hours: float | None
) -> float | None:
    """Money for tokens and hours by the configured prices; None when nothing has one, or a count lacks."""
    if prices.prompt_price is None and prices.completion_price is None and prices.hour_price is None:
        return None
    parts = (
        (prices.prompt_price, prompt, 1e-6),
        (prices.completion_price, completion, 1e-6),
        (prices.hour_price, hours, 1.0),
    )
    if any(price is not None and amount is None for price, amount, _ in parts):
        return None
    return math.fsum(
        price * amount * unit for price, amount, unit in parts if price is not None and amount is not None
    )


def _money(
    arm: Arm, prompt: float | None, completion: float | None, hours: float | None
) -> tuple[float | None, str]:
    """For 1,000 answers: tokens at an endpoint, or hours of the machine for a model of one's own."""
    prices = arm.settings.bakeoff
    remote = arm.settings.generator.kind == "openai"
    if remote and prices.prompt_price is None and prices.completion_price is None:
        return None, "bakeoff.prompt_price and bakeoff.completion_price are not set"
    if not remote and prices.hour_price is None:
        return None, "bakeoff.hour_price is not set"
    used = (
        prices.model_copy(update={"hour_price": None})
        if remote
        else prices.model_copy(update={"prompt_price": None, "completion_price": None})
    )
    found = cost(used, prompt=prompt, completion=completion, hours=hours)
    if found is None:
        return None, "the endpoint did not count its tokens" if remote else "no request was completed"
    return round(PER * found, DIGITS), ""


def _tokens(traces: Sequence[Trace]) -> tuple[float | None, float | None]:
    """Prompt and generated tokens of an answer on average, with every retry."""
    if not traces:
        return None, None
    prompt: list[int | None] = []
    completion: list[int | None] = []
    for trace in traces:
        if trace.generation is None:
            continue
        prompt.append(trace.generation.prompt_tokens)
        completion.append(trace.generation.completion_tokens)
        for attempt in trace.format.attempts[1:] if trace.format is not None else ():
            prompt.append(attempt.prompt_tokens)
            completion.append(attempt.completion_tokens)
    return _average(prompt, len(traces)), _average(completion, len(traces))


def _average(counts: Sequence[int | None], n: int) -> float | None:
    known = [count for count in counts if count is not None]
    return round(sum(known) / n, 1) if len(known) == len(counts) else None


def _metric(values: Sequence[float | None], reason: str) -> Metric:
    known = [value for value in values if value is not None]
    if not known:
        return Metric(value=None, ci_low=None, ci_high=None, n=0, status="unknown", reason=reason)
    found = statistics.mean(known)
    return Metric(
        value=round(found.value, DIGITS),
        ci_low=None if found.low is None else round(found.low, DIGITS),
        ci_high=None if found.high is None else round(found.high, DIGITS),
        n=len(known),
        status="unknown",
        reason="no limit is set",
    )
