"""Ranking quality at document level: in go ranked ids and the relevant ones, out come scores in 0..1.

Gains are binary. Only the standard library is used, so that every peer's environment can import it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence


def first_seen(ranking: Iterable[str]) -> list[str]:
    """The ranking with repeats dropped: a document ranks where its best chunk does."""
    return list(dict.fromkeys(ranking))


def ndcg(ranking: Sequence[str], relevant: Collection[str], k: int = 10) -> float:
    """Normalised discounted cumulative gain at `k` (Järvelin and Kekäläinen 2002, binary gains, log2).

    Raises ValueError when nothing is relevant (the score is undefined) or when the ranking repeats a
    document (its gain would count twice; see `first_seen`).
    """
    targets = set(relevant)
    _check(ranking, targets, k)
    gained = sum(1 / math.log2(rank + 2) for rank, name in enumerate(ranking[:k]) if name in targets)
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(k, len(targets))))
    return gained / ideal


def hit(ranking: Sequence[str], relevant: Collection[str], k: int = 1) -> float:
    """1.0 when a relevant document is among the first `k`, else 0.0. Raises as `ndcg` does."""
    targets = set(relevant)
    _check(ranking, targets, k)
    return float(any(name in targets for name in ranking[:k]))


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean. Raises ValueError when there is no value, rather than returning NaN."""
    if not values:
        raise ValueError("The mean of no values is undefined.")
    return math.fsum(values) / len(values)


def percentile(values: Sequence[float], q: float) -> float:
    """The `q`-th percentile (0..100) by linear interpolation (Hyndman and Fan 1996, definition 7)."""
    if not values:
        raise ValueError("A percentile of no values is undefined.")
    if not 0 <= q <= 100:
        raise ValueError(f"A percentile lies in 0..100, not {q}.")
    ordered = sorted(values)
    position = (len(ordered) - 1) * q / 100
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    share = position - low
    return ordered[low] * (1 - share) + ordered[high] * share


def _check(ranking: Sequence[str], relevant: set[str], k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}.")
    if not relevant:
        raise ValueError("Nothing is relevant: leave the question out instead of scoring it.")
    if len(set(ranking)) != len(ranking):
        raise ValueError("The ranking repeats a document: pass it through first_seen().")
