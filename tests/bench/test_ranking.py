import importlib.util
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

_SPEC = importlib.util.spec_from_file_location(
    "bench_ranking", Path(__file__).resolve().parents[2] / "bench" / "ranking.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
ranking = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(ranking)

NAMES = st.lists(st.sampled_from("abcdefghijklmnop"), unique=True, min_size=1)


def test_ndcg_of_a_single_relevant_document_is_its_discount() -> None:
    assert ranking.ndcg(["a", "b", "c"], {"a"}) == 1.0
    assert ranking.ndcg(["b", "a", "c"], {"a"}) == pytest.approx(1 / math.log2(3))
    assert ranking.ndcg(["b", "c", "a"], {"a"}) == 0.5
    assert ranking.ndcg(["b", "c"], {"a"}) == 0.0


def test_ndcg_of_two_relevant_documents_by_hand() -> None:
    expected = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
    assert ranking.ndcg(["a", "x", "b"], {"a", "b"}) == pytest.approx(expected)


def test_ndcg_ignores_what_lies_beyond_k() -> None:
    assert ranking.ndcg(["x", "y", "a"], {"a"}, k=2) == 0.0
    assert ranking.ndcg(["a"], {"a", "b", "c"}, k=1) == 1.0


@given(NAMES, NAMES, st.integers(min_value=1, max_value=12))
def test_scores_lie_between_0_and_1_and_the_ideal_order_reaches_1(
    order: list[str], relevant: list[str], k: int
) -> None:
    assert 0.0 <= ranking.ndcg(order, relevant, k) <= 1.0 + 1e-12
    ideal = [*relevant, *(name for name in order if name not in relevant)]
    assert ranking.ndcg(ideal, relevant, k) == pytest.approx(1.0)
    assert ranking.hit(ideal, relevant, k) == 1.0


@given(NAMES, NAMES)
def test_moving_a_relevant_document_up_never_lowers_ndcg(order: list[str], relevant: list[str]) -> None:
    for at in range(1, len(order)):
        if order[at] in relevant and order[at - 1] not in relevant:
            better = order.copy()
            better[at - 1], better[at] = order[at], order[at - 1]
            assert ranking.ndcg(better, relevant) >= ranking.ndcg(order, relevant)


def test_hit_counts_the_first_k_only() -> None:
    assert ranking.hit(["b", "a"], {"a"}, k=1) == 0.0
    assert ranking.hit(["b", "a"], {"a"}, k=2) == 1.0


def test_repeated_documents_and_empty_relevance_are_refused() -> None:
    with pytest.raises(ValueError, match="first_seen"):
        ranking.ndcg(["a", "a"], {"a"})
    with pytest.raises(ValueError, match="Nothing is relevant"):
        ranking.hit(["a"], set())
    with pytest.raises(ValueError, match="at least 1"):
        ranking.ndcg(["a"], {"a"}, k=0)
    assert ranking.first_seen(["b", "a", "b"]) == ["b", "a"]


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1), st.floats(min_value=0, max_value=100))
def test_percentiles_stay_within_the_values(values: list[float], q: float) -> None:
    found = ranking.percentile(values, q)
    assert min(values) - 1e-6 <= found <= max(values) + 1e-6


def test_percentiles_interpolate() -> None:
    assert ranking.percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert ranking.percentile([1.0, 2.0], 0) == 1.0
    assert ranking.percentile([1.0, 2.0], 100) == 2.0
    with pytest.raises(ValueError, match="no values"):
        ranking.percentile([], 50)
    with pytest.raises(ValueError, match="lies in 0"):
        ranking.percentile([1.0], 101)
    with pytest.raises(ValueError, match="no values"):
        ranking.mean([])
