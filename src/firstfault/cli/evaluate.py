"""`eval`, `runs` and `compare-runs`: how good the answers are, and whether they got better."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.answer.documents import run_document
from firstfault.cli.progress import case_progress
from firstfault.cli.state import Json, State, anywhere, print_json

if TYPE_CHECKING:
    from firstfault.evaluate import RunStore
    from firstfault.evaluate.compare import Difference
    from firstfault.types import CaseResult, Run

RunId = Annotated[str, typer.Argument(help='A run id, enough of its beginning, or "last".')]


def eval_(
    context: typer.Context,
    cases: Annotated[Path, typer.Argument(help="Cases: JSONL of {id, question, answer?, evidence?, ...}.")],
    no_generation: Annotated[
        bool, typer.Option("--no-generation", help="Stop at the packed context: retrieval metrics only.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Only the first N cases.")] = None,
    gate: Annotated[bool, typer.Option("--gate", help="Exit 1 when a metric fails its limit.")] = False,
    baseline: Annotated[
        str | None, typer.Option(help="A run to compare with; with --gate a significant loss fails.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit report here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a Markdown report here.")] = None,
    as_json: Json = False,
) -> None:
    """Run the application over cases and measure every stage. An interrupted run is continued."""
    from firstfault.evaluate import evaluate, read_cases, report
    from firstfault.evaluate import gate as gates
    from firstfault.evaluate.run import cost
    from firstfault.files import write_text

    found = read_cases(cases)[:limit]
    given = anywhere(context)
    earlier = None if baseline is None else stored(given, baseline)[1]
    server = given.server()
    if server is not None:
        from firstfault.cli import remote

        with case_progress() as progress:
            run, results = remote.evaluate(
                server, found, source=str(cases), generation=not no_generation, progress=progress
            )
    else:
        with given.application() as app:
            planned = cost(app, found, generation=not no_generation)
            if planned is not None:
                typer.echo(
                    f"asks {planned.endpoint}: up to {planned.requests:,} requests, "
                    f"{planned.input_tokens:,} tokens in, {planned.output_tokens:,} out",
                    err=True,
                )
            with case_progress() as progress:
                run = evaluate(app, found, source=str(cases), generation=not no_generation, progress=progress)
        results = stored(given, run.id)[1]
    limits = given.config.settings.evaluate
    differences: list[Difference] = []
    if earlier is not None:
        from firstfault.evaluate.compare import compare

        differences = compare(earlier, results, limits)
    judged = gates.judge(run, differences)
    for path, text in (
        (junit, report.junit(run, results, judged)),
        (markdown, report.markdown(run, judged, differences)),
    ):
        if path is not None:
            write_text(path, text)
    if as_json:
        print_json(
            {**run_document(run), "gate": asdict(judged), "baseline": [asdict(one) for one in differences]}
        )
    else:
        from firstfault.cli import render_runs

        render_runs.run(run, results, judged, differences, gated=gate)
    if gate and not judged.passed:
        raise typer.Exit(1)


def runs(
    context: typer.Context,
    run_id: Annotated[str | None, typer.Argument(help='Show this run; "last" is the newest.')] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List evaluation runs, or show one with its cases."""
    from firstfault.cli import render_runs
    from firstfault.evaluate import gate as gates

    given = anywhere(context)
    if run_id is None:
        found = _newest(given, limit)
        if as_json:
            print_json({"runs": [run_document(run) for run in found]})
        else:
            render_runs.runs(found)
        return
    run, results = stored(given, run_id)
    if as_json:
        print_json({**run_document(run), "cases": [asdict(result) for result in results]})
        return
    render_runs.run(run, results, gates.judge(run), [], gated=False)


def compare_runs(
    context: typer.Context,
    before: RunId,
    after: RunId,
    as_json: Json = False,
) -> None:
    """Compare two runs case by case: paired differences, intervals, and the cases that flipped."""
    from firstfault.evaluate.compare import compare

    given = anywhere(context)
    earlier, results_before = stored(given, before)
    later, results_after = stored(given, after)
    differences = compare(results_before, results_after, given.config.settings.evaluate)
    if as_json:
        print_json({"before": earlier.id, "after": later.id, "metrics": [asdict(one) for one in differences]})
        return
    from firstfault.cli import render_runs

    render_runs.comparison(earlier, later, differences)


@contextmanager
def _runs(given: State) -> "Iterator[RunStore]":
    from firstfault.collection.database import connect
    from firstfault.evaluate import RunStore

    store = RunStore(connect(given.config.home, create=False))
    try:
        yield store
    finally:
        store.close()


def stored(given: State, run_id: str) -> "tuple[Run, list[CaseResult]]":
    """A run with its results: of the home, which may be read beside a server, or of the server at --url."""
    if given.url is not None:
        from firstfault.cli import remote

        return remote.stored_run(given.at_url(), run_id)
    with _runs(given) as store:
        run = store.get(run_id)
        return run, list(store.results(run.id).values())


def _newest(given: State, limit: int) -> "list[Run]":
    if given.url is not None:
        from firstfault.cli import remote

        return remote.runs(given.at_url(), limit)
    with _runs(given) as store:
        return list(store.newest(limit=limit))


def register(app: typer.Typer) -> None:
    """Hang the commands on the root."""
    app.command("eval")(eval_)
    app.command()(runs)
    app.command("compare-runs")(compare_runs)
