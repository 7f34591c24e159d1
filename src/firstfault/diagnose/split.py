"""Cases in, a part for choosing a patch and a holdout for proving it out. The same cases, the same parts."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Ids of cases, in the order in which a smaller number is taken."""

    choosing: tuple[str, ...]
    holdout: tuple[str, ...]
    failing: frozenset[str]
    """Cases that the finding explains, of both parts."""


def split(cases: Sequence[str], failing: Sequence[str], *, trials: int) -> Split:
    """Half of the failing and half of the healthy cases for choosing, the other half for proving.

    With few failing cases the holdout gets as many of them as a proof needs, and choosing what is left.
    """
    broken = set(failing)
    sick = sorted((case for case in cases if case in broken), key=_shuffled)
    sound = sorted((case for case in cases if case not in broken), key=_shuffled)
    proving = min(max(math.ceil(len(sick) / 2), fewest(trials)), max(len(sick) - 1, 0))
    half = math.ceil(len(sound) / 2)
    return Split(
        choosing=tuple(_alternating(sick[proving:], sound[half:])),
        holdout=tuple(_alternating(sick[:proving], sound[:half])),
        failing=frozenset(broken),
    )


def fewest(trials: int) -> int:
    """The fewest cases that must change, all for the better, for a significant gain in so many trials.

    Of n differing pairs that all gain, the two-sided permutation test gives p = 2^(1-n); Holm multiplies the
    smallest p-value by the number of trials.
    """
    n = 1
    while trials * 2.0 ** (1 - n) >= ALPHA:
        n += 1
    return n


def _shuffled(case: str) -> str:
    return hashlib.sha256(case.encode()).hexdigest()


def _alternating(sick: Sequence[str], sound: Sequence[str]) -> list[str]:
    """One failing case, one healthy one, and so on: any beginning of the list has both."""
    longest = max(len(sick), len(sound))
    pairs = ((sick[i : i + 1], sound[i : i + 1]) for i in range(longest))
    return [case for one, other in pairs for case in (*one, *other)]
