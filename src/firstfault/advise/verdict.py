"""The recommendation of a bake-off: results of the arms in; what the evidence carries, and no more, out.

An arm is recommended when it is surely the best, or the simplest of those that may be the best and none of
the others is better by the margin. Otherwise the answer is how many cases would decide. Quality decides; that
an arm hallucinates more than another is said beside it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from firstfault.advise.arms import Arm
from firstfault.advise.measures import HALLUCINATION, QUALITY
from firstfault.evaluate.statistics import holm, paired, sign_flip_p
from firstfault.intervals import Z
from firstfault.types import CaseResult

SIGNIFICANT = 0.05
_Z_POWER = 0.8416212335729143
"""The 80 % quantile of the normal distribution."""
MOST_CASES = 1_000_000

Decision = Literal["surely best", "as good and simpler", "not enough evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """The best arm against another one, on the cases that both have a quality for."""

    arm: str
    delta: float
    """Quality of the best arm minus that of this one, mean of the paired differences."""
    ci_low: float | None
    ci_high: float | None
    p_value: float
    """Of a paired permutation test, adjusted for the number of arms (Holm)."""
    n: int
    worse: bool
    """Whether this arm is surely worse."""
    cases_needed: int | None
    """To see a difference as large as the margin with 80 % power; None where it is surely worse already."""
    cases_to_confirm: int | None
    """The same for a difference as large as the one that was seen; None too where none was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What the evidence carries."""

    recommended: str | None
    """None when it is not enough."""
    decision: Decision
    confidence: Literal["high", "medium", "none"]
    summary: str
    best: str | None
    """The arm with the highest quality in this sample, which says nothing by itself."""
    open: tuple[str, ...]
    """Arms between which it is not decided, the simplest first; empty when one is recommended."""
    retrieval: Literal["yes", "no", "open"]
    """Whether what is recommended, or every arm that may still be the best, retrieves."""
    tuning: Literal["yes", "no", "open"]
    """The same for an adapter."""
    duels: tuple[Duel, ...]
    cases_needed: int | None
    """How many cases would decide; None when it is decided, or when no number can be told."""


def conclude(
    arms: Sequence[Arm], results: Mapping[str, Sequence[CaseResult]], *, margin: float
) -> Conclusion:
    """Compare the arms by quality. `arms` are in the order of simplicity.

    What is recommended though it surely says more that nothing supports than another arm, is recommended with
    less confidence, and so it is said.
    """
    found = _by_quality(arms, results, margin)
    caution = _caution(found.recommended, results, margin) if found.recommended is not None else None
    if caution is None:
        return found
    return replace(found, confidence="medium", summary=f"{found.summary} {caution}")


def _caution(name: str, results: Mapping[str, Sequence[CaseResult]], margin: float) -> str | None:
    """What speaks against an arm beside its quality: that it surely hallucinates more than another one."""
    own = _values(results[name], HALLUCINATION)
    found = []
    for other, rows in results.items():
        theirs = _values(rows, HALLUCINATION)
        shared = sorted(own.keys() & theirs.keys())
        if other == name or not shared:
            continue
        ours, against = [own[case] for case in shared], [theirs[case] for case in shared]
        worse = paired(against, ours).value > margin
        if worse and sign_flip_p(against, ours) < SIGNIFICANT:
            found.append((math.fsum(against) / len(against), other, math.fsum(ours) / len(ours)))
    if not found:
        return None
    least, other, most = min(found)
    return (
        f"But more of what it says has no support: hallucination rate {most:.3f} against {least:.3f} of "
        f"{other}. Read its answers first."
    )


def _by_quality(
    arms: Sequence[Arm], results: Mapping[str, Sequence[CaseResult]], margin: float
) -> Conclusion:
    values = {arm.name: _values(results[arm.name], QUALITY) for arm in arms}
    measured = [arm for arm in arms if values[arm.name]]
    if len(measured) < 2:
        summary = "Fewer than two arms have a quality: give the cases expected answers, or compare more arms."
        return _undecided(measured, summary, best=None, duels=(), needed=None)
    shared = set.intersection(*(set(values[arm.name]) for arm in measured))
    if not shared:
        summary = "No case has a quality in every arm."
        return _undecided(measured, summary, best=None, duels=(), needed=None)
    means = {arm.name: math.fsum(values[arm.name][case] for case in shared) / len(shared) for arm in measured}
    if max(means.values()) <= margin:
        most = max(means.values())
        summary = f"No arm does what is asked: the best quality is {most:.3f}. See their first faults."
        return _undecided(measured, summary, best=None, duels=(), needed=None)
    best = max(measured, key=lambda arm: (means[arm.name], -measured.index(arm)))
    others = [arm for arm in measured if arm is not best]
    duels = tuple(_duels(best, others, values, sorted(shared), margin))
    contenders = [arm for arm in measured if arm is best or not _duel(duels, arm).worse]
    if contenders == [best]:
        low = min((duel.ci_low for duel in duels if duel.ci_low is not None), default=0.0)
        clear = low >= margin
        summary = f"{best.name} is better than every other arm" + (
            f", by {low:.3f} or more." if clear else ", perhaps by less than what matters."
        )
        return _decided(best, "surely best", "high" if clear else "medium", summary, duels)
    simplest, richer = contenders[0], contenders[1:]
    open_ = [arm for arm in richer if not _rules_out(arm, simplest, values, sorted(shared), margin)]
    if not open_:
        summary = (
            f"{simplest.name} is the simplest of {', '.join(arm.name for arm in contenders)}, and none of "
            f"them is better by {margin:g} or more."
        )
        return _decided(simplest, "as good and simpler", "high", summary, duels)
    needed = max(_needed(arm, simplest, values, sorted(shared), margin) for arm in open_)
    needed = max(needed, len(shared) + 1)
    names = ", ".join(arm.name for arm in contenders)
    summary = (
        f"The evidence is not enough: {names} cannot be told apart on {len(shared):,} cases. About "
        f"{needed:,} would show a difference of {margin:g}"
    )
    seen = [duel for duel in duels if duel.cases_to_confirm is not None]
    if seen:
        largest = max(seen, key=lambda duel: duel.delta)
        summary += (
            f"; about {largest.cases_to_confirm:,} one as large as between {best.name} and {largest.arm} "
            f"here ({largest.delta:+.3f})"
        )
    summary += "."
    return _undecided(contenders, summary, best=best, duels=duels, needed=needed)


def cases_needed(differences: Sequence[float], delta: float) -> int:
    """Cases for a paired comparison to find a difference of `delta` with 80 % power at the 5 % level.

    n = (z_α/2 + z_β)² s² / δ², with the variance s² of the paired differences (Miller 2024, Adding Error
    Bars to Evals, arXiv:2411.00640, section 5). Where no pair differs, s² is what the rule of three (Hanley
    and Lippman-Hand 1983) still allows: at most 3 in n pairs differ, by 1.
    """
    n = len(differences)
    mean = math.fsum(differences) / n
    variance = math.fsum((one - mean) ** 2 for one in differences) / max(1, n - 1)
    if all(one == differences[0] for one in differences):
        variance = 3.0 / n
    return min(math.ceil((Z + _Z_POWER) ** 2 * variance / delta**2), MOST_CASES)


def _values(results: Sequence[CaseResult], name: str) -> dict[str, float]:
    found = {one.case_id: one.scores[name].value for one in results}
    return {case: value for case, value in found.items() if value is not None}


def _duels(
    best: Arm,
    others: Sequence[Arm],
    values: Mapping[str, Mapping[str, float]],
    cases: Sequence[str],
    margin: float,
) -> list[Duel]:
    """The best arm against each other one; it was picked by these data, which Holm's correction covers."""
    ours = [values[best.name][case] for case in cases]
    rows = [[values[arm.name][case] for case in cases] for arm in others]
    p_values = holm([sign_flip_p(row, ours) for row in rows])
    made = []
    for arm, row, p in zip(others, rows, p_values, strict=True):
        found = paired(row, ours)
        worse = p < SIGNIFICANT and found.value > 0
        differences = [a - b for a, b in zip(ours, row, strict=True)]
        made.append(
            Duel(
                arm=arm.name,
                delta=round(found.value, 6),
                ci_low=found.low,
                ci_high=found.high,
                p_value=round(p, 6),
                n=len(cases),
                worse=worse,
                cases_needed=None if worse else cases_needed(differences, margin),
                cases_to_confirm=None
                if worse or found.value <= 0
                else max(cases_needed(differences, found.value), len(cases) + 1),
            )
        )
    return made


def _rules_out(
    richer: Arm, simple: Arm, values: Mapping[str, Mapping[str, float]], cases: Sequence[str], margin: float
) -> bool:
    """Whether a richer arm is surely not better than a simple one by the margin.

    The interval must exclude it, and there must be cases enough to have seen it: a bootstrap over few or
    equal pairs gives an interval that is too narrow.
    """
    found = paired(
        [values[simple.name][case] for case in cases], [values[richer.name][case] for case in cases]
    )
    enough = _needed(richer, simple, values, cases, margin) <= len(cases)
    return enough and found.high is not None and found.high < margin


def _needed(
    one: Arm, other: Arm, values: Mapping[str, Mapping[str, float]], cases: Sequence[str], margin: float
) -> int:
    return cases_needed([values[one.name][case] - values[other.name][case] for case in cases], margin)


def _duel(duels: Sequence[Duel], arm: Arm) -> Duel:
    return next(duel for duel in duels if duel.arm == arm.name)


def _decided(
    arm: Arm,
    decision: Decision,
    confidence: Literal["high", "medium"],
    summary: str,
    duels: tuple[Duel, ...],
) -> Conclusion:
    return Conclusion(
        recommended=arm.name,
        decision=decision,
        confidence=confidence,
        summary=summary,
        best=arm.name,
        open=(),
        retrieval="yes" if arm.retrieves else "no",
        tuning="yes" if arm.tuned else "no",
        duels=duels,
        cases_needed=None,
    )


def _undecided(
    contenders: Sequence[Arm],
    summary: str,
    *,
    best: Arm | None,
    duels: tuple[Duel, ...],
    needed: int | None,
) -> Conclusion:
    return Conclusion(
        recommended=None,
        decision="not enough evidence",
        confidence="none",
        summary=summary,
        best=best.name if best is not None else None,
        open=tuple(arm.name for arm in contenders),
        retrieval=_all([arm.retrieves for arm in contenders]),
        tuning=_all([arm.tuned for arm in contenders]),
        duels=duels,
        cases_needed=needed,
    )


def _all(marks: Sequence[bool]) -> Literal["yes", "no", "open"]:
    if not marks or len(set(marks)) > 1:
        return "open"
    return "yes" if marks[0] else "no"
