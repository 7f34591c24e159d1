"""Series of drills: every fault once, in pairs, at several severities, and nothing at all.

In: a workshop and what to drill. Out: outcomes, one after the other, as they come.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING

from firstfault.drill.fault import Fault
from firstfault.drill.outcome import Outcome
from firstfault.drill.scenes import SCENES
from firstfault.stages import ANY_STAGE_CAUSES

if TYPE_CHECKING:
    from firstfault.drill.workshop import Workshop

LADDER = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""Severities at which detection is looked for."""


def singles(
    workshop: "Workshop",
    faults: Sequence[Fault],
    *,
    seed: int = 0,
    severity: float | None = None,
    count: int | None = None,
) -> Iterator[Outcome]:
    """Each fault alone."""
    for fault in faults:
        yield workshop.drill([fault], seed=seed, severity=severity, count=count)


def doubles(
    workshop: "Workshop",
    faults: Sequence[Fault],
    *,
    pairs: int,
    seed: int = 0,
    count: int | None = None,
) -> Iterator[Outcome]:
    """Two faults at once, of different stages."""
    for pair in pairs_of(faults, pairs, seed):
        yield workshop.drill(pair, seed=seed, count=count)


def pairs_of(faults: Sequence[Fault], number: int, seed: int) -> list[tuple[Fault, Fault]]:
    """That many pairs, chosen by the seed: of different stages, in one scene, neither of them a fault that
    ends or delays requests, and no fault oftener than another by more than chance demands.
    """
    lasting = [fault for fault in faults if fault.cause not in ANY_STAGE_CAUSES]
    fitting = [
        (first, second)
        for first, second in combinations(lasting, 2)
        if first.stage != second.stage and len({first.scene, second.scene} - {"plain"}) < 2
    ]
    Random(f"{seed} pairs").shuffle(fitting)
    used: dict[str, int] = {fault.name: 0 for fault in lasting}
    chosen: list[tuple[Fault, Fault]] = []
    for most in range(1, 2 * number + 1):
        for pair in fitting:
            if len(chosen) == number:
                return chosen
            if pair not in chosen and all(used[fault.name] < most for fault in pair):
                chosen.append(pair)
                for fault in pair:
                    used[fault.name] += 1
    return chosen


def controls(workshop: "Workshop", *, seeds: Sequence[int], count: int | None = None) -> Iterator[Outcome]:
    """Healthy applications: another sample of the cases a seed, the scenes in turn."""
    names = tuple(SCENES)
    for seed in seeds:
        yield workshop.control(names[seed % len(names)], seed=seed, count=count)


def half_detection(
    workshop: "Workshop", fault: Fault, *, seeds: Sequence[int] = (0,), count: int | None = None
) -> tuple[float | None, list[Outcome]]:
    """The least severity of the ladder at which at least half of the seeds are detected, and its trials.

    Bisection: assumes that what is detected at one severity is detected at a greater one. None when not even
    the greatest is.
    """
    trials: list[Outcome] = []

    def detected(severity: float) -> bool:
        found = [workshop.drill([fault], seed=seed, severity=severity, count=count) for seed in seeds]
        trials.extend(found)
        return 2 * sum(outcome.detected and not outcome.skipped for outcome in found) >= len(found)

    low, high = 0, len(LADDER)
    while low < high:
        middle = (low + high) // 2
        if detected(LADDER[middle]):
            high = middle
        else:
            low = middle + 1
    return (LADDER[low] if low < len(LADDER) else None), trials
