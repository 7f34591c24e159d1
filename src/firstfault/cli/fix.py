"""`fix`: candidate repairs for what a diagnosis found, proven on cases they were not chosen on."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.answer.documents import fix_document
from firstfault.cli.evaluate import stored
from firstfault.cli.progress import case_progress, trial_progress
from firstfault.cli.state import Json, State, anywhere, print_json
from firstfault.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstfault.answer import Application
    from firstfault.diagnose.fix import FixReport
    from firstfault.serve.client import Client
    from firstfault.types import CaseResult, Diagnosis, Run


def fix(
    context: typer.Context,
    run: Annotated[str, typer.Option("--run", help='An evaluation run; "last" is the newest.')] = "last",
    apply_: Annotated[
        bool, typer.Option("--apply", help="Write what is verified into the configuration, with a backup.")
    ] = False,
    budget: Annotated[
        int | None, typer.Option(min=0, help="Most generations that the trials may ask for.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Diagnose a run, try repairs, and prove the best on cases that it was not chosen on."""
    from firstfault.config import DEFAULT_FILE
    from firstfault.diagnose.apply import apply, discard_shadow, require_writable

    given = anywhere(context)
    server = given.server()
    if server is not None:
        _through(given, server, run, budget, apply_=apply_, as_json=as_json)
        return
    from firstfault.monitor.incidents import note_trials

    file = given.file or DEFAULT_FILE
    if apply_:
        require_writable(file)
    with given.application() as app:
        name = app.collection.name
        found, results = stored(given, run)
        diagnosis = _diagnosis(app, found, results)
        report = _trials(app, found, results, diagnosis, budget)
    note_trials(given.config.home, given.collection, report.trials)
    applied = None
    if apply_ and (report.patch or report.repairs):
        applied = apply(report, given.config, file, name)
    else:
        discard_shadow(report)
    if as_json:
        print_json(fix_document(report, diagnosis, applied))
        return
    from firstfault.cli import render_fix

    render_fix.report(report, diagnosis, applied, given.config)


def _through(
    given: State, server: "Client", run: str, budget: int | None, *, apply_: bool, as_json: bool
) -> None:
    """The trials are made by the server that has the home; it applies nothing."""
    from firstfault.cli import remote

    if apply_:
        raise InputError(
            f"The server on {server.url} has the home, and it applies no patch.",
            hint="Prove it without --apply, write the patch into the settings file and reload the server "
            "(kill -HUP); or stop the server for what builds a collection anew.",
        )
    with case_progress("trying repairs") as progress:
        document = remote.fix(server, run, budget, progress)
    if as_json:
        print_json(document)
        return
    from firstfault.cli import render_fix

    render_fix.document(document, given.config.settings)


def _diagnosis(app: "Application", run: "Run", results: "Sequence[CaseResult]") -> "Diagnosis":
    from firstfault.diagnose import diagnose_run, generations, subjects_of

    calls = generations(app, subjects_of(app, results))
    if calls:
        typer.echo(f"the probes ask the generator at most {calls:,} times", err=True)
    with case_progress("diagnosing") as progress:
        return diagnose_run(app, run, results, progress=progress)


def _trials(
    app: "Application",
    run: "Run",
    results: "Sequence[CaseResult]",
    diagnosis: "Diagnosis",
    budget: int | None,
) -> "FixReport":
    from firstfault.diagnose.diagnosis import open_playbook
    from firstfault.diagnose.fix import fix as prove

    most = app.settings.diagnose.budget if budget is None else budget
    if diagnosis.findings and run.generation and app.settings.generator.kind != "extractive":
        typer.echo(f"the trials ask the generator at most {most:,} times (--budget)", err=True)
    with trial_progress() as progress:
        return prove(
            app,
            run,
            results,
            diagnosis,
            playbook=open_playbook(app.settings),
            budget=budget,
            progress=progress,
        )


def register(app: typer.Typer) -> None:
    """Hang the command on the root."""
    app.command()(fix)
