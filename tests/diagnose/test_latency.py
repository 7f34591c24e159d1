"""Which component explains that requests are slow."""

from pathlib import Path

from tests.diagnose.conftest import CASES, diagnosed, named, opened
from tests.made import make_trace

from firstfault.config import LatencyConfig
from firstfault.diagnose.latency import components, medians, slow, timings
from firstfault.types import Span, Trace

FREE = LatencyConfig(
    embed_ms=None, index_ms=None, fuse_ms=None, rerank_ms=None, pack_ms=None, first_token_ms=None
)


def trace(first_token: float | None = None, **stages: float) -> Trace:
    """A request whose stages took so many milliseconds, one after another."""
    spans, now = [], 0.0
    for stage, duration in stages.items():
        spans.append(Span(stage=stage, start_ms=now, duration_ms=duration))
        now += duration
    return make_trace(id=f"t{now}", spans=tuple(spans), time_to_first_token_ms=first_token, total_ms=now)


def test_the_first_token_counts_from_the_start_of_generation() -> None:
    found = components(trace(first_token=130.0, embed=10.0, index=20.0, generate=300.0))
    assert found == {"embed": 10.0, "index": 20.0, "generate": 300.0, "total": 330.0, "first_token": 100.0}


def test_the_component_that_is_most_over_its_budget_is_blamed() -> None:
    budgets = FREE.model_copy(update={"embed_ms": 50.0, "index_ms": 50.0})
    requests = [trace(embed=60.0, index=400.0), trace(embed=10.0, index=10.0)]
    (blame,) = slow(requests, ["one", "other"], budgets)
    assert (blame.case_id, blame.stage, blame.cause) == ("one", "index", "over_budget")
    assert "400 ms (budget 50 ms)" in blame.evidence


def test_a_slow_first_token_is_the_generators() -> None:
    budgets = FREE.model_copy(update={"first_token_ms": 100.0})
    (blame,) = slow([trace(first_token=900.0, embed=10.0, generate=950.0)], ["one"], budgets)
    assert blame.stage == "generate"
    assert blame.evidence.startswith("The first token took 890 ms")


def test_without_budgets_of_its_own_the_longest_stage_explains_the_total() -> None:
    budgets = FREE.model_copy(update={"total_ms": 100.0})
    (blame,) = slow([trace(embed=10.0, index=20.0, rerank=200.0)], ["one"], budgets)
    assert blame.stage == "rerank"


def test_against_a_baseline_the_stage_that_grew_is_blamed() -> None:
    usual = medians([trace(embed=10.0, generate=500.0)] * 3)
    (blame,) = slow([trace(embed=400.0, generate=510.0)], ["one"], FREE, usual)
    assert blame.stage == "embed"
    assert slow([trace(embed=12.0, generate=510.0)], ["one"], FREE, usual) == []


def test_timings_count_what_is_over() -> None:
    budgets = FREE.model_copy(update={"embed_ms": 50.0})
    found = {one.component: one for one in timings([trace(embed=60.0), trace(embed=40.0)], budgets)}
    assert (found["embed"].over, found["embed"].budget_ms, found["embed"].p50_ms) == (1, 50.0, 40.0)
    assert found["total"].budget_ms is None


def test_a_request_that_came_late_has_lost_no_evidence(home: Path) -> None:
    with opened(home, latency__embed_ms="0.0001") as app:
        found = diagnosed(app, CASES)
    assert named(found) == ("embed", "over_budget")
    assert {node.lost for node in found.path} == {0}
    assert {node.examined for node in found.path if node.examined} == {len(CASES)}
