"""A plan must hold what it promises: sizes add up, limits are respected, and a simulation agrees."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from firstfault.cli.root import app
from firstfault.errors import InputError
from firstfault.plan import Load, Node, plan, simulate
from firstfault.plan.constants import MEASURED
from firstfault.plan.model import BUSY, FILL, GIB, in_memory
from firstfault.plan.queueing import Station, response, waiting_share


def test_the_share_that_waits_is_erlangs() -> None:
    assert waiting_share(1, 0.7) == pytest.approx(0.7)  # one server: its utilisation
    assert waiting_share(2, 1.0) == pytest.approx(1 / 3)  # from the formula: (1/2 / (1/2)) / (1 + 1 + 1)


def test_an_m_m_1_queue_has_the_known_quantiles() -> None:
    """With one server and exponential times the response is exponential with rate 1/mean - rate; log-normal
    times of the same variance are near it far from zero."""
    found = response([Station(rate=0.05, servers=1, mean_ms=10, cv=1.0)])
    assert found.p95 == pytest.approx(-math.log(0.05) * 20, rel=0.15)


def test_too_much_is_refused() -> None:
    with pytest.raises(InputError, match="times what it can do"):
        response([Station(rate=0.3, servers=1, mean_ms=10, cv=0.5)])


@pytest.mark.parametrize(
    ("qps", "shards", "replicas", "cores", "mean_ms"),
    [
        (50, 1, 1, 2, 20.0),
        (1000, 4, 3, 8, 10.0),
        (10_000, 40, 12, 8, 5.0),
        (10_000, 200, 3, 16, 3.0),
        (200, 16, 1, 4, 14.0),
    ],
)
def test_the_simulation_agrees_with_the_formulas(
    qps: float, shards: int, replicas: int, cores: int, mean_ms: float
) -> None:
    simulated = simulate(
        qps=qps, shards=shards, replicas=replicas, cores=cores, mean_ms=mean_ms, cv=0.5, requests=15_000
    )
    station = Station(rate=qps / 1000 / replicas, servers=cores, mean_ms=mean_ms, cv=0.5, parallel=shards)
    worked_out = response([station])
    assert simulated.utilisation == pytest.approx(station.utilisation, rel=0.05)
    for name in ("p50", "p95", "p99"):
        ratio = getattr(worked_out, name) / getattr(simulated.times, name)
        assert 0.9 <= ratio <= 1.15  # shards wait for the same bursts together, which is the better case
    again = simulate(
        qps=qps, shards=shards, replicas=replicas, cores=cores, mean_ms=mean_ms, cv=0.5, requests=15_000
    )
    assert again == simulated


@given(
    st.integers(1, 10**9),
    st.floats(0.1, 10**4),
    st.sampled_from([128, 384, 1024]),
    st.integers(1, 3),
    st.sampled_from([Node(), Node(cores=32, memory_gib=256, disk_gib=8000)]),
)
@settings(max_examples=40)
def test_a_cluster_holds_its_data_and_keeps_up(
    chunks: int, qps: float, dimension: int, replication: int, node: Node
) -> None:
    load = Load(
        documents=chunks, qps=qps, chunks_per_document=1, dimension=dimension, replication=replication
    )
    found = plan(load, node)
    assert found.chunks == chunks
    for cluster in found.clusters:
        assert cluster.replicas >= replication
        assert cluster.index_nodes == cluster.shards * cluster.replicas
        assert cluster.memory_bytes_per_node <= FILL * node.memory_gib * GIB
        assert cluster.disk_bytes_per_node <= FILL * node.disk_gib * GIB
        assert cluster.utilisation <= BUSY + 1e-3
        held = cluster.memory_bytes_per_node * cluster.shards
        assert held == pytest.approx(in_memory(chunks, dimension, cluster.quantization, MEASURED))
        assert 0 < cluster.index_latency.p50 <= cluster.index_latency.p95 <= cluster.index_latency.p99
        assert cluster.index_latency.p50 <= cluster.latency.p50
    assert found.embedded.fits == (not found.embedded.reasons)


@pytest.mark.parametrize(
    ("chunks", "searches_ms", "before_generation_ms", "disk"),
    [(10**5, 8.2, 16.9, 2468), (10**6, 24.7, 26.6, 2415)],
)
def test_the_constants_are_those_measured(
    chunks: int, searches_ms: float, before_generation_ms: float, disk: float
) -> None:
    """The rows of docs/scale.md; processor time of both searches, median before generation, bytes a chunk."""
    found = plan(Load(documents=chunks, qps=0.1, chunks_per_document=1), Node(cores=2)).embedded.latency
    assert found is not None
    assert MEASURED.dense_ms(chunks) + MEASURED.bm25_ms(chunks) == pytest.approx(searches_ms, rel=0.25)
    assert found.p50 == pytest.approx(before_generation_ms, rel=0.25)
    assert MEASURED.index_bytes(384) == pytest.approx(disk, rel=0.25)


def test_more_needs_more() -> None:
    def nodes(documents: int, qps: float) -> int:
        return plan(Load(documents=documents, qps=qps)).clusters[0].index_nodes

    assert nodes(10**5, 10) <= nodes(10**7, 10) <= nodes(10**8, 10)
    assert nodes(10**6, 10) <= nodes(10**6, 1000) <= nodes(10**6, 10_000)


def test_the_command_says_it_in_words_and_in_json() -> None:
    runner = CliRunner()
    small = runner.invoke(app, ["plan", "--documents", "10000", "--qps", "5"])
    assert small.exit_code == 0
    assert "fits one node" in small.output
    large = runner.invoke(app, ["plan", "--documents", "125000000", "--qps", "10000", "--json"])
    document = json.loads(large.output)
    assert document["chunks"] == 1e9
    assert not document["embedded"]["fits"]
    assert document["embedded"]["latency"] is None
    simulated, said = document["simulated"]["times"], document["clusters"][0]["index_latency"]
    assert simulated["p95"] == pytest.approx(said["p95"], rel=0.1)
