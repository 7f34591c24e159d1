"""A fix on trial: the plan of a run and its first fault in; two short trainings, as it was and mended, out.

What is changed is what the remedy changes: values of the recipe, more replay, or the rows that `clean` drops.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.errors import InputError
from firstfault.finetune.diagnose import Fault, RunDiagnosis
from firstfault.finetune.gates import MOST_DROP
from firstfault.finetune.guards import LEAST_RISE, Point

if TYPE_CHECKING:
    from firstfault.finetune.train import Plan, Trained

STEPS = 16
"""Of one short training, at most."""
OF_ROWS = ("label_errors", "inconsistent_format")
"""Causes that are answered by leaving rows out, so that a training without them can show it."""

Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention:
    """A short training with the fix, beside the same without it."""

    cause: str
    patch: Mapping[str, Any]
    dropped: int = 0
    """Rows that were left out or mended."""
    steps: int
    symptom: str
    """What they are compared by: an ability, `validation loss`, or `finite loss` (1 = finite)."""
    without: float
    with_patch: float
    confirmed: bool
    """Whether the symptom went with the change."""


def is_triable(fault: Fault) -> bool:
    """Whether a short training could show that the fix works. Fewer epochs are the same in few steps."""
    return bool(fault.remedy.patch.keys() - {"epochs"}) or fault.cause in OF_ROWS


def intervene(
    made: "Plan", fault: Fault, home: Path, folder: Path, *, told: Told | None = None
) -> Intervention:
    """Train a few steps as recorded and with the fix of a triable fault, in a folder of their own.

    The symptom is the loss that stopped being a number, else the ability that fell furthest, else the
    validation loss.

    Raises:
        InputError: the fix leaves no rows to train on.
    """
    tell = told or (lambda *_: None)
    mended, dropped = _mended(made, fault, home)
    steps = min(STEPS, _steps(made), _steps(mended))
    tell(f"{steps} steps as it was", 0, 2)
    before = _trained(made, folder / "before", steps)
    tell(f"{steps} steps with the fix", 1, 2)
    after = _trained(mended, folder / "after", steps)
    symptom, without, with_patch, confirmed = _compared(before, after)
    return Intervention(
        cause=fault.cause,
        patch=dict(fault.remedy.patch),
        dropped=dropped,
        steps=steps,
        symptom=symptom,
        without=without,
        with_patch=with_patch,
        confirmed=confirmed,
    )


def _mended(made: "Plan", fault: Fault, home: Path) -> "tuple[Plan, int]":
    """The plan as the remedy would have it, and how many rows were left out or mended."""
    if fault.cause in OF_ROWS:
        return _cleaned(made, fault.cause)
    values: dict[str, Any] = dict(fault.remedy.patch)
    if "rank" in values and made.recipe.alpha == 2 * made.recipe.rank:
        values["alpha"] = 2 * values["rank"]
    recipe = replace(made.recipe, **values)
    replay = made.replay
    if recipe.replay != made.recipe.replay:
        from firstfault.finetune.replay import replay_rows
        from firstfault.finetune.train import mixed

        general = tuple({row.messages: row for row in made.replay}.values())
        if not general and made.base.gguf is not None:
            general = replay_rows(made.base, home)
        replay = mixed(general, len(made.training), recipe)
    return replace(made, recipe=recipe, replay=replay), 0


def _cleaned(made: "Plan", cause: str) -> "tuple[Plan, int]":
    from firstfault.finetune import cleaning, doctor
    from firstfault.finetune.data import Dataset

    data = Dataset(path=Path("data"), rows=made.training, unreadable=(), layouts={})
    drop = ("label_errors",) if cause == "label_errors" else ()
    done = cleaning.clean(data, doctor.Given(schema=made.schema), drop=drop)
    if not done.rows:
        raise InputError(
            "Cleaning leaves no row of this run, so there is nothing to try.", hint="Collect other examples."
        )
    return replace(made, training=done.rows), len({change.place for change in done.changes})


def _steps(made: "Plan") -> int:
    return math.ceil((len(made.training) + len(made.replay)) / made.recipe.batch_size) * made.recipe.epochs


def _trained(made: "Plan", folder: Path, steps: int) -> "Trained":
    from firstfault.finetune.train import Trainer

    folder.mkdir(parents=True)
    trainer = Trainer(replace(made, recipe=replace(made.recipe, checks=steps, patience=99)), folder)
    trainer.steps = steps
    return trainer.run()


def _compared(before: "Trained", after: "Trained") -> tuple[str, float, float, bool]:
    """Symptom, its value without the fix and with it, and whether it went."""
    finite = [all(alarm.verdict.name != "finite_loss" for alarm in one.alarms) for one in (before, after)]
    if not all(finite):
        return "finite loss", float(finite[0]), float(finite[1]), finite[1] and not finite[0]
    start, end, mended = before.points[0], before.points[-1], after.points[-1]
    drops = {axis: (was - end.abilities[axis]) / was for axis, was in start.abilities.items() if was > 0}
    axis = max(drops, key=lambda one: (drops[one], one), default="")
    if axis and drops[axis] > MOST_DROP:
        lost = start.abilities[axis] - end.abilities[axis]
        saved = mended.abilities[axis] - end.abilities[axis]
        return axis, end.abilities[axis], mended.abilities[axis], saved >= 0.5 * lost
    return "validation loss", *_losses(end, mended)


def _losses(end: Point, mended: Point) -> tuple[float, float, bool]:
    return (
        end.validation_loss,
        mended.validation_loss,
        mended.validation_loss < end.validation_loss * (1 - LEAST_RISE),
    )


def confirmed(made: RunDiagnosis, done: Sequence[Intervention]) -> RunDiagnosis:
    """The diagnosis with causes that an intervention confirmed marked as verified."""
    sure = {one.cause for one in done if one.confirmed}
    findings = tuple(
        replace(fault, verified=True) if fault.cause in sure else fault for fault in made.findings
    )
    return replace(made, findings=findings, primary=findings[0] if findings else None)
