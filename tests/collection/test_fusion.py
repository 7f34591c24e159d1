from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.collection.fusion import fuse, minmax, ranked, rerank
from firstfault.types import Candidate

SCORES = st.floats(-100, 100, allow_nan=False).map(lambda value: round(value, 3))
LISTS = st.dictionaries(st.integers(1, 30), SCORES, max_size=12).map(ranked)
WEIGHTS = st.floats(0, 1)
METHODS = st.sampled_from(["minmax", "rrf"])


def candidates(**scores: float) -> list[Candidate]:
    return ranked({int(name[1:]): score for name, score in scores.items()})


@given(LISTS, LISTS, METHODS, WEIGHTS)
def test_fusion_keeps_every_candidate_once_sorted_within_0_and_1(
    dense: list[Candidate], bm25: list[Candidate], method: str, weight: float
) -> None:
    fused = fuse({"dense": dense, "bm25": bm25}, method=method, dense_weight=weight)  # type: ignore[arg-type]
    assert sorted(c.key for c in fused) == sorted({c.key for c in dense} | {c.key for c in bm25})
    assert all(-1e-9 <= c.score <= 1 + 1e-9 for c in fused)
    order = [(-c.score, c.key) for c in fused]
    assert order == sorted(order)


@given(LISTS, LISTS, METHODS, WEIGHTS)
def test_fusion_does_not_depend_on_the_order_of_the_arms(
    dense: list[Candidate], bm25: list[Candidate], method: str, weight: float
) -> None:
    one = fuse({"dense": dense, "bm25": bm25}, method=method, dense_weight=weight)  # type: ignore[arg-type]
    two = fuse({"bm25": bm25, "dense": dense}, method=method, dense_weight=weight)  # type: ignore[arg-type]
    assert one == two


@given(LISTS, st.floats(0.1, 10), st.integers(-50, 50))
def test_minmax_does_not_depend_on_the_unit_of_the_scores(
    found: list[Candidate], scale: float, shift: int
) -> None:
    moved = [Candidate(key=c.key, score=c.score * scale + shift) for c in found]
    assert minmax(moved) == pytest.approx(minmax(found), abs=1e-6)


def close_to(*pairs: tuple[int, float]) -> Any:
    return [(key, pytest.approx(score)) for key, score in pairs]


def pairs(found: list[Candidate]) -> Any:
    return [(candidate.key, candidate.score) for candidate in found]


def test_minmax_fusion_by_hand() -> None:
    dense = candidates(k1=0.9, k2=0.7, k3=0.5)
    bm25 = candidates(k2=12.0, k4=4.0)
    fused = fuse({"dense": dense, "bm25": bm25}, method="minmax", dense_weight=0.6)
    assert pairs(fused) == close_to((2, 0.7), (1, 0.6), (3, 0.0), (4, 0.0))


def test_rrf_fusion_by_hand() -> None:
    fused = fuse(
        {"dense": candidates(k1=0.9, k2=0.7), "bm25": candidates(k2=3.0)}, method="rrf", dense_weight=0.5
    )
    assert pairs(fused) == close_to((2, 0.5 * 61 / 62 + 0.5), (1, 0.5))


def test_ties_are_broken_by_the_lower_key() -> None:
    arms = {"dense": candidates(k7=0.5, k3=0.5, k5=0.5)}
    for method in ("minmax", "rrf"):
        fused = fuse(arms, method=method, dense_weight=1.0)
        assert [c.key for c in fused] == [3, 5, 7]


@given(LISTS, LISTS, st.floats(0, 2))
def test_reranking_keeps_every_candidate_and_puts_the_reranked_first(
    fused: list[Candidate], scores: list[Candidate], weight: float
) -> None:
    keys = {c.key for c in fused}
    scores = [c for c in scores if c.key in keys]
    done = rerank(fused, scores, weight=weight)
    assert sorted(c.key for c in done) == sorted(keys)
    assert {c.key for c in done[: len(scores)]} == {c.key for c in scores}
    assert done[len(scores) :] == [c for c in fused if c.key not in {s.key for s in scores}]


def test_reranking_by_hand() -> None:
    fused = candidates(k1=1.0, k2=0.8, k3=0.7, k4=0.1)
    done = rerank(fused, candidates(k1=0.2, k2=0.4, k3=0.3), weight=0.5)
    assert pairs(done) == close_to((2, 1.3), (1, 1.0), (3, 0.95), (4, 0.1))


def test_equal_rerank_scores_change_no_order() -> None:
    fused = candidates(k1=1.0, k2=0.8)
    assert [c.key for c in rerank(fused, candidates(k1=0.3, k2=0.3), weight=9.0)] == [1, 2]
