from dataclasses import replace

import pytest
from tests.evaluate.traces import answer, citation, context, trace

from firstfault.config import MonitorConfig
from firstfault.monitor.reading import is_watched, read
from firstfault.types import ArmScore, Event, Formatted, Generation, Span, Trace, TraceHit

SETTINGS = MonitorConfig()


def hit(key: int, **arms: int) -> TraceHit:
    scores = {name: ArmScore(rank=rank, score=1 - rank / 10) for name, rank in arms.items()}
    return TraceHit(key=key, chunk_id=str(key), document_id="d", arms=scores)


def asked(**changes: object) -> Trace:
    made = trace(context("one", "two"), answer(("Water is wet.", "supported", (1,))))
    return replace(made, spans=(Span(stage="fuse", start_ms=0, duration_ms=1),), **changes)  # type: ignore[arg-type]


def test_verdicts_of_the_request_are_read_and_not_computed_again() -> None:
    said = answer(
        ("Water is wet.", "supported", (1,)),
        ("Fire is cold.", "unsupported", ()),
        ("Nobody knows.", "unknown", ()),
        citations=(citation(1, "one", "supported"), citation(2, "two", "unsupported")),
    )
    values = read(asked(answer=said), SETTINGS).values
    assert values["faithfulness"] == 0.5
    assert values["hallucination_rate"] == 0.5
    assert values["unfaithful"] == 1.0
    assert values["citation_validity"] == 0.5
    assert (values["abstained"], values["answered"]) == (0.0, 1.0)


def test_an_abstention_has_no_faithfulness() -> None:
    values = read(asked(answer=answer()), SETTINGS).values
    assert values["abstained"] == 1.0
    assert "faithfulness" not in values


def test_ranks_say_what_each_stage_of_the_search_did() -> None:
    hits = (
        hit(1, dense=1, bm25=2, fuse=2, rerank=1),
        hit(2, dense=2, fuse=1, rerank=2),
        hit(3, bm25=1, fuse=3, rerank=3),
    )
    values = read(asked(hits=hits, selected=2, question="two words"), SETTINGS).values
    assert values["dense_best"] == 0.9
    assert values["bm25_best"] == pytest.approx(0.45)
    assert values["arms_agree"] == 0.5
    assert values["bm25_first_kept"] == 1.0
    assert values["rerank_keeps"] == 1.0
    assert "filter_candidates" not in values


def test_a_filter_is_watched_only_where_there_is_one() -> None:
    span = Span(
        stage="index",
        start_ms=0,
        duration_ms=1,
        events=(Event(name="filter_admits_nothing", at_ms=0),),
    )
    found = replace(asked(where="a = 1"), spans=(span, Span(stage="fuse", start_ms=0, duration_ms=1)))
    values = read(found, SETTINGS).values
    assert (values["filter_empty"], values["filter_candidates"]) == (1.0, 0.0)


def test_a_failed_request_names_the_stage_it_ended_at() -> None:
    spans = (
        Span(stage="embed", start_ms=0, duration_ms=1),
        Span(stage="index", start_ms=1, duration_ms=1, status="error"),
    )
    found = read(replace(asked(error="gone", answer=None), spans=spans), SETTINGS)
    assert found.values["error"] == 1.0
    assert found.facts["error_stage"] == "index"
    assert found.times == {}


def test_cost_needs_prices() -> None:
    made = Generation(
        model="m",
        fingerprint="f",
        adapter="v3",
        prompt=(),
        rendered=None,
        grammar=None,
        raw="",
        finish_reason="stop",
        prompt_tokens=1000,
        completion_tokens=100,
    )
    assert "cost" not in read(asked(generation=made), SETTINGS).values
    priced = MonitorConfig(input_price=1.0, output_price=10.0)
    found = read(asked(generation=made), priced)
    assert found.values["cost"] == pytest.approx(0.002)
    assert (found.model, found.adapter) == ("m", "v3")


def test_format_is_read_before_and_after_repair() -> None:
    made = Formatted(
        schema={},
        valid=True,
        first_try=False,
        value={},
        attempts=(),
        constrained=False,
        cause=None,
    )
    values = read(asked(format=made), SETTINGS).values
    assert (values["invalid_first_try"], values["invalid"], values["format_validity"]) == (1.0, 0.0, 1.0)


def test_evaluations_and_replays_are_no_traffic() -> None:
    assert is_watched(asked())
    assert not is_watched(asked(case="c1"))
    assert not is_watched(asked(replay_of="t0"))
