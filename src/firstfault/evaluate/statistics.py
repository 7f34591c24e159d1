"""Intervals and paired tests: values of cases in, estimates with their uncertainty out.

Everything is deterministic: resampling is seeded and sees the values in the order of the cases.
"""

import math
from collections.abc import Sequence

import numpy as np

from firstfault.intervals import Estimate, Z, proportion

__all__ = ["Estimate", "holm", "mean", "paired", "percentile", "proportion", "sign_flip_p"]

RESAMPLES = 2000
FLIPS = 10_000
SEED = 20_250_101

_EXACT = 12
"""With up to this many differing pairs every assignment of signs is tried: 4,096."""


def mean(values: Sequence[float]) -> Estimate:
    """The mean of at least one value: Wilson's interval when all are 0 or 1, else a bootstrap over cases."""
    if all(value in (0.0, 1.0) for value in values):
        return proportion(round(sum(values)), len(values))
    average = math.fsum(values) / len(values)
    if len(values) < 2:
        return Estimate(value=average, low=None, high=None)
    low, high = _bootstrap(np.asarray(values, dtype=float))
    return Estimate(value=average, low=min(low, average), high=max(high, average))


def percentile(values: Sequence[float], q: float) -> Estimate:
    """The nearest-rank percentile of at least one value, 0 < q < 1, with the interval of order statistics.

    Ranks of the limits: nq ± z √(nq(1-q)) (Conover, Practical Nonparametric Statistics, 3.2). A limit whose
    rank lies outside the sample is None: so few values say nothing about it.
    """
    ordered = sorted(values)
    n = len(ordered)
    half = Z * math.sqrt(n * q * (1 - q))
    low, high = math.floor(n * q - half), math.ceil(n * q + half) + 1
    return Estimate(
        value=ordered[max(math.ceil(n * q), 1) - 1],
        low=ordered[low - 1] if low >= 1 else None,
        high=ordered[high - 1] if high <= n else None,
    )


def paired(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """The mean difference `after - before` of paired values, with a bootstrap interval over the pairs."""
    differences = [b - a for a, b in zip(before, after, strict=True)]
    average = math.fsum(differences) / len(differences)
    if len(differences) < 2:
        return Estimate(value=average, low=None, high=None)
    low, high = _bootstrap(np.asarray(differences))
    return Estimate(value=average, low=min(low, average), high=max(high, average))


def sign_flip_p(before: Sequence[float], after: Sequence[float]) -> float:
    """Two-sided p-value of a paired permutation test: were the signs of the differences chance?

    Every assignment of signs is tried with few differing pairs, else 10,000 seeded ones (Phipson and Smyth
    2010 for the correction by one). Without a difference it is 1.
    """
    pairs = zip(before, after, strict=True)
    differences = np.asarray([b - a for a, b in pairs if b != a], dtype=float)
    if differences.size == 0:
        return 1.0
    observed = abs(float(differences.sum())) - 1e-12
    if differences.size <= _EXACT:
        bits = np.arange(2**differences.size)[:, None] >> np.arange(differences.size)
        sums = np.abs((1 - 2 * (bits & 1)) @ differences)
        return float(np.mean(sums >= observed))
    random = np.random.default_rng(SEED)
    exceeding = 0
    for _ in range(10):
        signs = random.integers(0, 2, size=(FLIPS // 10, differences.size), dtype=np.int8) * 2 - 1
        exceeding += int(np.sum(np.abs(signs @ differences) >= observed))
    return (exceeding + 1) / (FLIPS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for testing several hypotheses at once (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    worst = 0.0
    for rank, position in enumerate(order):
        worst = max(worst, min(1.0, p_values[position] * (len(p_values) - rank)))
        adjusted[position] = worst
    return adjusted


def _bootstrap(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[float, float]:
    """Percentile bootstrap of the mean (Efron 1979)."""
    random = np.random.default_rng(SEED)
    n = len(values)
    block = max(1, min(RESAMPLES, 2_000_000 // n))
    means: list[float] = []
    while len(means) < RESAMPLES:
        rows = min(block, RESAMPLES - len(means))
        means.extend(values[random.integers(0, n, size=(rows, n))].mean(axis=1).tolist())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
