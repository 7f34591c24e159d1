"""Two runs over the same cases in, paired differences with intervals and the cases that flipped out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firstfault.config import EvaluateConfig
from firstfault.errors import InputError
from firstfault.evaluate.aggregate import DIGITS, limit_of, lower_is_better
from firstfault.evaluate.metrics import NAMES, UNDIRECTED
from firstfault.evaluate.statistics import holm, paired, sign_flip_p
from firstfault.types import CaseResult

SIGNIFICANT = 0.05
HALF = 0.5
"""A case passes a metric without a limit when it has at least (at most) this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A case that passed in one run and not in the other."""

    case_id: str
    question: str
    before: float
    after: float
    better: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One metric in two runs, over the cases that have a value in both."""

    name: str
    before: float
    after: float
    delta: float
    ci_low: float | None
    ci_high: float | None
    n: int
    p_value: float
    """Of a paired permutation test, adjusted for the number of metrics (Holm)."""
    verdict: str
    """`better`, `worse`, `changed` where neither direction is better, or `same` when chance explains it."""
    flips: tuple[Flip, ...]


def compare(
    before: Sequence[CaseResult],
    after: Sequence[CaseResult],
    limits: EvaluateConfig,
    *,
    metrics: Sequence[str] = NAMES,
) -> list[Difference]:
    """Every metric that both runs measured on at least one common case. Cases are paired by their id.

    Raises:
        InputError: the runs have no case in common.
    """
    earlier = {result.case_id: result for result in before}
    pairs = [(earlier[result.case_id], result) for result in after if result.case_id in earlier]
    if not pairs:
        raise InputError("The two runs have no case in common.", hint="Compare runs over the same cases.")
    names, values = [], []
    for name in metrics:
        both = list(_values(pairs, name))
        if both:
            names.append(name)
            values.append(both)
    p_values = holm([sign_flip_p([a for _, a, _ in both], [b for _, _, b in both]) for both in values])
    return [_difference(name, both, p, limits) for name, both, p in zip(names, values, p_values, strict=True)]


Pair = tuple[CaseResult, float, float]


def _values(pairs: Sequence[tuple[CaseResult, CaseResult]], name: str) -> Iterator[Pair]:
    for before, after in pairs:
        a, b = before.scores[name].value, after.scores[name].value
        if a is not None and b is not None:
            yield after, a, b


def _difference(name: str, both: Sequence[Pair], p_value: float, limits: EvaluateConfig) -> Difference:
    found = paired([a for _, a, _ in both], [b for _, _, b in both])
    return Difference(
        name=name,
        before=round(sum(a for _, a, _ in both) / len(both), DIGITS),
        after=round(sum(b for _, _, b in both) / len(both), DIGITS),
        delta=round(found.value, DIGITS),
        ci_low=None if found.low is None else round(found.low, DIGITS),
        ci_high=None if found.high is None else round(found.high, DIGITS),
        n=len(both),
        p_value=round(p_value, DIGITS),
        verdict=_verdict(name, found.value, p_value),
        flips=tuple(_flips(name, both, limits)),
    )


def _verdict(name: str, delta: float, p_value: float) -> str:
    if p_value >= SIGNIFICANT or delta == 0:
        return "same"
    if name in UNDIRECTED:
        return "changed"
    return "better" if (delta < 0) == lower_is_better(name) else "worse"


def _flips(name: str, both: Sequence[Pair], limits: EvaluateConfig) -> Iterator[Flip]:
    limit = limit_of(name, limits)
    bound = HALF if limit is None else limit
    lower = lower_is_better(name)
    for result, a, b in both:
        passed, passes = (a <= bound, b <= bound) if lower else (a >= bound, b >= bound)
        if passed != passes:
            yield Flip(case_id=result.case_id, question=result.question, before=a, after=b, better=passes)
