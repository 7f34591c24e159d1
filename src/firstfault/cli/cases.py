"""`cases`: where cases come from: recorded requests, other tools' test sets, and a model that asks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.cli.state import state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstfault.evaluate.imports import Format
    from firstfault.types import Case

group = typer.Typer(no_args_is_help=True, help="Make cases for `eval`.")

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write the cases here; stdout by default.")]


@group.command("from-traces")
def from_traces(
    context: typer.Context,
    trace_ids: Annotated[
        list[str] | None, typer.Argument(help="Trace ids; the newest traces by default.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many traces, newest first.")] = 100,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Only traces that are error, abstained, malformed, unchecked, supported, partial or "
            "unsupported. Repeatable.",
        ),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take supported answers and abstentions as right.")
    ] = False,
    out: Out = None,
) -> None:
    """Turn recorded requests into cases, one for each question."""
    from firstfault.evaluate.from_traces import cases_from
    from firstfault.trace import status

    with state(context).traces() as store:
        found = [store.get(one) for one in trace_ids] if trace_ids else list(store.newest(limit=limit))
    kept = [trace for trace in found if not only or status(trace) in only]
    _write(list(cases_from(kept, accept=accept)), out)


@group.command("generate")
def generate_(
    context: typer.Context,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many cases.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Decides which passages are asked about.")] = 0,
    out: Out = None,
) -> None:
    """Let the configured model ask about your documents; only questions it can answer from them are kept."""
    from firstfault.cli.progress import case_progress
    from firstfault.evaluate.generate import TRIES, generate

    with state(context).application() as app:
        settings = app.settings.generator
        if settings.kind == "openai":
            calls = 2 * TRIES * count
            typer.echo(f"asks {settings.model} at {settings.base_url}: up to {calls:,} requests", err=True)
        with case_progress() as progress:
            found = app.run(generate(app, count=count, seed=seed, progress=progress))
    reasons = ", ".join(f"{number} {reason.replace('_', ' ')}" for reason, number in found.rejected.items())
    typer.echo(
        f"{len(found.cases)} kept of {found.tried} tried" + (f"; {reasons}" if reasons else ""), err=True
    )
    _write(found.cases, out)


@group.command("import")
def import_(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A file, or for beir a folder.")],
    kind: Annotated[str, typer.Option("--format", help="ragas, beir or squad.")],
    documents: Annotated[
        Path | None, typer.Option(help="Write the documents of the set here, to be ingested.")
    ] = None,
    match: Annotated[
        bool, typer.Option("--match", help="Name the stored documents that hold the evidence instead.")
    ] = False,
    split: Annotated[str, typer.Option(help="beir: which judgements, qrels/SPLIT.tsv.")] = "test",
    out: Out = None,
) -> None:
    """Read a test set of another tool."""
    from firstfault.evaluate.imports import import_cases, write_documents
    from firstfault.evaluate.imports import match as match_documents

    found = import_cases(path, _format(kind), split=split)
    if documents is not None:
        write_documents(found.documents, documents)
        typer.echo(f"{len(found.documents)} documents → {documents}", err=True)
    cases: Sequence[Case] = found.cases
    if match:
        with state(context).application() as app:
            matched = match_documents(found, app)
        cases = matched.cases
        typer.echo(f"{matched.matched} units of evidence stand in stored documents", err=True)
        if matched.unmatched:
            named = ", ".join(matched.unmatched[:5]) + (" …" if len(matched.unmatched) > 5 else "")
            typer.echo(f"evidence of {len(matched.unmatched)} cases stands in none: {named}", err=True)
    _write(cases, out)


def _format(kind: str) -> "Format":
    from firstfault.errors import InputError

    formats: dict[str, Format] = {"ragas": "ragas", "beir": "beir", "squad": "squad"}
    if kind not in formats:
        raise InputError(f"Unknown format '{kind}'.", hint="Use --format ragas, beir or squad.")
    return formats[kind]


def _write(cases: "Sequence[Case]", out: Path | None) -> None:
    from firstfault.evaluate.cases import as_row, write_cases

    if out is None:
        for case in cases:
            print(json.dumps(as_row(case), ensure_ascii=False))
        return
    typer.echo(f"{write_cases(cases, out)} cases → {out}", err=True)


def register(app: typer.Typer) -> None:
    """Hang the group on the root."""
    app.add_typer(group, name="cases")
