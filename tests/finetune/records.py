"""Records of training runs as they are stored, healthy unless something is changed."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from firstfault.finetune.guards import Point
from firstfault.finetune.measure import Bench, compare
from firstfault.finetune.recipe import choose
from firstfault.finetune.runs import TrainingRun
from firstfault.types import Verdict


def points(*losses: tuple[float, float], abilities: tuple[float, ...] = ()) -> list[dict[str, Any]]:
    """Measurements with these training and validation losses, an epoch between two."""
    return [
        asdict(
            Point(
                step=10 * i,
                epoch=float(i),
                train_loss=train,
                validation_loss=held,
                abilities={"arithmetic": abilities[i]} if abilities else {},
            )
        )
        for i, (train, held) in enumerate(losses)
    ]


def bench(**changes: Any) -> dict[str, Any]:
    """What was measured on a good adapter."""
    axes = [compare("arithmetic", [1.0] * 20 + [0.0] * 20, [1.0] * 19 + [0.0] * 21)]
    task = [
        compare("validity", [0.0] * 40, [1.0] * 40),
        compare("agreement", [0.0] * 40, [0.8] * 20 + [1.0] * 20),
    ]
    made = {"axes": tuple(axes), "task": tuple(task), "changed": 1.0, "exported": 0.95}
    return asdict(Bench(**{**made, "template_agrees": True, "samples": (), **changes}))


def record(**changes: Any) -> dict[str, Any]:
    """Everything that a run records."""
    given = changes.pop("given", {})
    recipe = choose(examples=300, parameters=135_000_000, lengths=[100], given=given)
    return {
        "base": {"name": "m", "digest": "d"},
        "data": {"training": 300, "validation": 60, "replay": 53, "dropped": 0, "digest": "abc"},
        "recipe": recipe.document(),
        "schema": None,
        "template": None,
        "check": [asdict(Verdict(name="duplicates", status="ok"))],
        "points": points((2.0, 2.0), (0.5, 0.55), (0.3, 0.4)),
        "alarms": [],
        "best": 20,
        "bench": bench(),
        **changes,
    }


def run(**changes: Any) -> TrainingRun:
    """A stored run."""
    return TrainingRun(id="ft-1", at="2026", status="trained", folder=Path("x"), record=record(**changes))
