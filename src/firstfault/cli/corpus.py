"""`ingest`, `status`, `documents` and `gc`: what is in the collection."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.cli.progress import ingest_progress
from firstfault.cli.state import Json, State, anywhere, print_json

if TYPE_CHECKING:
    from rich.console import Console


def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files, folders, .jsonl or .jsonl.gz.")],
    meta: Annotated[
        list[str] | None, typer.Option("--meta", help="key=value for every document. Repeatable.")
    ] = None,
    prune: Annotated[bool, typer.Option(help="Retire documents that are gone from these paths.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the collection up to date with files, folders and JSONL."""
    from firstfault.ingest import Chunker, parse_flags
    from firstfault.ingest import ingest as run

    metadata = parse_flags(meta or ())
    server = anywhere(context).server()
    if server is not None:
        from firstfault.cli import remote

        with ingest_progress() as progress:
            report = remote.ingest(server, paths, metadata=metadata, prune=prune, progress=progress)
    else:
        with anywhere(context).application(create=True) as app, ingest_progress() as progress:
            chunker = Chunker(app.settings.chunking, app.embedder)
            report = run(
                app.collection, paths, chunker=chunker, metadata=metadata, prune=prune, progress=progress
            )
    if as_json:
        print_json(
            {
                **asdict(report),
                "documents_per_second": round(report.documents_per_second, 1),
                "chunks_per_second": round(report.chunks_per_second, 1),
            }
        )
        return
    from firstfault.cli import render

    render.ingest_report(render.console(), report)


def ingest_standard_library(given: State, out: "Console") -> None:
    """Ingest the documentation of the running interpreter's standard library."""
    from firstfault.cli import render
    from firstfault.ingest import Chunker, ingest_documents
    from firstfault.ingest.stdlib import stdlib_documents

    with given.application(create=True) as app, ingest_progress() as progress:
        chunker = Chunker(app.settings.chunking, app.embedder)
        documents = list(stdlib_documents())
        report = ingest_documents(
            app.collection, documents, chunker=chunker, total=len(documents), progress=progress
        )
    render.ingest_report(out, report)


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show how much is stored, with which embedder, and what failed."""
    server = anywhere(context).server()
    if server is not None:
        from firstfault.cli import remote

        info, failures = remote.status(server)
    else:
        with anywhere(context).stored() as collection:
            info, failures = collection.info(), collection.failures()
    if as_json:
        print_json({**asdict(info), "failed": [asdict(failure) for failure in failures]})
        return
    from firstfault.cli import render

    render.status(render.console(), info, failures)


def documents(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many; 0 = all.")] = 50,
    as_json: Json = False,
) -> None:
    """List the live documents."""
    server = anywhere(context).server()
    if server is not None:
        from firstfault.cli import remote

        found = remote.documents(server, limit)
    else:
        with anywhere(context).stored() as collection:
            found = list(collection.documents())
    if as_json:
        print_json({"documents": [asdict(row) for row in (found[:limit] if limit else found)]})
        return
    from firstfault.cli import render

    render.documents(render.console(), found, limit=limit)


def gc(
    context: typer.Context,
    keep_days: Annotated[
        int | None, typer.Option(min=0, help="Days to keep; trace.keep_days by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Drop traces, evaluation runs and retired revisions that are older than the retention."""
    server = anywhere(context).server()
    if server is not None:
        from firstfault.cli import remote

        done = remote.gc(server, keep_days)
    else:
        from firstfault.monitor.retention import collect

        with anywhere(context).application() as app:
            done = collect(app, keep_days)
    if as_json:
        print_json(done)
        return
    typer.echo(
        f"Dropped {done['traces']} traces, {done['runs']} runs, {done['documents']} retired revisions with "
        f"{done['chunks']} chunks and {done['embeddings']} cached vectors; "
        f"freed {done['bytes_freed'] / 2**20:.1f} MiB."
    )


def register(app: typer.Typer) -> None:
    """Hang the commands on the root."""
    for command in (ingest, status, documents, gc):
        app.command()(command)
