"""`trace`, `traces` and `replay`: what happened, and what would happen with another setting."""

from typing import Annotated

import typer

from firstfault.answer.documents import replay_document, trace_row
from firstfault.cli.state import Json, anywhere, pairs, print_json

TraceId = Annotated[str, typer.Argument(help="A trace id, or enough of its beginning.")]


def trace(context: typer.Context, trace_id: TraceId, as_json: Json = False) -> None:
    """Show one request: every stage, candidate, passage, citation and verdict."""
    from firstfault.cli import render
    from firstfault.trace import as_dict

    given = anywhere(context)
    if given.url is not None:
        from firstfault.cli import remote

        found = remote.trace(given.at_url(), trace_id)
    else:
        with given.traces() as store:
            found = store.get(trace_id)
    if as_json:
        print_json(as_dict(found))
        return
    render.trace(render.console(), found)


def traces(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List the newest requests."""
    from firstfault.cli import render

    given = anywhere(context)
    if given.url is not None:
        from firstfault.cli import remote

        found = remote.traces(given.at_url(), limit)
    else:
        with given.traces() as store:
            found = list(store.newest(limit=limit))
    if as_json:
        print_json({"traces": [trace_row(one) for one in found]})
        return
    render.traces(render.console(), found)


def replay(
    context: typer.Context,
    trace_id: TraceId,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: section.key=value. Repeatable.")
    ] = None,
    where: Annotated[str | None, typer.Option("--where", help="Change the metadata filter.")] = None,
    as_json: Json = False,
) -> None:
    """Run a request again from the first stage that a change touches, and compare."""
    from firstfault.cli import render

    changed = pairs(changes or (), "--set")
    server = anywhere(context).server()
    if server is not None:
        from firstfault.cli import remote

        document, before, after = remote.replay(server, trace_id, changed, where)
    else:
        with anywhere(context).application() as app:
            before = app.traces.get(trace_id)
            after = app.replay(before, changed, where=where)
        document = replay_document(before, after)
    if as_json:
        print_json(document)
        return
    render.comparison(render.console(), before, after)


def register(app: typer.Typer) -> None:
    """Hang the commands on the root."""
    app.command()(trace)
    app.command()(traces)
    app.command()(replay)
