from dataclasses import asdict
from typing import Any

import pytest
from tests.finetune.records import bench, points, record

from firstfault.finetune.card import card
from firstfault.finetune.gates import gate, passed
from firstfault.finetune.guards import not_finite
from firstfault.finetune.measure import agreement, compare
from firstfault.types import Verdict


def failed(**changes: Any) -> set[str]:
    return {verdict.name for verdict in gate(record(**changes)) if verdict.status == "fail"}


def test_a_healthy_run_passes_every_gate() -> None:
    verdicts = gate(record())
    assert passed(verdicts)
    assert {verdict.status for verdict in verdicts} == {"ok"}


LOST = compare("arithmetic", [1.0] * 20 + [0.0] * 20, [0.0] * 40)
ROUGHER = compare("perplexity", [3.0, 3.1, 2.9, 3.0], [3.2, 3.3, 3.1, 3.2], higher=False)
NOT_BETTER = compare("agreement", [0.5, 0.6] * 10, [0.6, 0.5] * 10)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("measured", {"bench": None}),
        ("applied", {"bench": bench(changed=0.0)}),
        ("chat_template", {"bench": bench(template_agrees=False)}),
        ("export", {"bench": bench(exported=0.1)}),
        ("ability:arithmetic", {"bench": bench(axes=(LOST,))}),
        ("ability:perplexity", {"bench": bench(axes=(ROUGHER,))}),
        ("format_validity", {"bench": bench(task=(compare("validity", [0.0] * 10, [1.0] * 9 + [0.0]),))}),
        ("task_gain", {"bench": bench(task=(NOT_BETTER,))}),
        ("overfitting", {"points": points((2.0, 2.0), (0.3, 1.0))}),
        ("overfitting", {"points": points((2.0, 2.0), (1.9, 2.1))}),
        ("training", {"alarms": [asdict(not_finite(5))]}),
        ("data", {"check": [asdict(Verdict(name="leakage", status="fail", reason="2 rows"))]}),
    ],
)
def test_each_thing_that_must_hold_has_its_gate(name: str, changes: dict[str, Any]) -> None:
    assert failed(**changes) == {name}
    assert not passed(gate(record(**changes)))


def test_a_drop_within_its_interval_is_a_warning() -> None:
    few = compare("arithmetic", [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0])
    verdict = next(v for v in gate(record(bench=bench(axes=(few,)))) if v.name == "ability:arithmetic")
    assert verdict.status == "warn"
    assert verdict.measured == pytest.approx(1 / 3, abs=1e-4)


def test_agreement_counts_equal_fields_or_shared_words() -> None:
    assert agreement('{"a": 1, "b": 2}', '{"a": 1, "b": 3}') == 0.5
    assert agreement('{"a": 1, "c": 2}', '{"a": 1}') == 0.5
    assert agreement("no json", '{"a": 1}') == 0.0
    assert agreement("the red pump", "the blue pump") == pytest.approx(2 / 3)


def test_the_card_holds_the_records() -> None:
    made = card("tickets", "ft-1", record(), gate(record()), licence="CC0")
    for piece in (
        "`abc`",
        "learning_rate",
        "| 20 | 0.3000 | 0.4000 ← |",
        "validity",
        "| applied | ok |",
        "CC0",
    ):
        assert piece in made
