from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.evaluate.test_aggregate import result
from tests.evaluate.test_gate import run_of

from firstfault.collection.database import connect
from firstfault.errors import InputError
from firstfault.evaluate import RunStore

RUN = replace(run_of([result("1", context_recall=1.0)]), finished=False, cases_hash="h")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    opened = RunStore(connect(tmp_path))
    yield opened
    opened.close()


def test_a_run_and_its_results_come_back_as_they_were(store: RunStore) -> None:
    store.begin(RUN)
    store.add(RUN.id, 1, result("b", faithfulness=0.25))
    store.add(RUN.id, 0, result("a", error="broken"))
    assert list(store.results(RUN.id).items()) == [
        (0, result("a", error="broken")),
        (1, result("b", faithfulness=0.25)),
    ]
    finished = replace(RUN, finished=True)
    store.finish(finished)
    assert store.get("run-1") == store.get("run") == store.get("last") == finished


def test_only_an_unfinished_run_under_the_same_conditions_is_continued(store: RunStore) -> None:
    store.begin(RUN)
    assert store.unfinished(replace(RUN, id="new")) == RUN
    for change in ({"cases_hash": "x"}, {"corpus_version": 9}, {"fingerprint": "x"}, {"generation": False}):
        assert store.unfinished(replace(RUN, **change)) is None
    store.finish(replace(RUN, finished=True))
    assert store.unfinished(RUN) is None


def test_unknown_and_ambiguous_ids_are_refused(store: RunStore) -> None:
    store.begin(RUN)
    store.begin(replace(RUN, id="run-2", at="later"))
    assert [run.id for run in store.newest()] == ["run-2", "run-1"]
    for wrong in ("", "x", "run-", "%", "last"):
        with pytest.raises(InputError):
            store.get(wrong)
