"""Both index adapters mean the same: the same tests, and the same results side by side.

The cluster is the one at FIRSTFAULT_QDRANT_URL (key in FIRSTFAULT_QDRANT_KEY), else qdrant-client's local
mode; the ids of the tests say which: `qdrant-live` or `qdrant-local`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstfault.collection.filters import admits, kinds_of, parse_where, values_of
from firstfault.collection.index import FOREVER, Index, Point
from firstfault.collection.index_edge import EdgeIndex
from firstfault.collection.lexical import SparseVector
from firstfault.config import IndexConfig

from .points import DIMENSION, idf, lexical, nearest, point, vector
from .test_filters import FILTERS, METADATA

pytest.importorskip("qdrant_client", reason="the extra `scale` is not installed")
LIVE = os.environ.get("FIRSTFAULT_QDRANT_URL", "")
CLUSTER = "qdrant-live" if LIVE else "qdrant-local"
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*no effect in the local Qdrant:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]


def open_cluster() -> Any:
    from qdrant_client import QdrantClient

    from firstfault.collection.index_qdrant import QdrantIndex, connect_cluster

    config = IndexConfig(kind="qdrant", url=LIVE or None, api_key_env="FIRSTFAULT_QDRANT_KEY" if LIVE else "")
    if LIVE and "FIRSTFAULT_QDRANT_KEY" not in os.environ:
        config = config.model_copy(update={"api_key_env": ""})
    client = connect_cluster(config) if LIVE else QdrantClient(":memory:")
    return QdrantIndex(client, f"conformance-{uuid4().hex[:12]}", DIMENSION, config)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Index]:
    opened = EdgeIndex(tmp_path / "index", DIMENSION, IndexConfig())
    yield opened
    opened.close()


@pytest.fixture
def cluster() -> Iterator[Index]:
    opened = open_cluster()
    yield opened
    opened.drop()
    opened.close()


@pytest.fixture(params=["edge", CLUSTER])
def index(request: pytest.FixtureRequest) -> Index:
    found: Index = request.getfixturevalue("edge" if request.param == "edge" else "cluster")
    return found


@given(st.lists(METADATA, min_size=1, max_size=5), st.lists(FILTERS, min_size=1, max_size=5), st.booleans())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_admit_what_the_filter_means(
    edge: Index, cluster: Index, entries: list[Any], wheres: list[Any], indexed: bool
) -> None:
    asked = SparseVector(indices=[1], values=[1.0])
    for index in (edge, cluster):
        index.delete([key for key, _ in index.spans()])
        index.upsert([point(key, 1, metadata=entry) for key, entry in enumerate(entries, start=1)])
        if indexed:
            index.ensure_fields(
                (name, kind)
                for entry in entries
                for name in entry
                for value in values_of(entry, name)
                for kind in kinds_of(value)
            )
        for where in wheres:
            wanted = [key for key, entry in enumerate(entries, start=1) if admits(where, entry)]
            found = index.dense(vector(0), where=where, version=None, limit=9, ef=64, exact=False)
            assert sorted(candidate.key for candidate in found) == wanted
            by_word = index.sparse(asked, where=where, version=None, limit=9)
            assert sorted(candidate.key for candidate in by_word) == wanted


def test_only_what_was_valid_at_a_version_is_found(index: Index) -> None:
    index.upsert([point(1, 5), point(2, 5, valid_from=2), point(3, 5, valid_from=1, valid_to=2)])
    assert nearest(index) == [1, 2]
    assert nearest(index, version=1) == [1, 3]
    index.retire([2], 4)
    assert nearest(index) == [1]
    assert nearest(index, version=3) == [1, 2]
    assert nearest(index, version=0) == []
    assert dict(index.spans())[2].valid_to == 4
    index.retire([2], FOREVER)
    assert nearest(index) == [1, 2]


def test_document_frequencies_count_what_is_valid_and_nothing_else(index: Index) -> None:
    index.upsert([point(1, 10, 11), point(2, 10), point(3, 10, 12), point(4, 13)])
    assert lexical(index, 10)[1] == pytest.approx(idf(4, 3), rel=1e-5)
    index.retire([2], 2)
    assert lexical(index, 10, 12) == pytest.approx({3: idf(3, 2) + idf(3, 1), 1: idf(3, 2)}, rel=1e-5)
    assert lexical(index, 10, version=1)[2] == pytest.approx(idf(4, 3), rel=1e-5)
    index.delete([3, 99])
    index.settle()
    assert lexical(index, 10) == pytest.approx({1: idf(2, 1)}, rel=1e-5)
    index.upsert([point(5, 10, 11)])
    assert lexical(index, 10) == pytest.approx({1: idf(3, 2), 5: idf(3, 2)}, rel=1e-5)


def test_a_filter_does_not_change_the_lexical_scores(index: Index) -> None:
    index.upsert([point(1, 10, metadata={"n": 1}), point(2, 10, metadata={"n": 2}), point(3, 11)])
    assert lexical(index, 10, where="n = 2") == pytest.approx({2: lexical(index, 10)[2]})
    assert list(lexical(index, 10, 99)) == [1, 2]
    assert lexical(index, 99) == lexical(index) == {}


def test_equal_scores_are_sorted_by_key(index: Index) -> None:
    same = vector(7)
    index.upsert([point(key, 4, dense=same) for key in (9, 2, 5)])
    found = index.dense(same, where=None, version=None, limit=3, ef=64, exact=False)
    assert [candidate.key for candidate in found] == [2, 5, 9]
    assert list(lexical(index, 4)) == [2, 5, 9]


def test_scores_are_cosines_whatever_the_length_of_the_vectors(index: Index) -> None:
    index.upsert([point(1, dense=vector(1) * 7), point(2)])
    found = index.dense(vector(1) * 3, where=None, version=None, limit=1, ef=64, exact=True)
    assert found[0].key == 1
    assert found[0].score == pytest.approx(1.0, abs=1e-6)
    assert index.vectors([1, 99])[1] == pytest.approx(vector(1) / np.linalg.norm(vector(1)), abs=1e-6)
    assert list(index.vectors([99])) == []


def test_upserting_a_key_again_replaces_it(index: Index) -> None:
    index.upsert([point(1, 4, metadata={"a": "x"})])
    index.upsert([point(1, 6, metadata={"a": "y"}, dense=vector(3))])
    assert index.info().points == 1
    assert (nearest(index, "a = 'x'"), nearest(index, "a = 'y'")) == ([], [1])
    assert (lexical(index, 4), list(lexical(index, 6))) == ({}, [1])


def test_both_rank_alike(edge: Index, cluster: Index) -> None:
    """Dense, BM25, filtered, now and in the past: the same keys with the same scores in the same order."""
    generator = np.random.default_rng(5)
    points = [
        Point(
            key=key,
            dense=vector(key),
            sparse=SparseVector(
                indices=sorted(terms := generator.choice(60, size=8, replace=False).tolist()),
                values=generator.uniform(0.5, 2.0, size=len(terms)).round(3).tolist(),
            ),
            metadata={"group": f"g{key % 5}", "n": key % 17, "new": key % 3 == 0},
            valid_from=1 + key % 4,
            valid_to=6 if key % 7 == 0 else FOREVER,
        )
        for key in range(1, 601)
    ]
    for index in (edge, cluster):
        index.upsert(points)
        index.settle()
    assert dict(edge.spans()) == dict(cluster.spans())
    asked = 0
    for seed in range(5000, 5010):
        terms = SparseVector(indices=sorted({seed % 60, seed % 37, seed % 11}), values=[1.0] * 3)
        for where in (None, parse_where("group = 'g2' and n < 9"), parse_where("not new = true")):
            for version in (None, 3):
                same = {"where": where, "version": version, "limit": 20}
                for one, other in (
                    [i.dense(vector(seed), ef=64, exact=e, **same) for i in (edge, cluster)]  # type: ignore[arg-type]
                    for e in (True, False)
                ):
                    assert [c.key for c in one] == [c.key for c in other]
                    assert [c.score for c in one] == pytest.approx([c.score for c in other], abs=1e-5)
                one, other = (i.sparse(terms, **same) for i in (edge, cluster))  # type: ignore[arg-type]
                assert [c.score for c in one] == pytest.approx([c.score for c in other], rel=1e-4)
                best = {c.key for c in one if c.score > one[-1].score + 1e-4}
                assert best <= {c.key for c in other}
                asked += 3
    assert asked == 180
