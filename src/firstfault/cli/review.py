"""`review`: spot checks by keyboard; `draw`, `status`, `label` and `export` for scripts."""

import getpass
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from firstfault.cli.state import Json, State, print_json, state
from firstfault.errors import InputError, MissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstfault.monitor.review import Draw, Item, Reviews

app = typer.Typer(invoke_without_command=True, help="Spot checks: is what the answers say supported?")

KEYS = {"s": "supported", "u": "unsupported", "?": "unsure"}
DRAWN = 50
Reviewer = Annotated[str | None, typer.Option("--reviewer", help="Your name; the login name by default.")]


@app.callback()
def review(
    context: typer.Context,
    reviewer: Reviewer = None,
    second: Annotated[
        bool, typer.Option("--second", help="What one other reviewer has judged, for the agreement.")
    ] = False,
) -> None:
    """Judge sentences one after the other: s supported, u unsupported, ? unsure, n note, q quit."""
    if context.invoked_subcommand is not None:
        return
    given = state(context)
    if not sys.stdin.isatty():
        raise InputError(
            "Reviewing needs a keyboard.", hint="In scripts: firstfault review draw, status, label, export."
        )
    name = reviewer or getpass.getuser()
    reviews = _reviews(given)
    waiting = reviews.queue(name, collection=given.collection, second=second)
    if not waiting and not second:
        _tell(_draw(given, reviews, DRAWN))
        waiting = reviews.queue(name, collection=given.collection)
    for number, item in enumerate(waiting, start=1):
        if not _ask(reviews, item, name, f"{number} of {len(waiting)}"):
            break
    _status(given, reviews, width=0.1, as_json=False)


@app.command()
def draw(
    context: typer.Context,
    size: Annotated[int, typer.Option(min=1, help="How many sentences.")] = DRAWN,
    as_json: Json = False,
) -> None:
    """Draw sentences since the last draw into the queue, doubtful ones more often."""
    given = state(context)
    found = _draw(given, _reviews(given), size)
    if as_json:
        print_json(asdict(found))
    else:
        _tell(found)


@app.command()
def status(
    context: typer.Context,
    width: Annotated[float, typer.Option(min=0.005, max=1.0, help="Wanted width of the interval.")] = 0.1,
    as_json: Json = False,
) -> None:
    """The estimated hallucination rate, how sure that is, and how far reviewers agree."""
    given = state(context)
    _status(given, _reviews(given), width=width, as_json=as_json)


@app.command("list")
def list_(
    context: typer.Context,
    reviewer: Reviewer = None,
    second: Annotated[bool, typer.Option("--second", help="What one other reviewer has judged.")] = False,
    as_json: Json = False,
) -> None:
    """What waits for a reviewer."""
    given = state(context)
    found = _reviews(given).queue(reviewer or getpass.getuser(), collection=given.collection, second=second)
    if as_json:
        print_json({"items": [asdict(item) for item in found]})
        return
    for item in found:
        print(f"{item.id}  {item.stratum:<12} {item.sentence}")
    if not found:
        print("nothing waits; `firstfault review draw` draws more", file=sys.stderr)


@app.command()
def label(
    context: typer.Context,
    item: Annotated[str, typer.Argument(help="Id of the sentence, as `review list` shows it.")],
    word: Annotated[str, typer.Argument(metavar="supported|unsupported|unsure")],
    reviewer: Reviewer = None,
    note: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Judge one sentence; a second label of the same reviewer replaces the first."""
    done = _reviews(state(context)).label(item, reviewer or getpass.getuser(), word, note)
    if as_json:
        print_json(asdict(done))
    else:
        print(f"kept: {word}")


@app.command()
def export(
    context: typer.Context,
    kind: Annotated[Literal["calibration", "cases"], typer.Argument(help="What for.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSONL file; - prints it.")] = Path("-"),
) -> None:
    """Labels for `firstfault verify calibrate`, or evaluation cases of the questions that were reviewed."""
    given = state(context)
    reviews = _reviews(given)
    rows = list(
        reviews.calibration(collection=given.collection) if kind == "calibration" else _cases(given, reviews)
    )
    if not rows:
        raise InputError("No sentence is reviewed yet.", hint="Review some: firstfault review")
    if str(out) == "-":
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    from firstfault.files import write_rows

    write_rows(out, rows)
    command = f"firstfault verify calibrate {out}" if kind == "calibration" else f"firstfault eval {out}"
    print(f"{len(rows)} written to {out}; next: {command}", file=sys.stderr)


def _reviews(given: State) -> "Reviews":
    from firstfault.collection.database import connect
    from firstfault.monitor import Reviews

    return Reviews(connect(given.config.home, create=False))


def _draw(given: State, reviews: "Reviews", size: int) -> "Draw":
    from firstfault.monitor.review import MOST_TRACES

    with given.traces() as store:
        traces = list(store.newest(limit=MOST_TRACES))
    if not traces:
        raise MissingError("There is no request yet.", hint="Ask something: firstfault ask QUESTION")
    return reviews.draw(traces, size=size, collection=given.collection)


def _cases(given: State, reviews: "Reviews") -> "Iterator[dict[str, Any]]":
    from firstfault.evaluate.cases import as_row

    ids = sorted({item.trace_id for item in reviews.items(collection=given.collection)})
    with given.traces() as store:
        found = store.several(ids)
    return (as_row(case) for case in reviews.cases(found, collection=given.collection))


def _tell(found: "Draw") -> None:
    parts = ", ".join(f"{found.drawn[name]} of {number} {name}" for name, number in found.population.items())
    print(f"drawn: {parts}", file=sys.stderr)


def _status(given: State, reviews: "Reviews", *, width: float, as_json: bool) -> None:
    found = reviews.summary(collection=given.collection, width=width)
    if as_json:
        print_json(asdict(found))
    else:
        from firstfault.cli import render_monitor

        render_monitor.reviews(found)


def _ask(reviews: "Reviews", item: "Item", name: str, place: str) -> bool:
    """Show a sentence and take a key. False = enough."""
    from rich.markup import escape
    from rich.padding import Padding

    from firstfault.cli.render import console

    out = console()
    out.rule(f"{place}, {item.stratum.replace('_', ' ')}")
    out.print(f"[dim]question[/]  {escape(item.question)}")
    for source in item.sources:
        mark = "[bold]" if source.cited else "[dim]"
        out.print(f"{mark}[{source.number}] {escape(source.title)}[/]")
        out.print(Padding(escape(source.text), (0, 0, 0, 4)))
    out.print(f"\n[bold]{escape(item.sentence)}[/]")
    note = ""
    while True:
        print("s supported, u unsupported, ? unsure, n note, q quit: ", end="", flush=True)
        pressed = typer.getchar().lower()
        print(pressed)
        if pressed in KEYS:
            reviews.label(item.id, name, KEYS[pressed], note)
            return True
        if pressed == "n":
            note = typer.prompt("note", default="", show_default=False)
        if pressed in ("q", "\x1b", "\x03", "\x04"):
            return False
