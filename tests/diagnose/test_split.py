"""Parts for choosing and proving: disjoint, stratified, the same every time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.diagnose.split import ALPHA, fewest, split
from firstfault.evaluate.statistics import holm, sign_flip_p


@given(st.integers(min_value=0, max_value=60), st.integers(min_value=1, max_value=60), st.integers(1, 5))
def test_parts_are_disjoint_and_complete(sound: int, sick: int, trials: int) -> None:
    cases = [f"case-{i}" for i in range(sound + sick)]
    parts = split(cases, cases[:sick], trials=trials)
    assert sorted([*parts.choosing, *parts.holdout]) == sorted(cases)
    again = split(cases[::-1], cases[:sick][::-1], trials=trials)
    assert again == parts
    proving = sum(case in parts.failing for case in parts.holdout)
    assert proving >= min(sick - 1, fewest(trials))
    assert abs(sum(case not in parts.failing for case in parts.holdout) - sound / 2) <= 1


def test_any_beginning_holds_failing_and_healthy_cases() -> None:
    cases = [f"case-{i}" for i in range(40)]
    parts = split(cases, cases[:20], trials=1)
    assert sum(case in parts.failing for case in parts.holdout[:10]) == 5


@pytest.mark.parametrize("trials", [1, 2, 3, 8])
def test_the_fewest_cases_are_just_enough_for_significance(trials: int) -> None:
    def best(n: int) -> float:
        return holm([sign_flip_p([0.0] * n, [1.0] * n), *[1.0] * (trials - 1)])[0]

    assert best(fewest(trials)) < ALPHA <= best(fewest(trials) - 1)
