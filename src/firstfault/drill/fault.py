"""What a fault is: one thing that breaks, where, how badly, and what a diagnosis should call it.

A fault is injected into a sandbox, a throw-away copy of an application; it is undone by deleting the copy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from firstfault.stages import Stage

if TYPE_CHECKING:
    from firstfault.drill.sandbox import Sandbox

FaultSet = Literal["development", "blind"]

Inject = Callable[["Sandbox", float], None]
"""Breaks a sandbox at a severity from 0 (exclusive) to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One declared way to break an application."""

    name: str
    stage: Stage
    """The stage that a diagnosis should name first."""
    cause: str
    """The cause that it should name."""
    summary: str
    """What is changed, through which seam."""
    dial: str
    """What the severity means."""
    inject: Inject
    severity: float = 0.5
    """By default."""
    scene: str = "plain"
    """The application that it is injected into, see `scenes`: healthy, and such that the fault can matter."""
    answers: bool = False
    """Whether answers are generated; otherwise a run ends when the context is packed."""
    most_cases: int | None = None
    """Faults that make every request wait are drilled on no more cases than this; None = on all."""
    set: FaultSet = "development"
    """`blind` faults are written so that a diagnosis that was tuned on the others can be judged."""
