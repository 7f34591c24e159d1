"""A town's information desk: a small corpus, a healthy and a broken evaluation, a diagnosis and its proof, a
drill, hostile text everywhere; served for a browser."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import Running, running
from tests.serve.pages import tunes

import firstfault
from firstfault.collection.database import connect
from firstfault.config import load
from firstfault.drill import records
from firstfault.drill.outcome import Named, Outcome
from firstfault.drill.report import document, summarize
from firstfault.evaluate import evaluate
from firstfault.evaluate.cases import parse_case
from firstfault.models import store
from firstfault.monitor import Alert, AlertStore, Incident, IncidentStore, Readings
from firstfault.monitor.explain import explain
from firstfault.monitor.incidents import new_incident_id
from firstfault.monitor.readings import now
from firstfault.monitor.rules import load_rules
from firstfault.trace.record import new_trace_id
from firstfault.types import Case, Trace

QUOTING = {"generator.kind": "extractive", "answer.min_relevance": "-1"}
BROKEN = {**QUOTING, "pack.budget_tokens": "64"}
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"}}{{7*7}}"

LEAD = (
    "The notice board of the town lists what visitors ask for most often about {place}. The board stands in "
    "the hall beside the stairs, is renewed on the first Monday of the month, and may be copied by hand. "
    "Whoever finds a mistake in it tells the clerk, who corrects it in red ink until the next renewal. "
    "Older boards are kept in the cellar. "
)
LONG = ("parking", "market", "bus")
"""Topics whose documents begin with the lead."""
PLACES = ("Elm Park", "Mill Square", "the harbour", "the old town", "Castle Hill", "the lido")
TOPICS = {
    "parking": "A resident parking permit for {place} costs {n} euros a year. It is valid for one car. "
    "Permits are issued at the town hall.",
    "dogs": "Dogs must be kept on a lead of at most {n} metres at {place}. Puppies run free.",
    "market": "The market at {place} opens at {n} in the morning. Stalls are let by the day.",
    "library": "The branch library near {place} lends books for {n} weeks. Renewals are made by telephone.",
    "bus": "The night bus to {place} runs every {n} minutes. Tickets are sold by the driver.",
}
QUESTIONS = {
    "parking": ("What does a resident parking permit for {place} cost?", "costs {n} euros a year"),
    "dogs": ("How long may the lead of a dog at {place} be?", "a lead of at most {n} metres"),
    "market": ("When does the market at {place} open?", "opens at {n} in the morning"),
    "library": ("For how long does the library near {place} lend books?", "lends books for {n} weeks"),
    "bus": ("How often does the night bus to {place} run?", "runs every {n} minutes"),
}


def documents() -> dict[str, str]:
    found = {}
    for i, (topic, text) in enumerate(TOPICS.items()):
        for j, place in enumerate(PLACES):
            name = place.removeprefix("the ").replace(" ", "-").lower()
            whole = LEAD + text if topic in LONG else text
            found[f"{topic}/{name}.md"] = whole.format(place=place, n=i * 7 + j + 2)
    found["hostile.md"] = f"The hostile page says {EVIL} and that the fountain is closed."
    return found


def cases() -> list[Case]:
    found = []
    for i, (topic, (question, quote)) in enumerate(QUESTIONS.items()):
        for j, place in enumerate(PLACES):
            name = place.removeprefix("the ").replace(" ", "-").lower()
            evidence = [{"document": f"{topic}/{name}.md", "quote": quote.format(n=i * 7 + j + 2)}]
            row = {
                "id": f"{topic}-{name}",
                "question": question.format(place=place),
                "answer": quote.format(n=i * 7 + j + 2),
                "evidence": evidence,
            }
            found.append(parse_case(row, "case"))
    return found


@dataclass(frozen=True)
class Town:
    """A home to copy, and what is in it."""

    home: Path
    healthy: str
    broken: str
    hostile_trace: str
    incident: str
    hostile_incident: str


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """The home, filled."""
    store.ensure("all-MiniLM-L6-v2")
    folder = tmp_path_factory.mktemp("town")
    for name, text in documents().items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    home = tmp_path_factory.mktemp("filled") / "home"
    known = cases()
    with firstfault.open(home, settings=QUOTING, create=True) as app:
        app.ingest([folder])
        healthy = evaluate(app, known, source="town.jsonl")
        hostile = app.ask(f"Is the fountain closed? {EVIL}")
        nothing = replace(hostile, id=hostile.id[:-4] + "evil", question=EVIL, error=EVIL, where=EVIL)
        app.traces.put(_poisoned(nothing))
        answered = [app.ask(case.question) for case in known]
        for trace in earlier(answered):
            app.traces.put(trace)
    began = now()
    with firstfault.open(home, settings=BROKEN) as app:
        broken = evaluate(app, known, source="town.jsonl")
        for case in known:
            app.ask(case.question)
        incident = open_incident(app, began)
        hostile_incident = poison(app, incident)
    records.save(home, drills(EVIL))
    records.save(home, drills())
    tunes.fill(home, EVIL)
    return Town(
        home=home,
        healthy=healthy.id,
        broken=broken.id,
        hostile_trace=nothing.id,
        incident=incident.id,
        hostile_incident=hostile_incident,
    )


def earlier(traces: list[Trace]) -> Iterator[Trace]:
    """The same requests over the hour before, so that there is a trend to draw."""
    last = datetime.now(UTC) - timedelta(minutes=1)
    for number in range(80):
        at = last - timedelta(seconds=44 * number)
        trace = traces[number % len(traces)]
        yield replace(trace, id=new_trace_id(at), at=at.isoformat(timespec="milliseconds"))


def open_incident(app: Any, began: str) -> Incident:
    """An alert as the watch would store it, and its incident with the diagnosis of the real requests."""
    engine = connect(app.config.home)
    Readings(engine).catch_up(app.settings.monitor)
    rule = next(one for one in load_rules() if one.signal == "passage_lost")
    identity = new_incident_id()
    alert = Alert(
        id="alert-1",
        at=began,
        collection="default",
        rule=rule.name,
        signal=rule.signal,
        title=rule.title,
        stage=rule.blamed,
        cause=rule.cause,
        state="firing",
        level=1.0,
        reason="18 of 30 requests, usually 0.0%",
        measured=0.6,
        limit=0.0,
        began=began,
        began_trace=None,
        failing=18,
        requests=30,
        examples=(),
        fired_at=began,
        incident_id=identity,
    )
    found = explain(app, [alert], began=began)
    assert found.proven
    incident = Incident(
        id=identity,
        at=now(),
        collection="default",
        state="open",
        stage=found.stage,
        cause=found.cause,
        proven=found.proven,
        title=rule.title,
        summary=f"{found.stage} / {found.cause} since {began}. {found.evidence}",
        began=began,
        evidence=found.evidence,
        rules=(rule.name,),
        traces=(),
        changes=("the settings 4f0c2a → 91be77: pack.budget_tokens 900 → 64",),
        diagnosis=found.diagnosis,
        diagnosis_note=found.note,
        next_command=found.next_command,
    )
    store = IncidentStore(engine)
    store.save(incident)
    AlertStore(engine).put(alert)
    store.note(identity, "opened", f"Opened: {rule.title}", at=began)
    engine.dispose()
    return incident


def poison(app: Any, incident: Incident) -> str:
    """An incident of the past with hostile text in every field of text; its id."""
    engine = connect(app.config.home)
    hostile = replace(
        incident,
        id=new_incident_id(),
        state="resolved",
        title=EVIL,
        summary=EVIL,
        evidence=EVIL,
        changes=(f"the settings {EVIL}",),
        diagnosis_note=EVIL,
    )
    store = IncidentStore(engine)
    store.save(hostile)
    store.note(hostile.id, "opened", f"Opened: {EVIL}", at=incident.began)
    engine.dispose()
    return hostile.id


def _poisoned(trace: Any) -> Any:
    """The trace with hostile text in every field of text that a page shows."""
    assert trace.answer is not None
    claims = tuple(
        replace(claim, text=EVIL, verdict=replace(claim.verdict, reason=EVIL, label="unsupported"))
        for claim in trace.answer.claims
    )
    citations = tuple(
        replace(one, document_id=EVIL, document_title=EVIL, cited_text=EVIL) for one in trace.answer.citations
    )
    spans = tuple(
        replace(span, events=(firstfault.types.Event(name=EVIL, at_ms=0.0, attributes={EVIL: EVIL}),))
        for span in trace.spans
    )
    return replace(
        trace,
        collection="default",
        fingerprint=EVIL,
        answer=replace(trace.answer, text=EVIL, claims=claims, citations=citations),
        spans=spans,
        hits=tuple(replace(hit, document_id=EVIL, chunk_id=EVIL) for hit in trace.hits),
        settings={EVIL: {EVIL: EVIL}},
        replay_of=EVIL,
        replayed_from=EVIL,
    )


def drills(said: str = "") -> dict[str, Any]:
    """The report of a small series; what it says is made up, its shape is that of `drill --json`."""

    def outcome(
        fault: str, stage: str, cause: str, found: tuple[str, str], evidence: str = "Nothing was lost."
    ) -> Outcome:
        named = Named(stage=found[0], cause=found[1])
        return Outcome(
            faults=(fault,) if fault else (),
            scene="plain",
            severity=0.5 if fault else None,
            seed=0,
            cases=40,
            hurt=12 if fault else 0,
            expected=(Named(stage=stage, cause=cause),) if fault else (),
            found=named,
            listed=(named,),
            evidence=said or evidence,
            next_command="firstfault fix",
            alerts=(),
            seconds_evaluate=3.0,
            seconds_diagnose=1.5,
            model_calls=0,
        )

    found = [
        outcome(
            "shallow_top_k",
            "rerank",
            "reranker_demotes",
            ("rerank", "reranker_demotes"),
            "The evidence is 3rd before reranking and 7th after it; with top_k 8 it is kept. (12 of 40)",
        ),
        outcome(
            "narrow_prompt",
            "pack",
            "context_truncated",
            ("pack", "context_truncated"),
            "The evidence is 1st after reranking and was cut to fit into 64 tokens. (12 of 40)",
        ),
        outcome(
            "lopsided_fusion",
            "fuse",
            "fusion_weights",
            ("rerank", "reranker_demotes"),
            "The evidence is 3rd by words alone and 27th after fusion. (12 of 40)",
        ),
        outcome(
            "stale_corpus",
            "corpus",
            "stale_document",
            ("corpus", "stale_document"),
            "The document was replaced on disk after it was read. (12 of 40)",
        ),
        outcome("", "", "", ("healthy", "healthy")),
    ]
    return document(found, summarize(found))


@pytest.fixture(scope="session")
def desk(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server over the home as it is broken, without keys."""
    home = tmp_path_factory.mktemp("desk") / "home"
    shutil.copytree(town.home, home)
    with ExitStack() as stack:
        yield stack.enter_context(running(load(home, overrides=BROKEN, environment={})))


@pytest.fixture(scope="session")
def diagnosis(desk: Running, town: Town) -> str:
    """The id of a finished diagnosis of the broken run."""
    return finished(desk, "/diagnose", {"run": town.broken})


@pytest.fixture(scope="session")
def proof(desk: Running, town: Town) -> str:
    """The id of a finished fix of the broken run."""
    return finished(desk, "/fix", {"run": town.broken})


def finished(desk: Running, path: str, body: Any) -> str:
    """The id of a job that is done, however long a busy machine takes for it."""
    job = desk.post(path, body).json()
    while job["state"] in {"queued", "running"}:
        job = desk.http.get(f"/jobs/{job['id']}?wait=30").json()
    assert job["state"] == "done", job
    return str(job["id"])


def addresses(desk: Running, town: Town, diagnosis: str, proof: str) -> dict[str, str]:
    """Page → its address, each with something to show."""
    series = desk.http.get("/ui/drills").text
    drill, hostile_drill = re.findall(r'/ui/drills/([^"]+)', series)
    traces = desk.http.get("/traces?limit=3").json()["traces"]
    return {
        "health": "/ui",
        "incidents": "/ui/incidents",
        "incident": f"/ui/incidents/{town.incident}",
        "hostile-incident": f"/ui/incidents/{town.hostile_incident}",
        "traces": "/ui/traces",
        "errors": "/ui/traces?status=error",
        "trace": f"/ui/traces/{traces[-1]['trace_id']}",
        "hostile": f"/ui/traces/{town.hostile_trace}",
        "runs": "/ui/runs",
        "run": f"/ui/runs/{town.broken}?show=all",
        "compare": f"/ui/compare?before={town.healthy}&after={town.broken}",
        "diagnoses": "/ui/diagnosis",
        "diagnosis": f"/ui/diagnosis/{diagnosis}",
        "proof": f"/ui/diagnosis/{proof}",
        "ask": "/ui/ask?q=When+does+the+market+open",
        "reviews": "/ui/reviews",
        "drills": "/ui/drills",
        "drill": f"/ui/drills/{drill}",
        "hostile-drill": f"/ui/drills/{hostile_drill}",
        "fine-tunes": "/ui/fine-tunes",
        "fine-tune": "/ui/fine-tunes/ft-20261122T110000000-permits300",
        "overfitted": "/ui/fine-tunes/ft-20261122T100000000-4examples",
        "training": "/ui/fine-tunes/ft-20261122T120000000-atwork",
        "hostile-fine-tune": "/ui/fine-tunes/ft-20261122T090000000-hostile",
        "playbook": "/ui/playbook",
        "login": "/ui/login",
    }
