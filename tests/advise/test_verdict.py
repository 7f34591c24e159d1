import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made import make_result

from firstfault.advise.arms import Arm, arms
from firstfault.advise.measures import HALLUCINATION, QUALITY
from firstfault.advise.verdict import Conclusion, cases_needed, conclude
from firstfault.config import Settings
from firstfault.evaluate.metrics import unmeasured
from firstfault.types import CaseResult, Score

ARMS = arms(Settings(), adapter="adapter.gguf")


def results(values: Sequence[float | None]) -> list[CaseResult]:
    return [
        make_result(case_id=str(number), scores={**unmeasured("-"), QUALITY: Score(value=value)})
        for number, value in enumerate(values)
    ]


def concluded(values: Mapping[str, Sequence[float | None]], chosen: Sequence[Arm] = ARMS) -> Conclusion:
    used = [arm for arm in chosen if arm.name in values]
    return conclude(used, {name: results(row) for name, row in values.items()}, margin=0.05)


def test_surely_best() -> None:
    found = concluded({"base": [0.0] * 40, "rag": [0.0, 1.0] * 20, "hybrid": [1.0] * 40})
    assert (found.recommended, found.confidence) == ("hybrid", "high")
    assert all(duel.worse and duel.ci_low is not None and duel.ci_low > 0 for duel in found.duels)


def test_what_says_more_without_support_is_recommended_with_a_caution() -> None:
    chosen = [arm for arm in ARMS if arm.name in ("rag", "hybrid")]
    made = {"rag": results([0.0, 1.0] * 20), "hybrid": results([1.0] * 40)}
    for name, invented in (("rag", [0.0, 1.0] * 20), ("hybrid", [1.0] * 40)):
        made[name] = [
            replace(row, scores={**row.scores, HALLUCINATION: Score(value=value)})
            for row, value in zip(made[name], invented, strict=True)
        ]
    found = conclude(chosen, made, margin=0.05)
    assert (found.recommended, found.confidence) == ("hybrid", "medium")
    assert "hallucination rate 1.000 against 0.500 of rag" in found.summary


def test_a_sure_but_small_gain_has_less_confidence() -> None:
    small = [0.5 + 0.02 * (number % 3) for number in range(60)]
    found = concluded({"rag": [0.5] * 60, "hybrid": small})
    assert (found.recommended, found.confidence) == ("hybrid", "medium")


def test_as_good_and_simpler_needs_enough_cases() -> None:
    values = [float(number % 2) for number in range(4000)]
    assert concluded({"rag": values, "hybrid": values}).recommended == "rag"
    assert concluded({"rag": values[:100], "hybrid": values[:100]}).recommended == "rag"
    few = concluded({"rag": values[:60], "hybrid": values[:60]})
    assert few.recommended is None
    assert few.cases_needed is not None
    assert 60 < few.cases_needed < 200


def test_a_richer_arm_is_never_recommended_for_what_chance_explains() -> None:
    draw = random.Random(4)
    rag = [float(draw.random() < 0.6) for _ in range(50)]
    hybrid = [1.0 if number < 2 and not value else value for number, value in enumerate(rag)]
    found = concluded({"base": [0.0] * 50, "rag": rag, "hybrid": hybrid})
    assert found.recommended is None
    assert found.open == ("rag", "hybrid")
    assert (found.retrieval, found.tuning) == ("yes", "open")


@pytest.mark.parametrize(
    "values", [{"rag": [None] * 5, "hybrid": [None] * 5}, {"rag": [1.0], "hybrid": [None]}]
)
def test_without_quality_there_is_no_conclusion(values: dict[str, list[float | None]]) -> None:
    found = concluded(values)
    assert found.recommended is None
    assert found.duels == ()


def test_cases_needed_is_that_of_the_formula() -> None:
    differences = [1.0, 0.0, 0.0, -1.0] * 25  # variance 50/99
    assert cases_needed(differences, 0.1) == pytest.approx(7.849 * (50 / 99) / 0.01, rel=0.01)
    assert cases_needed([0.0] * 30, 0.1) == pytest.approx(7.849 * 0.1 / 0.01, rel=0.02)


def test_about_so_many_cases_do_decide() -> None:
    """With the number of cases that is told, a difference of the margin is found in about 80 % of samples."""
    draw = random.Random(1)

    def pairs(n: int) -> tuple[list[float], list[float]]:
        rows = [(float(draw.random() < 0.5), draw.random()) for _ in range(n)]
        return [a for a, _ in rows], [1.0 if share < 0.2 else a for a, share in rows]

    one, other = pairs(400)
    needed = cases_needed([b - a for a, b in zip(one, other, strict=True)], 0.1)
    found = 0
    for _ in range(60):
        one, other = pairs(needed)
        if concluded({"rag": one, "hybrid": other}).recommended == "hybrid":
            found += 1
    assert found >= 36


scores = st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=12)


@given(scores, st.randoms())
def test_never_stronger_than_the_evidence(values: list[float], draw: random.Random) -> None:
    """Equal arms in any order are never told apart."""
    other = values[:]
    draw.shuffle(other)
    found = concluded({"rag": values, "hybrid": values, "tuned": values})
    assert found.decision != "surely best"
    shuffled = concluded({"rag": values, "hybrid": other})
    if shuffled.recommended is not None:
        assert any(duel.worse for duel in shuffled.duels) or shuffled.decision == "as good and simpler"
    if len(values) < 6:
        assert shuffled.recommended is None


def test_where_every_arm_fails_none_is_recommended() -> None:
    found = concluded({"base": [0.0] * 200, "rag": [0.0] * 200})
    assert found.recommended is None
    assert "No arm does what is asked" in found.summary
