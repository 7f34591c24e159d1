import math
import statistics
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.evaluate.statistics import holm, mean, paired, percentile, proportion, sign_flip_p

UNIT = st.floats(0, 1, allow_nan=False)
VALUES = st.lists(UNIT, min_size=1, max_size=60)


@given(VALUES)
def test_the_mean_lies_in_its_interval_and_nothing_is_nan(values: list[float]) -> None:
    found = mean(values)
    assert found.value == pytest.approx(statistics.fmean(values))
    if found.low is not None and found.high is not None:
        assert 0 <= found.low <= found.value + 1e-12
        assert found.value - 1e-12 <= found.high <= 1
    assert (found.low is None) == (found.high is None)
    assert mean(values) == found


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (3, 3, 0.4385, 1.0)]
)
def test_wilson_gives_the_published_values(successes: int, n: int, low: float, high: float) -> None:
    found = proportion(successes, n)
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


def test_all_successes_are_not_certainty_and_one_value_has_no_interval() -> None:
    assert mean([1.0] * 5).low == pytest.approx(0.5655, abs=1e-4)
    assert mean([0.3]).low is None


def test_the_bootstrap_covers_as_often_as_it_says() -> None:
    grid = [i / 39 for i in range(40)]
    found = mean(grid)
    assert found.low is not None
    assert found.high is not None
    half = 1.96 * statistics.pstdev(grid) / math.sqrt(40)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=80), st.sampled_from([0.5, 0.95, 0.99]))
def test_percentiles_are_values_and_lie_in_their_interval(values: list[float], q: float) -> None:
    found = percentile(values, q)
    assert found.value in values
    assert sum(v <= found.value for v in values) >= q * len(values) - 1e-9
    assert found.low is None or found.low <= found.value
    assert found.high is None or found.high >= found.value


def test_few_values_do_not_bound_a_high_percentile() -> None:
    found = percentile(list(range(20)), 0.99)
    assert (found.value, found.high) == (19, None)


@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=30))
def test_paired_tests_are_symmetric(pairs: list[tuple[float, float]]) -> None:
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    p = sign_flip_p(before, after)
    assert 0 < p <= 1
    assert sign_flip_p(after, before) == pytest.approx(p)
    assert paired(before, after).value == pytest.approx(-paired(after, before).value)


def test_the_exact_test_counts_every_assignment_of_signs() -> None:
    differences = [0.5, 0.25, -0.125, 1.0]
    observed = abs(sum(differences))
    signs = list(product((1, -1), repeat=4))
    expected = sum(
        abs(sum(s * d for s, d in zip(row, differences, strict=True))) >= observed for row in signs
    )
    assert sign_flip_p([0.0] * 4, differences) == expected / len(signs)
    assert sign_flip_p([0.5] * 9, [0.5] * 9) == 1.0
    assert sign_flip_p([0.0] * 40, [1.0] * 40) < 0.001


def test_holm_multiplies_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=10))
def test_holm_never_makes_a_p_value_smaller_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(0 <= p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)
