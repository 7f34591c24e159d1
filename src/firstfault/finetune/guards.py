"""Guards of a training: measurements in; alarms, and whether it should stop, out. Plain numbers, no torch."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from firstfault.types import Verdict

OVERFIT_RATIO = 3.0
"""Validation loss over the loss on training examples, both in evaluation mode, that is alarming."""
FLOOR = 0.02
"""Nats a token below which a loss counts as this: ratios and gains of tiny losses mean nothing."""
LEAST_RISE = 0.05
"""Share by which validation loss must lie above its best for overfitting to be more than scatter."""
NORM_FACTOR = 20.0
"""Gradient norm over the median so far that is alarming."""
LEAST_ABILITY_DROP = 0.25
"""Absolute drop below which a change of a short probe is scatter."""
ABILITY_DROP = 0.25
"""Relative drop of an ability probe at which training stops; the gate judges smaller ones on more items."""
FORM_LEFT = 0.5
"""Share of the most valid samples so far at which, or below, their loss is alarming."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measurement, everything in evaluation mode."""

    step: int
    epoch: float
    train_loss: float
    """Nats a token over the fixed training probe."""
    validation_loss: float
    abilities: Mapping[str, float] = field(default_factory=dict)
    """Axis → score of the short probe, 0 to 1."""
    valid_share: float | None = None
    """Share of sampled outputs that have the form of the data, or satisfy the schema."""
    gradient_norm: float | None = None
    """Median since the last measurement."""

    @property
    def ratio(self) -> float:
        """Validation loss over training loss."""
        return max(self.validation_loss, FLOOR) / max(self.train_loss, FLOOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a guard saw."""

    step: int
    verdict: Verdict
    stops: bool
    """Whether training ends here."""


def best(points: Sequence[Point]) -> Point | None:
    """The measurement with the lowest validation loss, the earliest of equals.

    Below `FLOOR` all are equal: nothing is left to learn there, and every further step forgets.
    """
    finite = [point for point in points if math.isfinite(point.validation_loss)]
    return min(finite, key=lambda point: (max(point.validation_loss, FLOOR), point.step), default=None)


def judge(points: Sequence[Point], *, patience: int) -> list[Alarm]:
    """What the newest measurement says, given those before it. The first is that of the base model."""
    newest, base = points[-1], points[0]
    if not (math.isfinite(newest.train_loss) and math.isfinite(newest.validation_loss)):
        return [not_finite(newest.step)]
    found = []
    lowest = best(points)
    assert lowest is not None
    risen = newest.validation_loss > (1 + LEAST_RISE) * lowest.validation_loss
    if newest.ratio >= OVERFIT_RATIO and newest.step > base.step and risen:
        found.append(
            _alarm(
                newest,
                "overfitting",
                round(newest.ratio, 3),
                OVERFIT_RATIO,
                reason=f"validation loss {newest.validation_loss:.3f} is {newest.ratio:.1f} × training loss",
                remedy="More or more varied data, fewer epochs, a smaller rank.",
            )
        )
    late = [point for point in points if point.step > lowest.step]
    if len(late) >= patience:
        found.append(
            _alarm(
                newest,
                "patience",
                float(len(late)),
                float(patience),
                reason=f"no better validation loss than {max(lowest.validation_loss, FLOOR):.3f} "
                f"at step {lowest.step}",
                remedy="Nothing to do: the best measurement is kept.",
                fails=False,
            )
        )
    for axis, before in base.abilities.items():
        now = newest.abilities.get(axis)
        if now is None or before - now < LEAST_ABILITY_DROP:
            continue
        if (before - now) / before > ABILITY_DROP:
            found.append(
                _alarm(
                    newest,
                    f"ability:{axis}",
                    round((before - now) / before, 4),
                    ABILITY_DROP,
                    reason=f"{axis} fell from {before:.2f} to {now:.2f}",
                    remedy="A lower learning rate, and replay of general examples.",
                )
            )
    return [*found, *_form(points)]


def _form(points: Sequence[Point]) -> list[Alarm]:
    """Sampled outputs that had the form and lost it; a few samples prove nothing, so training goes on."""
    newest = points[-1]
    most = max((point.valid_share or 0.0 for point in points[:-1]), default=0.0)
    if newest.valid_share is None or not most or newest.valid_share > FORM_LEFT * most:
        return []
    verdict = Verdict(
        name="valid_samples",
        status="warn",
        measured=round(newest.valid_share, 4),
        limit=round(FORM_LEFT * most, 4),
        reason=f"{100 * newest.valid_share:.0f} % of sampled outputs are valid, and {100 * most:.0f} % were",
        remedy="Look at the samples of `firstfault finetune bench`; a lower learning rate if it stays.",
    )
    return [Alarm(step=newest.step, verdict=verdict, stops=False)]


def not_finite(step: int) -> Alarm:
    """The loss is no number any more."""
    verdict = Verdict(
        name="finite_loss",
        status="fail",
        measured=None,
        limit=None,
        reason=f"the loss is not finite at step {step}",
        remedy="Lower the learning rate.",
    )
    return Alarm(step=step, verdict=verdict, stops=True)


def gradient(step: int, norm: float, before: Sequence[float]) -> Alarm | None:
    """A gradient far larger than those before it; it is clipped, so training goes on."""
    if len(before) < 10 or norm <= NORM_FACTOR * statistics.median(before):
        return None
    verdict = Verdict(
        name="gradient_norm",
        status="warn",
        measured=round(norm, 3),
        limit=round(NORM_FACTOR * statistics.median(before), 3),
        reason=f"the gradient's norm is {norm:.1f} at step {step}, usually {statistics.median(before):.2f}",
        remedy="Look at the rows of this step; lower the learning rate if it happens again.",
    )
    return Alarm(step=step, verdict=verdict, stops=False)


def _alarm(
    point: Point, name: str, measured: float, limit: float, *, reason: str, remedy: str, fails: bool = True
) -> Alarm:
    status: Any = "fail" if fails else "ok"
    verdict = Verdict(name=name, status=status, measured=measured, limit=limit, reason=reason, remedy=remedy)
    return Alarm(step=point.step, verdict=verdict, stops=True)


def restored_point(document: Mapping[str, Any]) -> Point:
    """From its JSON."""
    return Point(**document)


def restored_alarm(document: Mapping[str, Any]) -> Alarm:
    """From its JSON."""
    return Alarm(**{**document, "verdict": Verdict(**document["verdict"])})
