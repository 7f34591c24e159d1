"""`bakeoff`: the same cases through several ways to answer, compared in pairs."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from firstfault.cli.state import Json, print_json, state


def bakeoff(
    context: typer.Context,
    cases: Annotated[Path, typer.Argument(help="Cases: JSONL of {id, question, answer?, schema?, ...}.")],
    adapter: Annotated[
        str | None,
        typer.Option(help="Adapter of the arms tuned and hybrid: a release of the home, or a GGUF file."),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(help="Which arms, by comma: base, rag, tuned, hybrid, and those of [bakeoff.arms]."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Only the first N cases.")] = None,
    budget: Annotated[
        int | None,
        typer.Option(min=0, help="Most generations that finding the faults of an arm may ask for."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Run every arm anew, also what was finished before.")
    ] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the scorecard here, as Markdown.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write the scorecard here, as one HTML page.")] = None,
    as_json: Json = False,
) -> None:
    """Compare base model, retrieval, adapter and both on the same cases. What is interrupted is continued."""
    from firstfault.advise.arms import arms as arms_of
    from firstfault.advise.bakeoff import bakeoff as compare
    from firstfault.advise.bakeoff import plan
    from firstfault.cli import render_bakeoff
    from firstfault.cli.progress import download_progress, trial_progress
    from firstfault.evaluate import read_cases
    from firstfault.files import write_text

    given = state(context)
    found = read_cases(cases)[:limit]
    settings = given.config.settings
    wanted = [name.strip() for name in (arms or "").split(",") if name.strip()]
    chosen = arms_of(settings, adapter=adapter, wanted=wanted)
    if not wanted and not any(arm.tuned for arm in chosen):
        typer.echo(
            "no adapter: the arms tuned and hybrid are left out; give --adapter, or train one with "
            "firstfault finetune",
            err=True,
        )
    render_bakeoff.plan(plan(chosen, found, budget=budget), settings.bakeoff.currency)
    with download_progress() as download, trial_progress("starting") as progress:
        card = compare(
            given.config,
            found,
            chosen,
            collection=given.collection,
            source=str(cases),
            budget=budget,
            again=again,
            progress=progress,
            download=download,
        )
    if markdown is not None:
        from firstfault.advise.scorecard_markdown import markdown as as_markdown

        write_text(markdown, as_markdown(card))
    if page is not None:
        from firstfault.advise.page import page as as_page

        write_text(page, as_page(card))
    if as_json:
        print_json(asdict(card))
    else:
        render_bakeoff.scorecard(card)


def register(app: typer.Typer) -> None:
    """Hang the command on the root."""
    app.command()(bakeoff)
