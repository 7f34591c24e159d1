"""Every fault of fine-tuning: declared in the words of the diagnosis, and changing what it says; no torch."""

import json
from pathlib import Path
from random import Random

import pytest

from firstfault.diagnose.playbook import Playbook
from firstfault.drill.library.tuning import FAULTS, named
from firstfault.drill.tuning import STAGES, Material, TuningFault
from firstfault.errors import InputError
from firstfault.finetune import doctor
from firstfault.finetune.data import Dataset, Row, convert

WORDS = "amber birch cedar delta ember fjord grove harbor inlet jade kelp lagoon".split()


def rows(number: int, seed: int = 0) -> tuple[Row, ...]:
    """Prompts that foretell the label of their answer; no two alike."""
    made = []
    for i in range(number):
        pick = Random(f"{seed} {i}")
        word = pick.choice(WORDS[:4])
        asked = f"{word} {' '.join(pick.choices(WORDS[4:], k=4))} {seed}{i:04d}"
        made.append(convert({"prompt": asked, "completion": json.dumps({"kind": word})}, f"r:{i}")[1])
    return tuple(made)


def material(training: int = 200) -> Material:
    return Material(training=rows(training), validation=rows(40, 1), values={"rank": 4}, usual_rate=5e-4)


def spoilt(name: str, given: Material, severity: float | None = None) -> Material:
    fault = FAULTS[name]
    assert fault.spoil is not None
    return fault.spoil(given, severity or fault.severity, Random(f"0 {name}"))


def found(given: Material) -> set[str]:
    """What the doctor says is wrong with it."""
    training, held = (
        Dataset(path=Path("x"), rows=part, unreadable=(), layouts={})
        for part in (given.training, given.validation)
    )
    return set(doctor.check(training, doctor.Given(validation=held)).failed)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_speaks_the_language_of_the_diagnosis(fault: TuningFault) -> None:
    assert Playbook.load().entry(fault.cause).stage == fault.stage
    assert fault.stage in STAGES
    assert (fault.spoil is None) != (fault.damage is None)
    assert 0 < fault.severity <= 1
    assert not fault.summary.endswith(".")


def test_the_faults_that_destroy_fine_tunings_are_all_there() -> None:
    development = {fault.cause for fault in FAULTS.values() if fault.set == "development"}
    assert development >= {
        "learning_rate_too_high",
        "too_few_examples",
        "label_errors",
        "leakage",
        "chat_template_mismatch",
        "adapter_not_applied",
    }
    assert {fault.set for fault in FAULTS.values()} == {"development", "blind"}
    with pytest.raises(InputError, match="no fault of fine-tuning 'gremlins'"):
        named(["gremlins"])


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("wrong_labels", "label_errors"),
        ("leaked_examples", "leakage"),
        ("contradicting_answers", "contradictory_answers"),
        ("fenced_answers", "consistent_format"),
        ("repeated_rows", "duplicates"),
    ],
)
def test_spoilt_data_have_the_defect_that_they_stand_for(name: str, finding: str) -> None:
    given = material()
    made = spoilt(name, given)
    assert finding in found(made)
    assert made == spoilt(name, given)
    assert (made.values, made.template, made.validation) == (given.values, None, given.validation)


def test_what_they_spoil_was_sound() -> None:
    assert not found(material())


def test_the_recipe_and_the_template_are_replaced() -> None:
    given = material()
    few = spoilt("few_examples", given)
    assert (len(few.training), few.values["epochs"], few.values["replay"]) == (4, 30, 0)
    assert all(row in given.training for row in few.training)
    assert spoilt("high_rate", given).values == {"rank": 4, "learning_rate": pytest.approx(0.025)}
    assert spoilt("high_rate", given, 0.1).values["learning_rate"] == pytest.approx(0.005)
    templates = [spoilt(name, given).template or "" for name in ("wrong_template", "script_template")]
    assert all("add_generation_prompt" in one for one in templates)
    assert len(set(templates)) == 2


def test_what_cannot_matter_is_said() -> None:
    free = tuple(convert({"prompt": f"q {i}", "completion": f"Text {i}."})[1] for i in range(10))
    given = Material(training=free, validation=free, values={}, usual_rate=1e-4)
    for name, said in (("wrong_labels", "no labels"), ("fenced_answers", "no JSON objects")):
        with pytest.raises(InputError, match=said):
            spoilt(name, given)
