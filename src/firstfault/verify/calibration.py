"""Raw scores and labels in, a calibration out: the curve from score to probability, and the uncertain band.

The curve is Platt's sigmoid (Platt 1999, with his smoothed targets). What ships was fitted once and stands
beside the weights; `fit` makes another one for a corpus of your own.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from firstfault.errors import InputError, MissingError

SHIPPED = Path(__file__).parent / "weights" / "calibration.json"
_FEWEST = 20
"""Labels below this number cannot carry two parameters."""
_RIDGE = 1e-3
"""Keeps separable labels from an infinite slope."""
_BAND = 0.1
"""Half width of the uncertain band around one half, in probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a pair looks like from outside: claims of different kinds are true in different shares."""

    sentences: int = 1
    """Sentences of the claim that were judged."""
    passages: int = 1
    """Contexts with a word in them."""
    broken: bool = False
    """Every context is a snippet that breaks off: see `Source.broken`."""

    @property
    def answer(self) -> bool:
        """Several sentences over several passages: what a generator writes from what was retrieved."""
        return self.sentences > 1 and self.passages > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RawScore:
    """An uncalibrated score and the shape of the pair it belongs to."""

    value: float
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """From a raw score to a probability and a label."""

    slope: float
    """Positive: a higher raw score is never a lower probability."""
    intercept: float
    answer: float = 0.0
    """Added to the raw score of an answer: its weakest sentence is weak by being the weakest of many."""
    broken_slope: float = 1.0
    """Not negative: what the raw score counts when the context breaks off before the evidence might come."""
    broken_shift: float = 0.0
    """Added then: the part that is missing may hold what the part that is there does not."""
    lower: float = 0.5 - _BAND
    """Below this probability a claim is unsupported."""
    upper: float = 0.5 + _BAND
    """From this probability on a claim is supported; between the two it is uncertain."""
    fitted_on: str = ""
    """What the labels were."""

    def level(self, raw: RawScore) -> float:
        """The raw score with its shape allowed for. Among pairs of one shape the order stays what it was."""
        moved = raw.value + (self.answer if raw.shape.answer else 0.0)
        return self.broken_slope * moved + self.broken_shift if raw.shape.broken else moved

    def probability(self, level: float) -> float:
        """Probability of support, strictly between 0 and 1."""
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, self.slope * level + self.intercept))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well probabilities agree with labels."""

    n: int
    ece: float
    """Expected calibration error over ten bins of equal width (Guo et al. 2017)."""
    brier: float
    """Mean squared error of the probability."""
    balanced_accuracy: float | None
    """Mean of the recalls of both labels at one half; None when a label does not occur."""
    uncertain: float
    """Share of claims in the uncertain band."""


def load(path: Path = SHIPPED) -> Calibration:
    """Read a stored calibration.

    Raises:
        MissingError: there is no such file.
        InputError: it cannot be understood.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        found = Calibration(**fields)
    except FileNotFoundError:
        hint = "Run: firstfault verify calibrate LABELS, or reinstall firstfault."
        raise MissingError(f"There is no calibration at {path}.", hint=hint) from None
    except (ValueError, TypeError) as problem:
        hint = "Delete it to use the shipped one, or calibrate again."
        raise InputError(f"The calibration {path} cannot be read: {problem}.", hint=hint) from None
    finite = all(map(math.isfinite, (found.intercept, found.answer, found.broken_slope, found.broken_shift)))
    if not (finite and found.slope > 0 <= found.broken_slope and 0 <= found.lower <= found.upper <= 1):
        hint = "Delete it to use the shipped one, or calibrate again."
        raise InputError(f"The calibration {path} has impossible values.", hint=hint)
    return found


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(asdict(calibration), indent=2) + "\n", encoding="utf-8")
    beside.replace(path)


def fit(
    raw: Sequence[float], labels: Sequence[int], *, fitted_on: str, weights: Sequence[float] | None = None
) -> Calibration:
    """Fit slope and intercept by Newton's method on Platt's smoothed targets.

    `labels` are 1 = supported, 0 = not. The slope is kept positive, so the order of claims never changes.

    Raises:
        InputError: fewer than 20 labels, or only one kind.
    """
    import numpy as np

    y = np.asarray(labels, dtype=np.float64)
    positives, negatives = int(y.sum()), int(len(y) - y.sum())
    if len(y) < _FEWEST or not positives or not negatives:
        found = f"{len(y)} labels, {positives} of them supported"
        raise InputError(
            f"Cannot calibrate on {found}.", hint=f"Give at least {_FEWEST} labelled claims with both labels."
        )
    x = np.asarray(raw, dtype=np.float64)
    weight = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64)
    target = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    design = np.stack([(x - centre) / spread, np.ones_like(x)], axis=1)  # (n, 2)
    theta = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -30, 30)))
        gradient = design.T @ (weight * (p - target)) + _RIDGE * theta
        hessian = (design.T * (weight * p * (1 - p))) @ design + _RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step * min(1.0, 1.0 / float(np.abs(step).max() or 1.0))
        if np.abs(step).max() < 1e-9:
            break
    slope = float(theta[0]) / spread
    intercept = float(theta[1]) - slope * centre
    return Calibration(slope=max(slope, 1e-3), intercept=intercept, fitted_on=fitted_on)


def quality(calibration: Calibration, raw: Sequence[float], labels: Sequence[int]) -> Quality:
    """Hold the probabilities of a calibration against labels."""
    import numpy as np

    logits = calibration.slope * np.asarray(raw, dtype=np.float64) + calibration.intercept
    p = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    y = np.asarray(labels, dtype=np.float64)
    bins = np.minimum((p * 10).astype(int), 9)
    gaps = [abs(float((p[bins == b] - y[bins == b]).sum())) for b in range(10)]
    recalls = [
        float(((p >= 0.5) == (label == 1))[y == label].mean()) for label in (0, 1) if (y == label).any()
    ]
    band = (p >= calibration.lower) & (p < calibration.upper)
    return Quality(
        n=len(y),
        ece=sum(gaps) / max(len(y), 1),
        brier=float(((p - y) ** 2).mean()),
        balanced_accuracy=sum(recalls) / 2 if len(recalls) == 2 else None,
        uncertain=float(band.mean()),
    )
