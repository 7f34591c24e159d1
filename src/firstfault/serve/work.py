"""What jobs do: documents in and out, runs and diagnoses; each a plain function over an application."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from firstfault.collection.database import connect, database_of
from firstfault.errors import InputError
from firstfault.serve.jobs import Job, Jobs, Lane, Progress, Work
from firstfault.types import Case, CaseResult, Document, Run

if TYPE_CHECKING:
    from firstfault.answer import Application
    from firstfault.drill import Outcome
    from firstfault.serve.engine import Engine

_BATCH = 64
"""Documents that are cut together."""


def open_jobs(engine: "Engine") -> Jobs:
    """The jobs of the engine's home, each kind with its lane."""

    def over(work: Any, lane: Lane) -> tuple[Lane, Work]:
        def run(job: Job, payload: Any, progress: Progress) -> Any:
            engine.parts.collection(job.collection, create=lane == "write")
            app = engine.job_application(job.collection)
            try:
                return work(app, payload, progress)
            finally:
                app.close()

        return lane, run

    kinds: dict[str, tuple[Lane, Work]] = {
        "ingest": over(ingest, "write"),
        "delete": over(delete, "write"),
        "gc": over(gc, "write"),
        "evaluate": over(evaluate, "measure"),
        "diagnose": over(diagnose, "measure"),
        "fix": over(fix, "measure"),
        "prove": over(prove, "measure"),
        "drill": over(drill, "measure"),
    }
    home = engine.config.home
    if database_of(home).database:
        from firstfault.serve.jobs_shared import SharedJobs

        return SharedJobs(home, connect(home), kinds)
    return Jobs(home, kinds)


def ingest(app: "Application", payload: Any, progress: Progress) -> dict[str, Any]:
    """Add or replace documents; those that are unchanged are skipped."""
    from firstfault.ingest import Chunker, ingest_documents

    rows = payload["documents"]
    chunker = Chunker(app.settings.chunking, app.embedder)
    documents = [
        Document(
            id=row["id"],
            title=row.get("title") or row["id"],
            text=row["text"],
            source=row.get("source") or "api",
            revision=row.get("revision") or "",
            metadata=row.get("metadata") or {},
        )
        for row in rows
    ]
    if documents and all(document.revision for document in documents):
        return _store(app, documents, chunker, progress)
    report = ingest_documents(
        app.collection,
        documents,
        chunker=chunker,
        total=len(documents),
        progress=lambda now: progress(now.done, now.total),
    )
    if report.failed and not report.added + report.replaced + report.unchanged:
        raise InputError(f"Nothing could be stored. {report.failed[0].reason}", hint="Correct it.")
    return asdict(report)


def _store(
    app: "Application", documents: Sequence[Document], chunker: Any, progress: Progress
) -> dict[str, Any]:
    """Store documents whose client knows their revisions, e.g. the command line, which read the files."""
    live = app.collection.revisions()
    changed = [document for document in documents if live.get(document.id) != document.revision]
    done = []

    def cut() -> Iterator[Any]:
        for start in range(0, len(changed), _BATCH):
            yield from chunker.chunk_all(changed[start : start + _BATCH])

    for acknowledged in app.collection.add_all(cut()):
        done.append(asdict(acknowledged))
        progress(len(done), len(changed))
    return {"stored": done, "unchanged": len(documents) - len(changed)}


def delete(app: "Application", payload: Any, progress: Progress) -> dict[str, Any]:
    """Retire documents."""
    wanted = payload["ids"]
    retired = app.collection.retire(wanted)
    progress(len(wanted), len(wanted))
    return {"retired": retired, "absent": len(set(wanted)) - retired}


def gc(app: "Application", payload: Any, progress: Progress) -> dict[str, Any]:
    """Drop traces, evaluation runs and retired revisions that are older than the retention."""
    from firstfault.monitor.retention import collect

    done = collect(app, payload["keep_days"])
    progress(1, 1)
    return done


def evaluate(app: "Application", payload: Any, progress: Progress) -> dict[str, Any]:
    """Run cases; an interrupted run is continued."""
    from firstfault.answer.documents import run_document
    from firstfault.evaluate import evaluate as run

    done = run(
        app,
        cases_of(payload["cases"]),
        source=payload.get("source") or "api",
        generation=payload.get("generation", True),
        progress=progress,
    )
    return run_document(done)


def cases_of(rows: Sequence[Any]) -> list[Case]:
    """Cases from plain JSON values.

    Raises:
        InputError: one is malformed, or two have one id.
    """
    from firstfault.evaluate.cases import parse_case

    cases = [parse_case(row, f"case {number}") for number, row in enumerate(rows, start=1)]
    if len({case.id for case in cases}) < len(cases):
        raise InputError("Two cases have one id.", hint="Give each case its own id.")
    return cases


def diagnose(app: "Application", payload: Any, progress: Progress) -> dict[str, Any]:
    """Name the first fault of a run, of one request, or of the requests of a span of time."""
    from firstfault import diagnose as diagnosing

    budget = payload.get("budget")
    trace, since = payload.get("trace"), payload.get("since")
    if trace is not None or since is not None:
        app.traces.flush()
        traces = [app.traces.get(trace)] if trace is not None else diagnosing.window(app, since)
        if not traces:
            raise InputError(f"There is no request in the last {since}.", hint="GET /traces lists them.")
        found = diagnosing.diagnose(
            app,
            diagnosing.unlabelled(traces),
            scope=f"trace {trace}" if trace is not None else f"the last {since}",
            command="firstfault cases from-traces, then eval and fix: a fix is proven on cases",
            budget=budget,
            progress=progress,
        )
        return asdict(replace(found, trace_id=traces[0].id) if trace is not None else found)
    run, results = _stored(app, payload.get("run"))
    baseline = payload.get("baseline")
    usual = _stored(app, baseline)[1] if baseline is not None else ()
    return asdict(
        diagnosing.diagnose_run(app, run, results, budget=budget, baseline=usual, progress=progress)
    )


def fix(app: "Application", payload: Any, progress: Progress) -> dict[str, Any]:
    """Try repairs of what broke in a run and prove them. Nothing is applied: that is the operator's to do."""
    from firstfault.answer.documents import fix_document
    from firstfault.diagnose import diagnose_run
    from firstfault.diagnose.apply import discard_shadow
    from firstfault.diagnose.diagnosis import open_playbook
    from firstfault.diagnose.fix import fix as prove
    from firstfault.monitor.incidents import note_trials

    run, results = _stored(app, payload.get("run"))
    found = diagnose_run(app, run, results, progress=progress)
    report = prove(
        app,
        run,
        results,
        found,
        playbook=open_playbook(app.settings),
        budget=payload.get("budget"),
        progress=lambda _step, done, total: progress(done, total),
    )
    discard_shadow(report)
    note_trials(app.config.home, app.collection.name, report.trials)
    return fix_document(report, found, None)


def prove(app: "Application", payload: Any, progress: Progress) -> dict[str, Any]:
    """Prove a fix for an incident on what was answered well before it began. Nothing is applied."""
    from firstfault.monitor.proof import prove as run

    return run(app, payload["incident"], progress=progress)


def drill(app: "Application", payload: Any, progress: Progress) -> dict[str, Any]:
    """Break copies of the application, one fault at a time, and say what the diagnosis named."""
    from firstfault.drill import records, report, series
    from firstfault.drill.library import named, of_set

    _, results = _stored(app, payload["run"])
    cases = [result.case for result in results if result.case is not None]
    faults = named(payload["faults"]) or of_set("development")
    outcomes: dict[int, Outcome] = {}
    drills = series.singles(
        faults, seed=payload["seed"], severity=payload["severity"], count=payload["most_cases"]
    )
    for position, outcome in series.outcomes(drills, app.config, cases, collection=app.collection.name):
        outcomes[position] = outcome
        progress(len(outcomes), len(faults))
    found = [outcomes[position] for position in range(len(drills))]
    document = report.document(found, report.summarize(found), [])
    records.save(app.config.home, document)
    return document


def _stored(app: "Application", run_id: str | None) -> tuple[Run, list[CaseResult]]:
    """A run with its results; the newest without an id."""
    from firstfault.evaluate import RunStore

    store = RunStore(connect(app.config.home, create=False))
    try:
        run = store.get(run_id or "last")
        return run, list(store.results(run.id).values())
    finally:
        store.close()
