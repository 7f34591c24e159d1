"""A fix on trial: short trainings for real on the tiny model, with the fix's rate, replay and rows."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.finetune.test_train import planned, rows

from firstfault.finetune.data import Row, convert
from firstfault.finetune.diagnose import Fault
from firstfault.types import Remedy


def fault(cause: str, **patch: Any) -> Fault:
    remedy = Remedy(summary="", patch=patch, command="")
    return Fault(stage="recipe", cause=cause, evidence="", verified=False, remedy=remedy)


def contradictory(number: int) -> tuple[Row, ...]:
    """Three rows with the same prompt, one of them wrong."""
    made = []
    for row in rows(number):
        wrong = convert({"prompt": row.prompt, "completion": json.dumps({"x": "?"})})[1]
        made += [row, replace(row), wrong]
    return tuple(replace(row, place=f"r:{i}") for i, row in enumerate(made))


def test_a_rate_that_destroys_is_confirmed_by_two_short_trainings_and_recorded(
    tiny: Path, tmp_path: Path
) -> None:
    from firstfault.finetune import line

    made = planned(tiny, tmp_path, method="full", learning_rate=1.0, epochs=3, clip=1e9)
    trainer = line.prepare(replace(made, check=()))
    done = line.train(tmp_path, line.begin(tmp_path, trainer), trainer)
    found, tried = line.diagnose(tmp_path, done)
    assert found.primary is not None
    assert (found.primary.cause, found.primary.verified, tried) == ("learning_rate_too_high", False, ())
    told: list[str] = []
    found, tried = line.diagnose(tmp_path, done, trial=True, told=lambda what, *_: told.append(what))
    assert told == ["12 steps as it was", "12 steps with the fix"]
    assert found.primary is not None
    assert (found.primary.verified, tried[0].confirmed, tried[0].patch) == (
        True,
        True,
        {"learning_rate": made.recipe.settings[1].usual},
    )
    from firstfault.finetune.runs import open_runs

    store = open_runs(tmp_path)
    again, before = line.diagnose(tmp_path, store.get(done.id))
    store.close()
    assert before == tried
    assert again.primary == found.primary


def test_a_fix_changes_the_rows_that_are_trained_on(tiny: Path, tmp_path: Path) -> None:
    from firstfault.finetune.trials import _mended, is_triable

    made = replace(planned(tiny, tmp_path, training=8), training=contradictory(8))
    cleaned, dropped = _mended(made, fault("label_errors"), tmp_path)
    assert dropped == 16
    assert len(cleaned.training) == 8
    assert all("?" not in row.target for row in cleaned.training)
    general = rows(3, seed=2)
    more, _ = _mended(
        replace(made, replay=general),
        fault("catastrophic_forgetting", replay=0.5, learning_rate=1e-3),
        tmp_path,
    )
    assert (len(more.replay), more.recipe.learning_rate) == (len(made.training), 1e-3)
    assert {row.prompt for row in more.replay} == {row.prompt for row in general}
    smaller, _ = _mended(made, fault("overfitting", rank=2, dropout=0.1), tmp_path)
    assert (smaller.recipe.rank, smaller.recipe.alpha) == (2, 4)
    assert not is_triable(fault("too_many_epochs", epochs=2))
    assert not is_triable(fault("adapter_not_applied"))
