"""Bulk work on a real cluster of three node processes, one of which is killed in the middle of an ingest."""

import json
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.drill.conftest import CASES, FACTS

import firstfault
from firstfault.bulk import OWN_CLUSTER, Crew
from firstfault.collection import embedding, writer
from firstfault.collection.database import connect
from firstfault.config import BulkConfig, load
from firstfault.diagnose import diagnose_run
from firstfault.drill import series
from firstfault.drill.library import named
from firstfault.errors import InputError, MissingError, RemoteError
from firstfault.evaluate import RunStore, evaluate
from firstfault.models import store
from firstfault.types import ChunkedDocument, Document

ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_TOKEN": "7" * 64, **OWN_CLUSTER}
PULSE = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
"""So that a dead node is noticed in seconds."""
NUMBER = 96


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without processors, and two nodes with one each."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        source = str(Path(firstfault.__file__).parents[1])
        patch.setenv("PYTHONPATH", os.pathsep.join([source, str(Path(__file__).parents[1])]))
        ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
        from ray.cluster_utils import Cluster

        small = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
        made = Cluster(True, head_node_args={"num_cpus": 0, "_system_config": PULSE, **small})
        try:
            nodes = [made.add_node(num_cpus=1, **small) for _ in range(2)]
            made.nodes_to_kill = nodes
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


def spread_over(cluster: Any) -> dict[str, str]:
    return {"bulk.kind": "ray", "bulk.workers": "2", "bulk.address": cluster.address}


def settings(**more: str) -> dict[str, str]:
    return {"generator.kind": "extractive", **more}


@contextmanager
def a_state() -> Iterator[str]:
    yield "worker"


def odd_ones_fail(state: str, item: int) -> tuple[str, int, int]:
    if item == 13:
        raise InputError("13 is no good.", hint="Leave it out.")
    if item == 15:
        raise ZeroDivisionError("15 / 0")
    return state, item * item, os.getpid()


def test_results_come_with_their_place_and_errors_with_a_name(cluster: Any) -> None:
    config = BulkConfig(kind="ray", workers=2, address=cluster.address)

    def name(at: int) -> str:
        return f"Case c{at}"

    with Crew(config, a_state, odd_ones_fail) as crew:
        done = list(crew.map_unordered(range(12), name))
        assert sorted((at, found[:2]) for at, found in done) == [(n, ("worker", n * n)) for n in range(12)]
        assert len({found[2] for _, found in done} | {os.getpid()}) == 3  # two workers, and not this process
        with pytest.raises(InputError, match=r"Case c1: 13 is no good\. Leave it out\."):
            list(crew.map_unordered([1, 13], name))
        with pytest.raises(RemoteError, match="Case c0: ZeroDivisionError: 15 / 0"):
            list(crew.map_unordered([15], name))


def stored(home: Path) -> dict[str, Any]:
    """Everything that was ingested, without the order in which it was."""
    with firstfault.open(home) as app:
        collection, found = app.collection, {}
        for row in collection.documents():
            chunks = collection.chunks_of(row.id)
            keys = [key for key, _ in chunks]
            vectors, tokens = collection.vectors(keys), collection.token_vectors(keys)
            found[row.id] = [(chunk.text, vectors[key].tobytes(), tokens[key]) for key, chunk in chunks]
        assert collection.info().index_points == sum(len(chunks) for chunks in found.values())
        assert collection.recovery.added == collection.recovery.removed == 0
        return found


def test_evaluation_diagnosis_and_drills_are_those_of_one_process(cluster: Any, tmp_path: Path) -> None:
    store.pull()
    home, file = tmp_path / "home", tmp_path / "town.jsonl"
    lines = [json.dumps({"id": name, "text": f"The {name}. {fact}"}) for name, fact in FACTS.items()]
    file.write_text("\n".join(lines), encoding="utf-8")
    found = []
    strict = settings(**{"answer.min_relevance": "0.72"})  # half of the answers are withheld
    for changes in ({}, spread_over(cluster)):
        with firstfault.open(home, create=True, settings={**strict, **changes}) as app:
            app.ingest([file])
            run = evaluate(app, CASES, source=f"{len(changes)}")
            with closing(RunStore(connect(home))) as runs:
                results = list(runs.results(run.id).values())
            traces = app.traces.several([one.trace_id or "" for one in results])
            seen: list[int] = []

            def note(done: int, _: int, seen: list[int] = seen) -> None:
                seen.append(done)

            diagnosis = diagnose_run(app, run, results, progress=note)
        assert seen == list(range(1, len(CASES) + 1))
        blamed = asdict(replace(diagnosis, scope="", run_id=None, next_command="", latency=()))
        for finding in (*blamed["findings"], *blamed["scattered"], blamed["primary"]):
            finding["example"] = None
        found.append(
            (
                [asdict(replace(one, trace_id=None, timings_ms={})) for one in results],
                [traces[one.trace_id or ""].answer for one in results],
                {traces[one.trace_id or ""].fingerprint for one in results},
                blamed,
            )
        )
    assert found[0] == found[1]
    assert found[0][3]["findings"]

    drills = series.singles(named(["documents_removed"]), count=4)
    outcomes = []
    for changes in ({}, {**spread_over(cluster), "bulk.workers": "1"}):
        config = load(home, environment={}, overrides={**settings(), **changes})
        came = dict(series.outcomes(drills, config, CASES))
        outcomes.append(
            [replace(came[at], seconds_evaluate=0.0, seconds_diagnose=0.0) for at in range(len(drills))]
        )
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0].found.cause == "missing_document"


def test_a_killed_node_costs_no_document(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.pull()
    monkeypatch.setattr(writer, "BATCH_CHUNKS", 16)
    monkeypatch.setattr(embedding, "PART", 2)
    made = [
        Document(
            id=f"d{n}", revision="1", source="s", title="", text=f"Pump {n} was built in {1900 + n}. " * 9
        )
        for n in range(NUMBER)
    ]
    homes = [tmp_path / "local", tmp_path / "spread"]
    for home, changes in zip(homes, ({}, spread_over(cluster)), strict=True):
        with firstfault.open(home, create=True, settings={**settings(), **changes}) as app:
            chunks = [ChunkedDocument(document=one, spans=((0, len(one.text)),)) for one in made]
            ids = []
            for acknowledged in app.collection.add_all(chunks):
                ids.append(acknowledged.document_id)
                if changes and len(ids) == 5:  # the next batch is being embedded
                    cluster.remove_node(cluster.nodes_to_kill[0], allow_graceful=False)
        assert ids == [one.id for one in made]
    local, spread = (stored(home) for home in homes)
    assert len(spread) == NUMBER
    assert spread == local


def test_without_ray_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingError, match=r"pip install 'firstfault\[ray\]'"),
        Crew(BulkConfig(kind="ray"), a_state, odd_ones_fail) as crew,
    ):
        list(crew.map_unordered([1], str))


def test_errors_survive_the_way_between_processes() -> None:
    error = RemoteError("It is away.", hint="Wait.", transient=True)
    error.add_note("trace 1")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, RemoteError)
    assert (str(again), again.transient, again.__notes__) == ("It is away. Wait.", True, ["trace 1"])
