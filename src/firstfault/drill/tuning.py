"""What a fault of fine-tuning is: one thing that spoils a training, or the adapter that it wrote.

It goes in where a real one does: the rows, a value of the recipe, the chat template, the exported file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from firstfault.drill.fault import FaultSet

if TYPE_CHECKING:
    from firstfault.finetune.data import Row

STAGES = ("data", "recipe", "fit", "forget", "serve", "format")
"""In the order in which `finetune diagnose` asks them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a training is made of, before anything is planned."""

    training: "tuple[Row, ...]"
    validation: "tuple[Row, ...]"
    values: Mapping[str, Any]
    """Values of the recipe that are set, by name; the others are chosen."""
    usual_rate: float
    """The learning rate that the recipe would choose."""
    template: str | None = None
    """A chat template that replaces the model's own."""


Spoil = Callable[[Material, float, Random], Material]
"""Spoils the material at a severity from 0 (exclusive) to 1. Raises InputError where it cannot matter."""
Damage = Callable[[Any, float], None]
"""Damages an exported adapter: a `gguf.GGUFReader` in mode `r+`, whose fields and tensors are the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningFault:
    """One declared way to spoil a training. Either `spoil` or `damage` is given."""

    name: str
    stage: str
    """Of `STAGES`: what `finetune diagnose` should name first."""
    cause: str
    summary: str
    """What is changed, through which seam."""
    dial: str
    """What the severity means."""
    spoil: Spoil | None = None
    """Before the training."""
    damage: Damage | None = None
    """After the training, before anything is measured."""
    severity: float = 0.5
    """By default."""
    set: FaultSet = "development"
