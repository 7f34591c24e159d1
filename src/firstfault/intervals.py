"""The interval of a share: successes and trials in, an estimate with its 95 % interval out."""

import math
from dataclasses import dataclass

Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: all intervals are 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number and its 95 % interval."""

    value: float
    low: float | None
    high: float | None
    """None when there are too few values for an interval."""


def proportion(successes: int, n: int) -> Estimate:
    """A share with the score interval of Wilson (1927); `n` is at least 1."""
    share = successes / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Estimate(value=share, low=low, high=high)
