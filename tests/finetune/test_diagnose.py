from dataclasses import asdict
from typing import Any

import pytest
from tests.finetune.records import bench, points, run

from firstfault.finetune.diagnose import diagnose
from firstfault.finetune.measure import compare
from firstfault.finetune.trials import Intervention, confirmed
from firstfault.types import Verdict

OVERFIT = points((2.0, 2.0), (0.8, 1.2), (0.4, 1.3), (0.3, 1.5))
LOST = compare("arithmetic", [1.0] * 20 + [0.0] * 20, [0.0] * 40)
INVALID = (compare("validity", [0.0] * 10, [0.5] * 10),)


def failing(name: str) -> list[dict[str, Any]]:
    return [asdict(Verdict(name=name, status="fail", reason="many rows"))]


FEW = {"training": 4, "validation": 20, "replay": 0, "dropped": 0, "digest": "x"}


@pytest.mark.parametrize(
    ("stage", "cause", "changes"),
    [
        ("data", "label_errors", {"check": failing("label_errors")}),
        ("data", "label_errors", {"check": failing("contradictory_answers"), "bench": bench(axes=(LOST,))}),
        ("data", "leakage", {"check": failing("leakage")}),
        ("data", "inconsistent_format", {"check": failing("format_validity"), "bench": bench(task=INVALID)}),
        ("data", "too_few_examples", {"data": FEW, "points": OVERFIT, "bench": None}),
        (
            "recipe",
            "learning_rate_too_high",
            {"given": {"learning_rate": 1e-2}, "bench": bench(axes=(LOST,))},
        ),
        (
            "recipe",
            "learning_rate_too_high",
            {"given": {"learning_rate": 1e-2}, "points": points((2.0, 2.0), (3.0, 3.0))},
        ),
        ("recipe", "too_many_epochs", {"points": OVERFIT, "bench": bench(task=INVALID)}),
        ("forget", "catastrophic_forgetting", {"bench": bench(axes=(LOST,))}),
        ("serve", "adapter_not_applied", {"bench": bench(changed=0.0, task=INVALID)}),
        ("serve", "chat_template_mismatch", {"bench": bench(template_agrees=False, task=INVALID)}),
        (
            "serve",
            "chat_template_mismatch",
            {"bench": bench(template_agrees=False, task=INVALID, axes=(LOST,))},
        ),
        ("data", "too_few_format_examples", {"bench": bench(task=INVALID)}),
        ("forget", "format_drift", {"bench": bench(task=(compare("validity", [1.0] * 10, [0.5] * 10),))}),
    ],
)
def test_the_first_fault_is_named(stage: str, cause: str, changes: dict[str, Any]) -> None:
    made = diagnose(run(**changes))
    assert made.primary is not None
    assert (made.primary.stage, made.primary.cause) == (stage, cause)
    assert made.primary.evidence
    assert made.primary.remedy.summary


def test_a_healthy_run_has_no_fault_and_a_failure_without_a_sign_is_unknown() -> None:
    assert diagnose(run()).healthy
    made = diagnose(run(bench=bench(task=(compare("agreement", [0.5, 0.6] * 10, [0.6, 0.5] * 10),))))
    assert (made.healthy, made.primary) == (False, None)
    assert "task_gain failed" in made.unknown


def test_an_intervention_makes_a_likely_cause_certain() -> None:
    made = diagnose(run(given={"learning_rate": 1e-2}, bench=bench(axes=(LOST,))))
    assert made.primary is not None
    assert made.primary.remedy.patch == {"learning_rate": 2e-4}
    assert "--set learning_rate=0.0002" in (made.primary.remedy.command or "")
    assert not made.primary.verified
    tried = Intervention(
        cause=made.primary.cause,
        patch=made.primary.remedy.patch,
        steps=16,
        symptom="arithmetic",
        without=0.0,
        with_patch=0.4,
        confirmed=True,
    )
    sure = confirmed(made, [tried])
    assert sure.primary is not None
    assert sure.primary.verified


def test_the_fix_of_a_full_training_is_a_full_training() -> None:
    made = diagnose(run(given={"method": "full", "learning_rate": 1e-2}, bench=bench(axes=(LOST,))))
    assert made.primary is not None
    assert made.primary.remedy.patch == {"learning_rate": 2e-5}
    assert made.primary.remedy.command == (
        "firstfault finetune train DATA --set method=full --set learning_rate=2e-05"
    )
