"""Series of drills: every fault once, in pairs, at several severities, and nothing at all.

In: what to drill, on which application. Out: outcomes, as they come.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING

from firstfault.bulk import Crew, spreads
from firstfault.config import Config
from firstfault.drill.fault import Fault
from firstfault.drill.library import named
from firstfault.drill.outcome import Outcome
from firstfault.drill.scenes import SCENES
from firstfault.stages import ANY_STAGE_CAUSES
from firstfault.types import Case

if TYPE_CHECKING:
    from firstfault.drill.workshop import Workshop

LADDER = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""Severities at which detection is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill that is to be run."""

    faults: tuple[str, ...] = ()
    """Names; none for a control."""
    scene: str = "plain"
    """Of a control; faults have their own."""
    seed: int = 0
    severity: float | None = None
    """None = each fault's own."""
    count: int | None = None
    """Most cases; None = all."""

    def run(self, workshop: "Workshop") -> Outcome:
        """Run it."""
        if not self.faults:
            return workshop.control(self.scene, seed=self.seed, count=self.count)
        return workshop.drill(named(self.faults), seed=self.seed, severity=self.severity, count=self.count)

    def __str__(self) -> str:
        return f"Drill {' + '.join(self.faults)}" if self.faults else f"Control {self.seed} ({self.scene})"


def outcomes(
    drills: Sequence[Drill],
    config: Config,
    cases: Sequence[Case],
    *,
    collection: str = "default",
    repair: bool = False,
) -> Iterator[tuple[int, Outcome]]:
    """Run drills in a workshop, or in one on every worker of a cluster. Yields the position of each drill and
    its outcome, as they come.
    """
    build = partial(_workshop, config, tuple(cases), collection, repair)
    if spreads(config.settings.bulk):
        with Crew(config.settings.bulk, build, _run_there) as crew:
            yield from crew.map_unordered(drills, lambda at: str(drills[at]))
        return
    with build() as workshop:
        for position, drill in enumerate(drills):
            yield position, drill.run(workshop)


@contextmanager
def _workshop(config: Config, cases: tuple[Case, ...], collection: str, repair: bool) -> "Iterator[Workshop]":
    from firstfault.collection.database import bind
    from firstfault.drill.workshop import Workshop

    bind(config.home, config.settings)
    with Workshop(config, cases, collection=collection, repair=repair) as workshop:
        yield workshop


def _run_there(workshop: "Workshop", drill: Drill) -> Outcome:
    return drill.run(workshop)


def singles(
    faults: Sequence[Fault], *, seed: int = 0, severity: float | None = None, count: int | None = None
) -> list[Drill]:
    """Each fault alone."""
    return [Drill(faults=(one.name,), seed=seed, severity=severity, count=count) for one in faults]


def doubles(faults: Sequence[Fault], *, pairs: int, seed: int = 0, count: int | None = None) -> list[Drill]:
    """Two faults at once, of different stages."""
    chosen = pairs_of(faults, pairs, seed)
    return [Drill(faults=tuple(one.name for one in pair), seed=seed, count=count) for pair in chosen]


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


def controls(*, seeds: Sequence[int], count: int | None = None) -> list[Drill]:
    """Healthy applications: another sample of the cases a seed, the scenes in turn."""
    names = tuple(SCENES)
    return [Drill(scene=names[seed % len(names)], seed=seed, count=count) for seed in seeds]


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
