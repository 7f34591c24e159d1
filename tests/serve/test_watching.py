"""Monitoring in a server that runs: readings, feedback, alerts and their metrics."""

from typing import Any

import pytest
from sqlalchemy import Engine
from tests.serve.conftest import Running, Serve, until

from firstfault.collection.database import connect
from firstfault.monitor import Readings
from firstfault.monitor.alerts import AlertStore, Finding, update
from firstfault.monitor.incidents import IncidentStore
from firstfault.monitor.rules import load_rules
from firstfault.serve.keys import KeyStore
from firstfault.serve.monitoring import Monitoring

QUESTION = "What does a resident parking permit cost?"


def watched(running: Running) -> Monitoring:
    monitoring = Monitoring(running.server.engine)
    monitoring.start()
    running.server.monitoring = monitoring
    running.server.metrics.watch_alerts(monitoring)
    return monitoring


@pytest.fixture
def server(serve: Serve) -> Running:
    return serve({"monitor.every_s": "0.1", "monitor.sample": "1", "monitor.cpu_share": "1"})


def database(running: Running) -> Engine:
    return connect(running.config.home)


def test_requests_are_read_and_scored_beside_the_answering(server: Running) -> None:
    monitoring = watched(server)
    try:
        for _ in range(3):
            server.ask(QUESTION)
        engine = database(server)
        assert until(lambda: len(Readings(engine).window()) == 3)
        assert until(lambda: monitoring.scored == 3)
        values = Readings(engine).window()[0].values
        assert values["faithfulness"] == 1.0
        assert values["index_agrees"] == 1.0
        engine.dispose()
        document = server.http.get("/monitor").json()
        assert document["requests"] == 3
        assert document["rows"][0]["stage"] == "any"
    finally:
        monitoring.stop(5)


def test_the_key_that_asked_is_read(serve: Serve) -> None:
    server = serve({"monitor.every_s": "0.1"}, keys={"app": {"scopes": ("ask", "traces")}})
    (key,) = KeyStore(server.config.home).all()
    monitoring = watched(server)
    try:
        headers = {"Authorization": f"Bearer {server.secrets['app']}"}
        answer = server.post("/ask", {"question": QUESTION}, headers=headers).json()
        engine = database(server)
        assert until(lambda: len(Readings(engine).window()) == 1)
        assert Readings(engine).window()[0].key == key.id
        engine.dispose()
        assert server.http.get(f"/traces/{answer['trace_id']}", headers=headers).json()["key"] == key.id
    finally:
        monitoring.stop(5)


def test_feedback_is_kept_and_bad_feedback_refused(server: Running) -> None:
    trace_id = server.ask(QUESTION)["trace_id"]
    kept = server.post("/feedback", {"trace_id": trace_id, "verdict": "down", "note": "wrong"})
    assert kept.status_code == 201
    assert kept.json()["verdict"] == "down"
    engine = database(server)
    assert [one.note for one in Readings(engine).feedback(trace_id=trace_id)] == ["wrong"]
    engine.dispose()
    assert server.post("/feedback", {"trace_id": "absent", "verdict": "up"}).status_code == 404
    assert server.post("/feedback", {"trace_id": trace_id, "verdict": "sideways"}).status_code == 422


def test_alerts_are_metrics_and_incidents_are_documents(server: Running) -> None:
    monitoring = watched(server)
    engine = database(server)
    try:
        rule = next(one for one in load_rules() if one.name == "more_abstentions")
        seen = Finding(rule=rule, level=1.0, measured=1.0, limit=0.1, reason="9 of 9", failing=9, requests=9)
        update(AlertStore(engine), "apart", [seen])
        assert 'rule="more_abstentions",stage="generate"' in server.http.get("/metrics").text
        (alert,) = server.http.get("/alerts").json()["alerts"]
        assert (alert["state"], alert["stage"]) == ("firing", "generate")
        assert server.http.get("/incidents").json() == {"incidents": []}
        assert server.http.get("/incidents/last").status_code == 404
        assert IncidentStore(engine).newest() == []
    finally:
        engine.dispose()
        monitoring.stop(5)


def test_other_collections_stay_hidden(serve: Serve) -> None:
    server = serve(keys={"other": {"scopes": ("traces",), "collections": ("other",)}})
    headers: Any = {"Authorization": f"Bearer {server.secrets['other']}"}
    assert server.http.get("/monitor", headers=headers).status_code == 404
