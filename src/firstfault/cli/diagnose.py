"""`diagnose`: which stage broke first, how that is known, and what to run next."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firstfault.cli.progress import case_progress
from firstfault.cli.state import Json, anywhere, print_json
from firstfault.errors import InputError

if TYPE_CHECKING:
    from firstfault.answer import Application
    from firstfault.types import CaseResult, Diagnosis, Trace


def diagnose(
    context: typer.Context,
    run: Annotated[str | None, typer.Option("--run", help='An evaluation run; "last" is the newest.')] = None,
    trace: Annotated[str | None, typer.Option("--trace", help="One request.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="The requests of the last 30m, 1h, 7d, ...")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="With --run: a run whose latencies are the usual ones.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=0, help="Most generations that the probes may ask for.")
    ] = None,
    fail_on_fault: Annotated[
        bool, typer.Option("--fail-on-fault", help="Exit 1 when a fault is found.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Name the first stage that broke, by intervention. Without an option: the newest run."""
    from firstfault.diagnose import window

    if sum(option is not None for option in (run, trace, since)) > 1:
        raise InputError(
            "--run, --trace and --since exclude each other.", hint="Give the one that names what broke."
        )
    server = anywhere(context).server()
    if server is not None:
        from firstfault.cli import remote

        wanted = {"run": run, "trace": trace, "since": since, "baseline": baseline, "budget": budget}
        with case_progress("diagnosing") as progress:
            found = remote.diagnose(server, wanted, progress)
    else:
        with anywhere(context).application() as app:
            if trace is not None:
                asked = app.traces.get(trace)
                found = _of_traces(app, [asked], budget, scope=f"trace {trace}")
                found = replace(found, trace_id=asked.id)
            elif since is not None:
                found = _of_traces(app, window(app, since), budget, scope=f"the last {since}")
            else:
                found = _of_run(app, run or "last", baseline, budget)
    if as_json:
        print_json(document(found))
    else:
        from firstfault.cli import render_diagnosis

        render_diagnosis.diagnosis(found)
    if fail_on_fault and not found.healthy:
        raise typer.Exit(1)


def document(found: "Diagnosis") -> dict[str, Any]:
    """The JSON document of `diagnose --json`: a contract that scripts rely on."""
    return asdict(found)


def _of_run(app: "Application", run_id: str, baseline: str | None, budget: int | None) -> "Diagnosis":
    from firstfault.collection.database import connect
    from firstfault.diagnose import diagnose_run, subjects_of
    from firstfault.evaluate import RunStore

    store = RunStore(connect(app.config.home, create=False))
    try:
        run = store.get(run_id)
        results = list(store.results(run.id).values())
        earlier: Sequence[CaseResult] = (
            list(store.results(store.get(baseline).id).values()) if baseline is not None else ()
        )
    finally:
        store.close()
    _announce(app, subjects_of(app, results), budget)
    with case_progress("diagnosing") as progress:
        return diagnose_run(app, run, results, budget=budget, baseline=earlier, progress=progress)


def _of_traces(
    app: "Application", traces: "Sequence[Trace]", budget: int | None, *, scope: str
) -> "Diagnosis":
    """Requests of users; a request of an evaluation is looked at with its case, when that is known."""
    from firstfault.diagnose import diagnose, unlabelled

    if not traces:
        raise InputError(f"There is no request in {scope}.", hint="`firstfault traces` lists them.")
    subjects = unlabelled(traces)
    _announce(app, subjects, budget)
    with case_progress("diagnosing") as progress:
        return diagnose(
            app,
            subjects,
            scope=scope,
            command="firstfault cases from-traces, then eval and fix: a fix is proven on cases",
            budget=budget,
            progress=progress,
        )


def _announce(app: "Application", subjects: Any, budget: int | None) -> None:
    from firstfault.diagnose import generations

    calls = generations(app, subjects, budget)
    if calls:
        typer.echo(f"the probes ask the generator at most {calls:,} times (--budget)", err=True)


def register(app: typer.Typer) -> None:
    """Hang the command on the root."""
    app.command()(diagnose)
