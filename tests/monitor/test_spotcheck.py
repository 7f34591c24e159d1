import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.monitor.spotcheck import Cell, agreement, allocate, rate, reviews_needed

STRATA = {"down": (60, 0.5), "uncertain": (500, 0.15), "ordinary": (4440, 0.02)}


def simulated(seed: int) -> tuple[float, "tuple[float, float, float]"]:
    draw = random.Random(seed)
    truth = {name: [float(draw.random() < share) for _ in range(n)] for name, (n, share) in STRATA.items()}
    sizes = allocate({name: n for name, (n, _) in STRATA.items()}, 200, special=("down", "uncertain"))
    found = rate(
        [Cell(population=len(v), values=tuple(draw.sample(v, sizes[name]))) for name, v in truth.items()]
    )
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    true = sum(map(sum, truth.values())) / sum(n for n, _ in STRATA.values())
    return true, (found.value, found.low, found.high)


def test_the_estimate_is_unbiased_and_its_interval_covers_though_doubtful_ones_are_drawn_more_often() -> None:
    runs = [simulated(seed) for seed in range(200)]
    assert sum(low <= true <= high for true, (_, low, high) in runs) >= 186  # 93 %
    assert sum(value - true for true, (value, _, _) in runs) / 200 == pytest.approx(0.0, abs=0.003)


def test_a_naive_share_of_the_same_reviews_would_be_far_off() -> None:
    sizes = allocate({name: n for name, (n, _) in STRATA.items()}, 200, special=("down", "uncertain"))
    naive = sum(sizes[name] * share for name, (_, share) in STRATA.items()) / sum(sizes.values())
    true = sum(n * share for n, share in STRATA.values()) / sum(n for n, _ in STRATA.values())
    assert naive > 3 * true


def test_without_reviews_there_is_a_reason_and_no_number() -> None:
    found = rate([Cell(population=10, values=())])
    assert found.value is None
    assert found.reason == "nothing is reviewed yet"
    assert rate([]).reason == "there is nothing to review"
    few = rate([Cell(population=100, values=(0.0, 1.0))])
    assert few.value == 0.5
    assert few.low is None
    assert "10 are needed" in few.reason


def test_what_is_reviewed_completely_is_certain() -> None:
    found = rate([Cell(population=20, values=(1.0,) * 5 + (0.0,) * 15)])
    assert (found.low, found.value, found.high) == (0.25, 0.25, 0.25)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c", "ordinary"]), st.integers(0, 500), min_size=1),
    st.integers(1, 300),
)
def test_every_stratum_is_drawn_from_and_never_beyond_what_there_is(
    populations: dict[str, int], size: int
) -> None:
    drawn = allocate(populations, size, special=("a", "b", "c"))
    assert set(drawn) == {name for name, number in populations.items() if number}
    for name, number in drawn.items():
        assert min(2, populations[name]) <= number <= populations[name]
    assert sum(drawn.values()) >= min(size, sum(populations.values())) - 3


@given(
    st.lists(
        st.tuples(st.integers(10, 500), st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=10)),
        min_size=1,
        max_size=5,
    )
)
def test_an_interval_holds_its_estimate_and_stays_within_0_and_1(
    cells: list[tuple[int, list[float]]],
) -> None:
    found = rate([Cell(population=n, values=tuple(values)) for n, values in cells])
    assert found.value is not None
    if found.low is not None and found.high is not None:
        assert 0.0 <= found.low <= found.value + 1e-6
        assert found.value - 1e-6 <= found.high <= 1.0


def test_reviews_needed_shrink_the_interval_to_the_wanted_width() -> None:
    none_yet = rate([Cell(population=100_000, values=())])
    assert reviews_needed(none_yet, 0.1) == pytest.approx(381, abs=3)  # 1.96² / 0.1², but Wilson's
    some = rate([Cell(population=100_000, values=(1.0,) * 5 + (0.0,) * 95)])
    assert reviews_needed(some, 0.1) < reviews_needed(some, 0.05)
    assert reviews_needed(rate([Cell(population=50, values=(0.0,) * 10)]), 0.01) == 50


def test_kappa_is_that_of_cohen() -> None:
    # Cohen 1960's arithmetic: 20 and 15 agreed of 50, marginals 25/25 and 30/20: po 0.7, pe 0.5
    labels = {}
    for i in range(50):
        first = "supported" if i < 25 else "unsupported"
        second = "supported" if i < 20 or 25 <= i < 35 else "unsupported"
        labels[str(i)] = {"ann": first, "bob": second}
    found = agreement(labels)
    assert found.reviewers == ("ann", "bob")
    assert found.observed == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.4 < found.high


def test_kappa_is_null_with_a_reason_where_chance_explains_everything() -> None:
    assert agreement({"1": {"ann": "supported"}}).reason == "no sentence has two reviewers"
    same = agreement({str(i): {"ann": "supported", "bob": "supported"} for i in range(5)})
    assert same.kappa is None
    assert "chance" in same.reason
