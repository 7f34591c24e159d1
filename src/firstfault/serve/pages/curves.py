"""The measurements of a training in, a drawing of its losses out: coordinates, and the same in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from firstfault.finetune.guards import Point

WIDTH, HEIGHT = 1000.0, 400.0
"""Of the drawing, in its own units; it is stretched to the page."""
LARGEST = 1e6
"""Nats a token beyond which a loss is no measurement any more; it is told, and not drawn."""
STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Round ends of an axis, times a power of ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One loss over the steps."""

    name: str
    points: str
    """As `<polyline points>` takes them."""
    dots: tuple[tuple[float, float], ...]
    last: float
    """The newest value, nats a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Both losses in one drawing."""

    lines: tuple[Line, ...]
    """Held-out first."""
    top: float
    """Nats a token at the upper edge; 0 is at the lower one."""
    last_step: int
    kept: float | None
    """Where the measurement stands that was kept; None while there is none."""
    kept_step: int | None
    said: str
    """What the drawing shows, in words."""


def curves(points: Sequence[Point], kept_step: int | None) -> Curves | None:
    """The losses of a training; None where there is nothing to draw."""
    drawn = [one for one in points if max(one.train_loss, one.validation_loss) < LARGEST]
    if not drawn:
        return None
    last_step = max(drawn[-1].step, 1)
    top = _round_up(max(max(one.train_loss, one.validation_loss) for one in drawn))
    held = [(one.step, one.validation_loss) for one in drawn]
    trained = [(one.step, one.train_loss) for one in drawn]
    lost = len(points) - len(drawn)
    words = [_said("held-out loss", held), _said("loss on the training probe", trained)]
    if kept_step is not None:
        words.append(f"the measurement at step {kept_step:,} was kept")
    if lost:
        words.append(f"{lost} measurements were beyond {LARGEST:,.0f} and are not drawn")
    return Curves(
        lines=(
            _line("held-out", held, last_step, top),
            _line("training probe", trained, last_step, top),
        ),
        top=top,
        last_step=last_step,
        kept=None if kept_step is None else round(WIDTH * kept_step / last_step, 1),
        kept_step=kept_step,
        said="; ".join(words).capitalize() + ".",
    )


def _line(name: str, values: Sequence[tuple[int, float]], last_step: int, top: float) -> Line:
    dots = tuple(
        (round(WIDTH * step / last_step, 1), round(HEIGHT * (1 - value / top), 1)) for step, value in values
    )
    return Line(name=name, points=" ".join(f"{x},{y}" for x, y in dots), dots=dots, last=values[-1][1])


def _said(name: str, values: Sequence[tuple[int, float]]) -> str:
    first, last = values[0], values[-1]
    lowest = min(values, key=lambda one: (one[1], one[0]))
    if len(values) == 1:
        return f"{name} {first[1]:.2f} at step {first[0]:,}"
    return (
        f"{name} from {first[1]:.2f} at step {first[0]:,} to {last[1]:.2f} at step {last[0]:,}, "
        f"lowest {lowest[1]:.2f} at step {lowest[0]:,}"
    )


def _round_up(value: float) -> float:
    """The next round number that is not below a value."""
    scale = 1e-3
    while scale * STEPS[-1] < value:
        scale *= 10
    return next(round(scale * step, 6) for step in STEPS if scale * step >= value or step == STEPS[-1])
