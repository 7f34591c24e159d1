"""Every fault of the library, placed in a small application."""

import pytest

from firstfault.drill import FAULTS, Workshop
from firstfault.drill.library import named, of_set
from firstfault.drill.scenes import SCENES
from firstfault.errors import InputError
from firstfault.stages import ANY_STAGE_CAUSES, CAUSES, Stage


def test_there_are_enough_over_every_stage() -> None:
    assert len(of_set("development")) >= 30
    assert len(of_set("blind")) >= 10
    assert {fault.stage for fault in of_set("development")} == set(Stage)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_expects_a_cause_of_its_stage(name: str) -> None:
    fault = FAULTS[name]
    assert fault.cause in CAUSES[fault.stage] + ANY_STAGE_CAUSES
    assert fault.scene in SCENES
    assert 0 < fault.severity <= 1
    assert not fault.summary.endswith(".")


def test_every_cause_of_the_answer_path_has_a_fault() -> None:
    assert {cause for causes in CAUSES.values() for cause in causes} <= {
        fault.cause for fault in FAULTS.values()
    }


def test_names_are_checked() -> None:
    assert [fault.name for fault in named(["flood"])] == ["flood"]
    with pytest.raises(InputError, match="no fault 'gremlins'"):
        named(["gremlins"])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_can_be_placed_and_the_copy_still_opens(name: str, workshop: Workshop) -> None:
    fault = FAULTS[name]
    with workshop.sandbox(fault.scene, seed=1) as sandbox:
        before = (dict(sandbox.overrides), sandbox.cases, sandbox.home.stat().st_ino)
        with sandbox.application() as app:
            version = app.collection.version
        fault.inject(sandbox, fault.severity)
        with sandbox.application() as app:
            changed = app.collection.version != version or app.collection.info().index_points == 0
        after = (dict(sandbox.overrides), sandbox.cases, sandbox.home.stat().st_ino)
        index_only = fault.name in ("broken_graph", "missing_points", "retired_points")
        assert changed or before != after or sandbox.plan.faults or index_only
