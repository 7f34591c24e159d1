"""The index must mean what the catalog means: filters, validity, document frequencies."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstfault.collection.filters import admits, kinds_of, parse_where, values_of
from firstfault.collection.index_edge import EdgeIndex
from firstfault.collection.lexical import SparseVector
from firstfault.config import IndexConfig
from firstfault.errors import StorageError

from .points import DIMENSION, idf, lexical, nearest, point, vector
from .test_filters import FILTERS, METADATA


@pytest.fixture
def index(tmp_path: Path) -> Iterator[EdgeIndex]:
    opened = EdgeIndex(tmp_path / "index", DIMENSION, IndexConfig())
    yield opened
    opened.close()


@given(st.lists(METADATA, min_size=1, max_size=5), st.lists(FILTERS, min_size=1, max_size=5), st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_engine_admits_what_the_filter_means(
    index: EdgeIndex, entries: list[dict[str, object]], wheres: list[object], indexed: bool
) -> None:
    index.delete([key for key, _ in index.spans()])
    index.upsert([point(key, 1, metadata=entry) for key, entry in enumerate(entries, start=1)])  # type: ignore[arg-type]
    if indexed:
        index.ensure_fields(
            (name, kind)
            for entry in entries
            for name in entry
            for value in values_of(entry, name)  # type: ignore[arg-type]
            for kind in kinds_of(value)
        )
    for where in wheres:
        wanted = [key for key, entry in enumerate(entries, start=1) if admits(where, entry)]  # type: ignore[arg-type]
        found = index.dense(vector(0), where=where, version=None, limit=9, ef=64, exact=False)  # type: ignore[arg-type]
        assert sorted(candidate.key for candidate in found) == wanted
        asked = SparseVector(indices=[1], values=[1.0])
        by_word = index.sparse(asked, where=where, version=None, limit=9)  # type: ignore[arg-type]
        assert sorted(candidate.key for candidate in by_word) == wanted


def test_only_what_was_valid_at_a_version_is_found(index: EdgeIndex) -> None:
    index.upsert(
        [point(1, 5, valid_from=1), point(2, 5, valid_from=2), point(3, 5, valid_from=1, valid_to=2)]
    )
    assert nearest(index) == [1, 2]
    assert nearest(index, version=1) == [1, 3]
    index.retire([2], 4)
    assert nearest(index) == [1]
    assert nearest(index, version=3) == [1, 2]
    assert nearest(index, version=0) == []
    assert dict(index.spans())[2].valid_to == 4


def test_document_frequencies_stay_right_after_retiring_deleting_and_building(index: EdgeIndex) -> None:
    index.upsert([point(1, 10, 11), point(2, 10), point(3, 10, 12), point(4, 13)])
    assert lexical(index, 10)[1] == pytest.approx(idf(4, 3))
    index.retire([2], 2)
    assert lexical(index, 10, 12) == pytest.approx({3: idf(3, 2) + idf(3, 1), 1: idf(3, 2)})
    assert lexical(index, 10, version=1)[2] == pytest.approx(idf(4, 3))
    index.delete([3])
    assert lexical(index, 10) == pytest.approx({1: idf(2, 1)})
    index.settle()
    assert lexical(index, 10) == pytest.approx({1: idf(2, 1)})
    index.upsert([point(5, 10, 11)])
    assert lexical(index, 10) == pytest.approx({1: idf(3, 2), 5: idf(3, 2)})


def test_a_filter_does_not_change_the_lexical_scores(index: EdgeIndex) -> None:
    index.upsert([point(1, 10, metadata={"n": 1}), point(2, 10, metadata={"n": 2}), point(3, 11)])
    assert lexical(index, 10, where="n = 2") == pytest.approx({2: lexical(index, 10)[2]})


def test_the_lexical_arm_returns_only_what_shares_a_term(index: EdgeIndex) -> None:
    index.upsert([point(1, 10), point(2, 11)])
    assert list(lexical(index, 10, 99)) == [1]
    assert lexical(index, 99) == {}
    assert lexical(index) == {}


def test_equal_scores_are_sorted_by_key(index: EdgeIndex) -> None:
    same = vector(7)
    index.upsert([point(key, 4, dense=same) for key in (9, 2, 5)])
    found = index.dense(same, where=None, version=None, limit=3, ef=64, exact=False)
    assert [candidate.key for candidate in found] == [2, 5, 9]
    assert list(lexical(index, 4)) == [2, 5, 9]


def test_scores_are_cosines_whatever_the_length_of_the_vectors(index: EdgeIndex) -> None:
    index.upsert([point(1, dense=vector(1) * 7), point(2)])
    found = index.dense(vector(1) * 3, where=None, version=None, limit=1, ef=64, exact=True)
    assert found[0].key == 1
    assert found[0].score == pytest.approx(1.0, abs=1e-6)


def test_the_graph_finds_what_exact_search_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstfault.collection.index_edge.EXACT_BELOW_KB", 10)
    index = EdgeIndex(tmp_path / "graph", DIMENSION, IndexConfig())
    index.ensure_fields([("n", "number")])
    index.upsert([point(key, 1, metadata={"n": key % 50}) for key in range(1, 2001)])
    assert index.info().graphed < 4000
    index.settle()
    assert index.info().graphed >= 2000
    for where in (None, parse_where("n = 3"), parse_where("n < 25")):
        hits = 0
        for seed in range(5000, 5030):
            arguments = {"where": where, "version": None, "limit": 10, "ef": 128}
            exact = index.dense(vector(seed), exact=True, **arguments)  # type: ignore[arg-type]
            fast = index.dense(vector(seed), exact=False, **arguments)  # type: ignore[arg-type]
            hits += len({c.key for c in exact} & {c.key for c in fast})
        assert hits >= 0.99 * 300
    index.close()


def test_what_was_settled_is_there_after_reopening(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path / "index", DIMENSION, IndexConfig())
    index.upsert([point(1, 3, metadata={'name with "quotes". and dots': "x"})])
    index.settle()
    index.close()
    again = EdgeIndex(tmp_path / "index", DIMENSION, IndexConfig())
    assert again.info().points == 1
    assert nearest(again, "`name with \"quotes\". and dots` = 'x'") == [1]
    assert again.vectors([1, 2])[1] == pytest.approx(vector(1) / np.linalg.norm(vector(1)), abs=1e-6)
    again.close()


def test_a_damaged_index_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "edge_config.json").write_text("{")
    with pytest.raises(StorageError):
        EdgeIndex(tmp_path / "index", DIMENSION, IndexConfig())


def test_nothing_is_written_when_the_disk_is_nearly_full(
    index: EdgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstfault.collection.index_edge._SPARE_BYTES", 2**60)
    with pytest.raises(StorageError, match="MiB left") as caught:
        index.upsert([point(1)])
    assert "Free disk space" in caught.value.hint
    with pytest.raises(StorageError, match="MiB left"):
        index.settle()
    assert index.info().points == 0
