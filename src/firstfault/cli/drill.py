"""`drill`: break a copy of the application on purpose, and see whether the diagnosis names what is broken."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firstfault.cli.state import Json, State, print_json, state
from firstfault.errors import InputError

if TYPE_CHECKING:
    from firstfault.drill import Fault, Outcome
    from firstfault.drill.series import Drill
    from firstfault.types import Case

app = typer.Typer(
    help="Break a copy of the application on purpose, and see whether the diagnosis names what is broken.",
    invoke_without_command=True,
)


class Which(StrEnum):
    """Which faults of the library."""

    DEVELOPMENT = "development"
    BLIND = "blind"
    ALL = "all"


Only = Annotated[list[str] | None, typer.Option(help="Only this fault. Repeatable.")]
Part = Annotated[Which, typer.Option("--set", help="Which part of the library.")]
Severity = Annotated[
    float | None, typer.Option(min=0.01, max=1.0, help="How badly; each fault's own by default.")
]
Report = Annotated[Path | None, typer.Option(help="Write the report here.")]
Listed = Annotated[bool, typer.Option("--list", help="Show the faults and end.")]


@app.callback()
def drill(
    context: typer.Context,
    on: Annotated[
        Path | None,
        typer.Option(help="Your cases; ends with a readiness report. Default: those of the last run."),
    ] = None,
    fault: Only = None,
    set_: Part = Which.DEVELOPMENT,
    severity: Severity = None,
    double: Annotated[
        bool, typer.Option("--double", help="Pairs of faults: the first must be named first.")
    ] = False,
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs with --double.")] = 20,
    control: Annotated[
        bool, typer.Option("--control", help="Nothing is broken: is it called healthy?")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="How many healthy controls with --control.")] = 6,
    repair: Annotated[
        bool, typer.Option("--fix", help="Have `fix` repair what is found, and say whether it did.")
    ] = False,
    cases: Annotated[int, typer.Option("--cases", "-n", min=4, help="Cases for each drill, at most.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Chooses cases, documents and pairs.")] = 0,
    markdown: Report = None,
    list_: Listed = False,
    as_json: Json = False,
) -> None:
    """Break a copy of the application, one fault at a time, and diagnose it. The home is only read; the
    report is kept in it, for the page Drills."""
    if context.invoked_subcommand is not None:
        return
    from firstfault.drill.library import FAULTS, named

    faults = (
        named(fault)
        if fault
        else [one for one in FAULTS.values() if set_ == Which.ALL or one.set == set_.value]
    )
    if list_:
        _list(faults, as_json=as_json)
        return
    from firstfault.cli import render_drill
    from firstfault.drill import records, report, series
    from firstfault.files import write_text

    given = state(context)
    known = _cases(given, on)
    drills = _drills(
        faults,
        double=pairs if double else 0,
        control=seeds if control else 0,
        severity=severity,
        seed=seed,
        count=cases,
    )
    done: dict[int, Outcome] = {}
    with render_drill.progress() as show:
        for position, outcome in series.outcomes(
            drills, given.config, known, collection=given.collection, repair=repair
        ):
            done[position] = outcome
            show(outcome, len(drills))
    outcomes = [done[position] for position in range(len(drills))]
    summary = report.summarize(outcomes)
    ready = (
        report.readiness(outcomes, sum(case.answerable is False for case in known), _unset_budgets(given))
        if on is not None and not double and not control
        else []
    )
    if markdown is not None:
        write_text(markdown, report.markdown(outcomes, summary, ready))
    document = report.document(outcomes, summary, ready)
    records.save(given.config.home, document)
    if as_json:
        print_json(document)
    else:
        render_drill.summary(outcomes, summary, ready)


@app.command()
def proxy(
    upstream: Annotated[
        str, typer.Option(help="The endpoint behind it, e.g. http://127.0.0.1:8000/v1.")
    ] = "",
    fault: Annotated[list[str] | None, typer.Option(help="What goes wrong. Repeatable; see --list.")] = None,
    rate: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the requests that are hit.")] = 1.0,
    delay: Annotated[float, typer.Option(min=0.0, help="Seconds, for the faults that delay.")] = 5.0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = a free one.")] = 8399,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the questions that are hit.")] = 0,
    list_: Listed = False,
) -> None:
    """Put faults in front of any OpenAI-compatible endpoint: point your application at this address."""
    from firstfault.drill.behaviours import NAMES
    from firstfault.drill.proxy import Plan, Planned, Proxy
    from firstfault.drill.upstream import RemoteUpstream

    if list_:
        for name in NAMES:
            typer.echo(name)
        return
    if not upstream.startswith(("http://", "https://")):
        raise InputError(
            "No endpoint is given.", hint="Say what is behind it: --upstream http://127.0.0.1:8000/v1"
        )
    planned = tuple(Planned(name=name, rate=rate, delay_s=delay) for name in fault or ())
    server = Proxy(RemoteUpstream(upstream), Plan(faults=planned, seed=seed), port=port)
    shown = ", ".join(f"{one.name} at {one.rate:.0%}" for one in planned) or "no fault"
    typer.echo(f"{server.base_url} → {upstream}   ({shown}; Ctrl-C ends)", err=True)
    try:
        server.serve()
    except KeyboardInterrupt:
        typer.echo(f"\n{server.plan.struck} requests were hit.", err=True)


def _drills(
    faults: "list[Fault]",
    *,
    double: int,
    control: int,
    severity: float | None,
    seed: int,
    count: int,
) -> "list[Drill]":
    """What to run."""
    from firstfault.drill import series

    if control:
        return series.controls(seeds=range(seed, seed + control), count=count)
    if double:
        return series.doubles(faults, pairs=double, seed=seed, count=count)
    return series.singles(faults, seed=seed, severity=severity, count=count)


def _cases(given: State, file: Path | None) -> "tuple[Case, ...]":
    """The cases of a file, else of the newest run of the home."""
    from contextlib import closing

    from firstfault.collection.database import connect
    from firstfault.evaluate import RunStore, read_cases

    if file is not None:
        return read_cases(file)
    with closing(RunStore(connect(given.config.home, create=False))) as store:
        newest = store.newest(limit=1)
        found = [result.case for run in newest for result in store.results(run.id).values()]
    kept = tuple(case for case in found if case is not None)
    if not kept:
        raise InputError(
            "No run of this home has cases to drill with.",
            hint="Give a file: firstfault drill --on cases.jsonl",
        )
    return kept


def _unset_budgets(given: State) -> list[str]:
    latency = given.config.settings.latency
    return [f"latency.{name}" for name, value in latency.model_dump().items() if value is None]


def _list(faults: "list[Fault]", *, as_json: bool) -> None:
    if as_json:
        print_json({"faults": [_declared(one) for one in faults]})
        return
    from firstfault.cli import render_drill

    render_drill.library(faults, "Run them on a copy of your application: firstfault drill --on cases.jsonl")


def _declared(fault: "Fault") -> dict[str, Any]:
    return {
        "name": fault.name,
        "stage": fault.stage.value,
        "cause": fault.cause,
        "summary": fault.summary,
        "dial": fault.dial,
        "severity": fault.severity,
        "scene": fault.scene,
        "answers": fault.answers,
        "set": fault.set,
    }


def register(root: typer.Typer) -> None:
    """Hang the commands on the root."""
    root.add_typer(app, name="drill")
