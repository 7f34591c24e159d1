from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert
from tests.monitor.conftest import Make

from firstfault.collection.database import writing
from firstfault.collection.schema import traces
from firstfault.config import Settings
from firstfault.errors import RemoteError
from firstfault.monitor import Alert, AlertStore, IncidentStore, Readings, postmortem
from firstfault.monitor.channels import Message
from firstfault.monitor.explain import Explanation
from firstfault.monitor.incidents import note_trials
from firstfault.monitor.watch import Watch
from firstfault.types import Trial

SETTINGS = Settings().override({"monitor.baseline": "100"})


def watched(engine: Engine, **options: object) -> Watch:
    return Watch(engine, SETTINGS, **options)  # type: ignore[arg-type]


def test_healthy_requests_raise_nothing(engine: Engine, make: Make) -> None:
    watch = watched(engine)
    Readings(engine).add(make(600))
    assert watch.tick().changed == ()
    assert AlertStore(engine).current() == []
    assert watch.learning() == {"default": 1.0}


def test_an_alert_fires_opens_an_incident_and_resolves(engine: Engine, make: Make) -> None:
    readings, incidents = Readings(engine), IncidentStore(engine)
    watch = watched(engine)
    readings.add(make(200))
    watch.tick()
    readings.add(make(40, abstained=1.0))
    tick = watch.tick()
    (opened,) = tick.incidents
    assert (opened.state, opened.stage, opened.cause) == ("open", "generate", "wrong_abstention")
    assert opened.began is not None
    assert opened.began.startswith("2026-01-01T00:03:20")  # the first that abstained
    assert "40 of 40" in opened.summary
    assert opened.traces[0] == "trace-00239"
    assert [alert.state for alert in AlertStore(engine).of_incident(opened.id)] == ["firing"]
    readings.add(make(400))
    (resolved,) = watch.tick().incidents
    assert (resolved.id, resolved.state) == (opened.id, "resolved")
    assert [entry.kind for entry in incidents.timeline(opened.id)][-1] == "resolved"
    assert incidents.open_one("default") is None


def test_what_builds_up_is_pending_first(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add(make(200))
    watch.tick()
    states = []
    for _ in range(30):
        readings.add(make(1, unfaithful=1.0))
        watch.tick()
        found = [one.state for one in AlertStore(engine).current() if one.rule == "unfaithful_answers"]
        states.extend(found)
    assert states[0] == "pending"
    assert states[-1] == "firing"


def test_a_pending_alert_that_never_fires_is_forgotten(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add(make(200))
    watch.tick()
    while not AlertStore(engine).current():
        readings.add(make(1, unfaithful=1.0))
        watch.tick()
    readings.add(make(400))
    watch.tick()
    assert AlertStore(engine).newest() == []


def test_alerts_are_grouped_under_the_earliest_stage(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add(make(200))
    watch.tick()
    readings.add(make(60, dense_best=0.1, abstained=1.0))
    watch.tick()
    (incident,) = IncidentStore(engine).newest()
    assert incident.stage == "embed"
    assert set(incident.rules) >= {"far_passages", "more_abstentions"}
    assert incident.rules[0] == "far_passages"


def test_slowness_goes_behind_what_is_wrong_and_leads_where_nothing_else_is(
    engine: Engine, make: Make
) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add(make(200))
    watch.tick()
    readings.add(make(60, times={"embed": 400.0, "total": 450.0}))
    watch.tick()
    (incident,) = IncidentStore(engine).newest()
    assert (incident.stage, incident.cause) == ("embed", "over_budget")
    readings.add(make(60, times={"embed": 400.0, "total": 450.0}, abstained=1.0))
    watch.tick()
    (incident,) = IncidentStore(engine).newest()
    assert incident.stage == "generate"


def test_failing_requests_are_put_at_the_stage_they_ended_at(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add(make(200))
    watch.tick()
    readings.add(make(40, error=1.0, facts={"error_stage": "index"}))
    watch.tick()
    (incident,) = IncidentStore(engine).newest()
    assert (incident.stage, incident.cause) == ("index", "request_failed")


def test_collections_are_watched_apart(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add([*make(200), *make(200, collection="other", abstained=1.0)])
    watch.tick()
    readings.add(make(200, collection="other", abstained=1.0))
    watch.tick()
    assert IncidentStore(engine).newest() == []  # there it was so from the beginning


def test_a_limit_fires_even_if_it_was_always_so(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add(make(200, faithfulness=0.0))
    watch.tick()
    firing = {one.rule for one in AlertStore(engine).current()}
    assert firing == {"faithfulness_limit"}


def test_the_next_process_goes_on_where_the_last_one_ended(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    first = watched(engine)
    readings.add(make(200))
    first.tick()
    first.save()
    readings.add(make(40, abstained=1.0))
    second = watched(engine)
    assert second.learning() == {"default": 1.0}
    assert second.tick().read == 40
    assert [one.stage for one in IncidentStore(engine).newest()] == ["generate"]


def test_rebase_makes_the_present_usual(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add(make(200))
    watch.tick()
    watch.rebase()
    readings.add(make(300, dense_best=0.1))
    watch.tick()
    assert IncidentStore(engine).newest() == []


def test_what_changed_before_stands_in_the_incident(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add(make(200))
    watch.tick()
    readings.add(make(60, abstained=1.0, facts={"fingerprint": "bbbb", "corpus_version": 2}))
    watch.tick()
    (incident,) = IncidentStore(engine).newest()
    assert len(incident.changes) == 2
    assert "the settings changed at 2026-01-01T00:03:20 UTC: aaaa → bbbb" in incident.changes


def test_the_rule_that_structured_answers_break_is_named(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    readings.add(make(200, invalid_first_try=0.0))
    watch.tick()
    readings.add(make(60, invalid_first_try=1.0, facts={"rule": "required at /items/0/price"}))
    watch.tick()
    (incident,) = IncidentStore(engine).newest()
    assert incident.stage == "format"
    assert "mostly rule required at /items/0/price" in incident.summary


def test_feedback_is_watched_when_it_comes(engine: Engine, make: Make) -> None:
    readings = Readings(engine)
    watch = watched(engine)
    asked = make(260)
    readings.add(asked)
    with writing(engine) as connection:
        rows = [
            {
                "id": one.trace_id,
                "at": one.at,
                "collection": "default",
                "question": "q",
                "status": "supported",
            }
            for one in asked
        ]
        connection.execute(insert(traces), [{**row, "record": b""} for row in rows])
    for one in asked[:200]:
        readings.give_feedback(one.trace_id, "up")
    watch.tick()
    for one in asked[200:]:
        readings.give_feedback(one.trace_id, "down", "wrong price")
    watch.tick()
    assert {one.rule for one in AlertStore(engine).current()} == {"wrong_answers_reported"}


def explained(collection: str, alerts: Sequence[Alert], began: str | None) -> Explanation:
    assert collection == "default"
    assert began is not None
    assert alerts
    return Explanation(
        stage="corpus",
        cause="missing_document",
        proven=True,
        evidence="a.md is not stored",
        diagnosis={"scope": "x"},
        note="asked again",
        next_command="firstfault ingest PATH",
    )


def test_the_diagnosis_leads_and_messages_carry_it(engine: Engine, make: Make) -> None:
    sent: list[Message] = []

    def broken(_message: Message) -> None:
        raise RemoteError("the endpoint answered 400", hint="Check it.")

    watch = watched(engine, explain=explained, channels={"webhook": sent.append, "slack": broken})
    readings = Readings(engine)
    readings.add(make(200))
    watch.tick()
    readings.add(make(60, abstained=1.0))
    watch.tick()
    (incident,) = IncidentStore(engine).newest()
    assert (incident.stage, incident.cause, incident.proven) == ("corpus", "missing_document", True)
    (message,) = sent
    assert message.event == "opened"
    assert "corpus / missing_document" in message.subject
    assert "a.md is not stored" in message.text
    assert f"firstfault incident {incident.id}" in message.text
    timeline = IncidentStore(engine).timeline(incident.id)
    said = [entry.text for entry in timeline if entry.kind == "message"]
    assert said == ["opened: sent to webhook", "opened: not delivered: slack: the endpoint answered 400"]
    readings.add(make(30, abstained=1.0))
    watch.tick()
    assert len(sent) == 1  # nothing new, nothing said again
    text = postmortem(incident, timeline, AlertStore(engine).of_incident(incident.id))
    assert "First fault: **corpus** / `missing_document` (diagnosed)" in text
    assert "More answers abstain" in text


def test_an_incident_is_diagnosed_again_only_when_that_could_change_it(engine: Engine, make: Make) -> None:
    asked: list[list[str]] = []

    def late(collection: str, alerts: Sequence[Alert], began: str | None) -> Explanation:
        asked.append([alert.rule for alert in alerts])
        return replace(explained(collection, alerts, began), stage="rerank", cause="reranker_demotes")

    watch = watched(engine, explain=late)
    readings = Readings(engine)
    readings.add(make(200, bad_mark=0.0))
    watch.tick()
    readings.add(make(60, abstained=1.0, bad_mark=0.0))
    watch.tick()
    readings.add(make(60, abstained=1.0, bad_mark=1.0))
    watch.tick()
    assert len(asked) == 1  # a citation is later than reranking
    readings.add(make(60, abstained=1.0, bad_mark=1.0, dense_best=0.1))
    watch.tick()
    assert len(asked) == 2
    (incident,) = IncidentStore(engine).newest()
    assert set(incident.rules) == {"more_abstentions", "bad_marks", "far_passages"}


def test_fixes_that_are_tried_stand_on_the_timeline(engine: Engine, tmp_path: Path, make: Make) -> None:
    trial = Trial(
        stage="generate",
        cause="wrong_abstention",
        patch={"answer.min_relevance": 0.25},
        metric="abstention_accuracy",
        before=0.5,
        after=0.9,
        delta=0.4,
        ci_low=0.2,
        ci_high=0.6,
        p_value=0.001,
        n=40,
        verified=True,
        reason="better on 40 cases",
        latency_before_ms=None,
        latency_after_ms=None,
    )
    note_trials(tmp_path / "home", "default", [trial])  # nothing is open: nothing to note
    watch = watched(engine)
    Readings(engine).add(make(200))
    watch.tick()
    Readings(engine).add(make(60, abstained=1.0))
    watch.tick()
    note_trials(tmp_path / "home", "default", [trial])
    (incident,) = IncidentStore(engine).newest()
    entry = IncidentStore(engine).timeline(incident.id)[-1]
    assert entry.kind == "fix"
    assert "answer.min_relevance = 0.25" in entry.text
    assert "proven on holdout" in entry.text


@pytest.mark.parametrize("value", ["last", "incident-"])
def test_an_incident_is_found_by_its_beginning(engine: Engine, make: Make, value: str) -> None:
    watch = watched(engine)
    Readings(engine).add(make(200))
    watch.tick()
    Readings(engine).add(make(60, abstained=1.0))
    watch.tick()
    assert IncidentStore(engine).get(value).stage == "generate"
