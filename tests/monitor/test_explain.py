"""Over a small real corpus: what was answered well before is asked again after something broke."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from tests.made import make_home

import firstfault
from firstfault.answer import Application
from firstfault.collection.database import connect
from firstfault.monitor import Alert, Readings
from firstfault.monitor.explain import explain, pointed_to
from firstfault.monitor.sampled import Budget, Sampler, is_sampled

DOCUMENTS = {
    "dogs.md": "Dogs must be kept on a lead of at most two metres in Elm Park.",
    "market.md": "The weekly market on Mill Square opens at seven in the morning.",
    "parking.md": "A resident parking permit costs 48 euros a year.",
    "library.md": "The town library lends books for four weeks at a time.",
    "lido.md": "The lido opens in May and closes in September.",
    "waste.md": "Garden waste is collected every second Tuesday.",
}
QUESTIONS = (
    "How long may the lead of a dog be in Elm Park?",
    "When does the weekly market on Mill Square open?",
    "What does a resident parking permit cost a year?",
    "For how long does the town library lend books?",
    "When does the lido open and close?",
    "When is garden waste collected?",
)
ALERT = Alert(
    id="alert-1",
    at="2026-01-01T00:00:00.000+00:00",
    collection="default",
    rule="more_abstentions",
    signal="abstained",
    title="More answers abstain",
    stage="generate",
    cause="wrong_abstention",
    state="firing",
    level=1.0,
    reason="12 of 12 requests, usually 0.0%",
    measured=1.0,
    limit=0.02,
    began=None,
    began_trace=None,
    failing=12,
    requests=12,
    examples=(),
)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which every question was answered well."""
    home = make_home(tmp_path_factory.mktemp("asked"), DOCUMENTS)
    with firstfault.open(home, settings={"generator.kind": "extractive"}) as app:
        for question in QUESTIONS:
            assert app.ask(question).answer is not None
    return home


@pytest.fixture
def app(healthy: Path, tmp_path: Path) -> Iterator[Application]:
    shutil.copytree(healthy, tmp_path / "home")
    with firstfault.open(tmp_path / "home", settings={"generator.kind": "extractive"}, create=True) as found:
        yield found


@pytest.fixture
def engine(app: Application) -> Iterator[Engine]:
    made = connect(app.config.home)
    yield made
    made.dispose()


def test_a_document_that_is_gone_is_found_by_asking_again(app: Application, engine: Engine) -> None:
    Readings(engine).catch_up(app.settings.monitor)
    app.collection.retire(["market.md", "parking.md", "lido.md"])
    began = app.ask(QUESTIONS[1]).at
    for question in QUESTIONS:
        app.ask(question)
    Readings(engine).catch_up(app.settings.monitor)
    found = explain(app, [ALERT], began=began)
    assert (found.stage, found.cause, found.proven) == ("corpus", "missing_document", True)
    assert "asked again" in found.note
    assert found.diagnosis is not None
    assert found.diagnosis["primary"]["cause"] == "missing_document"


def test_where_nothing_is_named_the_rules_speak(app: Application, engine: Engine) -> None:
    Readings(engine).catch_up(app.settings.monitor)
    began = app.ask(QUESTIONS[0]).at
    found = explain(app, [ALERT], began=began)
    assert (found.stage, found.cause, found.proven) == ("generate", "wrong_abstention", False)
    assert "no intervention named a fault" in found.note


def test_rules_point_to_the_earliest_stage_whose_content_is_wrong() -> None:
    slow = replace(ALERT, id="2", signal="latency_embed", stage="embed", cause="over_budget")
    cites = replace(ALERT, id="3", signal="bad_mark", stage="cite", cause="misattributed_citation")
    assert pointed_to([slow, cites, ALERT]).stage == "generate"
    assert pointed_to([slow]).stage == "embed"


def test_scores_of_a_sample(app: Application, engine: Engine) -> None:
    readings = Readings(engine)
    readings.catch_up(app.settings.monitor)
    sampler = Sampler(app)
    trace = app.ask(QUESTIONS[1])
    scores = sampler.score(trace).values
    assert scores["index_agrees"] == 1.0
    assert 0 < scores["context_precision"] < 1  # one of six passages is about the market
    assert scores["sufficiency"] > 0.5


def test_canaries_miss_what_is_gone(app: Application, engine: Engine) -> None:
    Readings(engine).catch_up(app.settings.monitor)
    sampler = Sampler(app)
    trace = app.ask(QUESTIONS[1])

    def lost() -> float:
        return sum(one.values["canary_lost"] for one in sampler.canaries(trace, len(QUESTIONS)))

    assert lost() == 0
    app.collection.retire(list(DOCUMENTS)[1:])
    assert lost() == len(QUESTIONS) - 1


def test_scores_computed_later_join_their_reading(app: Application, engine: Engine) -> None:
    readings = Readings(engine)
    readings.catch_up(app.settings.monitor)
    (first, *_) = readings.window()
    readings.update_values(first.trace_id, {"sufficiency": 0.5})
    assert readings.window()[0].values == {**first.values, "sufficiency": 0.5}


def test_a_sample_is_decided_by_the_trace_alone_and_about_as_large_as_asked() -> None:
    chosen = [name for name in map(str, range(5000)) if is_sampled(name, 0.05)]
    assert 200 < len(chosen) < 300
    assert chosen == [name for name in map(str, range(5000)) if is_sampled(name, 0.05)]
    assert not is_sampled("x", 0.0)
    assert is_sampled("x", 1.0)


def test_a_budget_is_a_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr("firstfault.monitor.sampled.time.monotonic", lambda: clock)
    budget = Budget(0.02)
    clock = 10.0
    assert budget.allows()
    budget.spend(0.5)
    assert not budget.allows()
    clock = 26.0
    assert budget.allows()
    clock = 10_000.0
    budget.allows()
    budget.spend(1.5)  # more than a minute's savings
    assert not budget.allows()
