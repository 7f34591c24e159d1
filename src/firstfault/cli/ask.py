"""`ask` and `search`: questions in, answers and candidates out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.answer.documents import answer_document, search_document
from firstfault.cli.state import Json, anywhere, print_json

if TYPE_CHECKING:
    from firstfault.types import Trace

Where = Annotated[
    str | None,
    typer.Option(
        "--where", help="""Metadata filter, e.g. 'kind = "function" and published >= "2024-01-01"'."""
    ),
]


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    where: Where = None,
    policy: Annotated[
        str | None, typer.Option(help="Unsupported sentences: annotate, strip or abstain.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="JSON schema that the answer must satisfy; exit 1 when it does not.")
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(help="LoRA adapter: a released name, a GGUF file, or a name that the endpoint serves."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer from the documents, with every sentence checked and every citation verified."""
    from firstfault.cli import render

    shape = None
    if schema is not None:
        from firstfault.structured import read_schema

        shape = read_schema(schema).document
    server = anywhere(context).server()
    if server is not None:
        from firstfault.cli import remote

        satisfied = remote.ask(
            server, question, where=where, policy=policy, schema=shape, adapter=adapter, as_json=as_json
        )
        if not satisfied:
            raise typer.Exit(1)
        return
    alone = not anywhere(context).config.settings.search.enabled  # a home without documents will do
    with anywhere(context).application(create=alone) as app:
        settings = app.settings.override({"answer.policy": policy}, origin="--policy") if policy else None
        if adapter:
            settings = (settings or app.settings).override({"generator.adapter": adapter}, origin="--adapter")
        if as_json:
            trace = app.ask(question, where=where, settings=settings, schema=shape)
            print_json(answer_document(trace))
            _exit_when_malformed(trace)
            return
        draft = render.Draft(render.console(stderr=True))
        with draft:
            trace = app.ask(question, where=where, settings=settings, schema=shape, listener=draft.add)
    out = render.console()
    assert trace.answer is not None
    render.shown(out, trace)
    out.print()
    render.waterfall(out, trace)
    made = trace.generation
    by = f", {render.plain(render.adapted(made))}" if made is not None and made.adapter else ""
    out.print(f"  [dim]trace {trace.id}{by}[/]")
    _exit_when_malformed(trace)


def _exit_when_malformed(trace: "Trace") -> None:
    """An answer that does not satisfy its schema is a verdict: exit 1."""
    if trace.format is not None and not trace.format.valid:
        raise typer.Exit(1)


def search(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What to look for.")],
    where: Where = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many candidates to show.")] = 10,
    exact: Annotated[bool, typer.Option(help="Exact dense search instead of the index.")] = False,
    as_json: Json = False,
) -> None:
    """Show the candidates for a question, the arms side by side."""
    server = anywhere(context).server()
    if server is not None:
        from firstfault.cli import remote

        remote.search(server, question, where=where, limit=limit, exact=exact, as_json=as_json)
        return
    with anywhere(context).application(looks=True) as app:
        hits = app.search(question, where=where, exact=exact)
    if as_json:
        print_json(search_document(question, hits[:limit]))
        return
    from firstfault.cli import render

    render.hits(render.console(), hits, limit=limit)


def register(app: typer.Typer) -> None:
    """Hang the commands on the root."""
    app.command()(ask)
    app.command()(search)
