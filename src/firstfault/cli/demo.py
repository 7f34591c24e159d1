"""`demo`: the whole path on a real corpus that is on every machine, the Python standard library."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.cli.state import State, state

if TYPE_CHECKING:
    from rich.console import Console

DEMO_HOME = Path(".firstfault-demo")

QUESTIONS: tuple[tuple[str, str | None], ...] = (
    ("How do I serialize an object to a JSON formatted string?", None),
    ("What happens when lru_cache is called with maxsize set to None?", None),
    ("How can I find the greatest common divisor of integers?", 'module = "math"'),
    ("Which function copies a file together with its metadata?", None),
    ("Who won the football world cup in 2022?", None),
)
"""Question and metadata filter. The last one has no answer in the corpus: the right reply is to say so."""


def demo(
    context: typer.Context,
    seed: Annotated[
        int | None, typer.Option(help="Which way to break the application at the end; drawn when not given.")
    ] = None,
) -> None:
    """Answer questions from the standard library's documentation; then break, diagnose and repair."""
    from firstfault.cli import corpus, demo_repair, render
    from firstfault.cli.progress import download_progress
    from firstfault.models import store

    given = state(context)
    home = given.home or DEMO_HOME
    shared = State(
        home=home,
        file=given.file,
        overrides=("answer.policy=strip", *given.overrides),
        collection=given.collection,
    )
    out = render.console()
    with download_progress() as progress:
        store.pull(progress=progress)
    out.print("[bold]1. Ingest[/]  the documentation of this interpreter's standard library")
    corpus.ingest_standard_library(shared, out)
    out.print("\n[bold]2. Ask[/]  five questions of a 135M model: watch what it invents being caught")
    _ask_all(shared, out)
    demo_repair.break_and_repair(shared, out, seed)
    out.print("\n[bold]6. Look closer[/]")
    for hint in ('ask "your own question"', 'search "your own question"', "traces", "trace ID", "doctor"):
        out.print(f"  firstfault --home {home} {hint}", markup=False)


def _ask_all(shared: State, out: "Console") -> None:
    from firstfault.cli import render

    with shared.application() as app:
        for question, where in QUESTIONS:
            trace = app.ask(question, where=where)
            assert trace.answer is not None
            out.print()
            suffix = f"   --where '{where}'" if where else ""
            out.print(f"Q  {question}{suffix}", style="bold", markup=False)
            render.answer(out, trace.answer)
            out.print()
            render.waterfall(out, trace)


def register(app: typer.Typer) -> None:
    """Hang the command on the root."""
    app.command()(demo)
