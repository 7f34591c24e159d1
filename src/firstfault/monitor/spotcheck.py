"""The statistics of spot checks: labels of a stratified sample in, rate with interval and agreement out.

Strata are sampled at different rates (more of what looks doubtful), so every label is weighted by how many
sentences it stands for (Horvitz and Thompson 1952, for simple random samples within strata). That keeps the
estimate unbiased whatever the strata are worth.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstfault.intervals import Z

LEAST = 10
"""Reviews below which there is no interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One stratum of one round."""

    population: int
    """Sentences that it was drawn from."""
    values: tuple[float, ...]
    """Per reviewed sentence: 1 = unsupported, 0 = supported; between, where reviewers disagree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A hallucination rate, estimated from reviews."""

    value: float | None
    """Share of all sentences that are unsupported; None without reviews."""
    low: float | None
    high: float | None
    """95 % interval; None with fewer than `LEAST` reviews."""
    reviewed: int
    population: int
    """Sentences that the estimate speaks of."""
    covered: float
    """Share of the sentences whose stratum has a review; what is not covered is left out."""
    effective: float | None
    """Reviews of a simple random sample that would say as much."""
    reason: str = ""
    """Why there is no value or no interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far two reviewers agree beyond chance (Cohen 1960)."""

    reviewers: tuple[str, str] | None
    n: int
    """Sentences that both have reviewed."""
    observed: float | None
    """Share of them with equal labels."""
    kappa: float | None
    low: float | None
    high: float | None
    """95 % interval (asymptotic)."""
    reason: str = ""
    """Why there is no kappa."""


def rate(cells: Sequence[Cell]) -> Rate:
    """The stratified estimate with Wilson's interval at the effective sample size.

    The effective size comes from a variance in which every stratum's share is drawn one review towards
    each label (Laplace), so that a stratum without a single failure does not count as certain.
    """
    total = sum(cell.population for cell in cells)
    seen = [cell for cell in cells if cell.values]
    covered = sum(cell.population for cell in seen)
    reviewed = sum(len(cell.values) for cell in seen)
    if not seen:
        return Rate(
            value=None,
            low=None,
            high=None,
            reviewed=0,
            population=total,
            covered=0.0,
            effective=None,
            reason="nothing is reviewed yet" if total else "there is nothing to review",
        )
    value = careful = variance = 0.0
    for cell in seen:
        weight, n = cell.population / covered, len(cell.values)
        bad = math.fsum(cell.values)
        value += weight * bad / n
        drawn = (bad + 1) / (n + 2)
        careful += weight * drawn
        variance += weight**2 * (1 - min(1.0, n / cell.population)) * drawn * (1 - drawn) / max(n - 1, 1)
    value = min(1.0, max(0.0, value))
    made = Rate(
        value=round(value, 6),
        low=None,
        high=None,
        reviewed=reviewed,
        population=total,
        covered=round(covered / total, 4),
        effective=None,
        reason=f"{reviewed} reviews; {LEAST} are needed for an interval" if reviewed < LEAST else "",
    )
    if reviewed < LEAST:
        return made
    effective = careful * (1 - careful) / variance if variance > 0 else math.inf
    low, high = _wilson(value, effective)
    return Rate(
        value=made.value,
        low=round(low, 6),
        high=round(high, 6),
        reviewed=reviewed,
        population=total,
        covered=made.covered,
        effective=round(effective, 1) if math.isfinite(effective) else None,
        reason="" if math.isfinite(effective) else "every sentence is reviewed",
    )


def _wilson(share: float, n: float) -> tuple[float, float]:
    if math.isinf(n):
        return share, share
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def reviews_needed(found: Rate, width: float) -> int:
    """Reviews in all, those that are done included, until the interval is at most so wide.

    By the share and the efficiency seen so far; before the first reviews, for the worst case of one half.
    """
    share = 0.5 if found.value is None or found.low is None else found.value
    efficiency = found.effective / found.reviewed if found.effective and found.reviewed else 1.0
    low, high = 1.0, 1e9
    for _ in range(80):
        middle = math.sqrt(low * high)
        a, b = _wilson(share, middle)
        low, high = (middle, high) if b - a > width else (low, middle)
    needed = math.ceil(high / efficiency)
    return min(needed, found.population) if found.population else needed


def allocate(populations: Mapping[str, int], size: int, *, special: Sequence[str]) -> dict[str, int]:
    """How many to draw from each stratum: half of the reviews in proportion to what there is, the other half
    in equal parts from the `special` strata; at least two from each, and never more than there are."""
    present = {name: number for name, number in populations.items() if number}
    total = sum(present.values())
    if not present:
        return {}
    chosen = [name for name in special if name in present]
    uniform = size if not chosen else size - size // 2
    drawn = {}
    for name, number in present.items():
        wanted = uniform * number / total + ((size // 2) / len(chosen) if name in chosen else 0.0)
        drawn[name] = min(number, max(2, round(wanted)))
    left = size - sum(drawn.values())
    for name in sorted(present, key=lambda one: drawn[one] - present[one]):
        more = min(max(left, 0), present[name] - drawn[name])
        drawn[name] += more
        left -= more
    return drawn


def agreement(labels: Mapping[str, Mapping[str, str]]) -> Agreement:
    """Cohen's kappa of the two reviewers with the most sentences in common; sentence → reviewer → label."""
    pairs: Counter[tuple[str, str]] = Counter()
    for given in labels.values():
        names = sorted(given)
        pairs.update((a, b) for i, a in enumerate(names) for b in names[i + 1 :])
    if not pairs:
        return Agreement(
            reviewers=None,
            n=0,
            observed=None,
            kappa=None,
            low=None,
            high=None,
            reason="no sentence has two reviewers",
        )
    (first, second), n = min(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    both = [(given[first], given[second]) for given in labels.values() if first in given and second in given]
    observed = sum(a == b for a, b in both) / n
    ours, theirs = Counter(a for a, _ in both), Counter(b for _, b in both)
    chance = sum(ours[label] * theirs[label] for label in ours) / n**2
    if chance >= 1.0:
        return Agreement(
            reviewers=(first, second),
            n=n,
            observed=observed,
            kappa=None,
            low=None,
            high=None,
            reason="both gave one and the same label throughout, so that chance explains it",
        )
    kappa = (observed - chance) / (1 - chance)
    half = Z * math.sqrt(observed * (1 - observed) / n) / (1 - chance)
    return Agreement(
        reviewers=(first, second),
        n=n,
        observed=round(observed, 4),
        kappa=round(kappa, 4),
        low=round(max(-1.0, kappa - half), 4),
        high=round(min(1.0, kappa + half), 4),
    )
