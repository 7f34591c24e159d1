"""`serve`: the application over HTTP."""

import os
import sys
from typing import Annotated

import typer

from firstfault.cli.state import pairs, state
from firstfault.config import Config, load


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to bind; serve.host by default.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; serve.port by default, 0 = any.")] = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", help="A further collection to open. Repeatable.")
    ] = None,
) -> None:
    """Serve the API until it is stopped (SIGTERM); SIGHUP reads the configuration again."""
    from firstfault.serve import require_extra

    require_extra()
    from firstfault.serve import logs, server

    given = state(context)
    changes = {"serve.host": host, "serve.port": None if port is None else str(port)}
    overrides = pairs(given.overrides, "--set") | {k: v for k, v in changes.items() if v is not None}

    def read() -> Config:
        return load(given.home, given.file, overrides=overrides)

    logs.configure()
    collections = dict.fromkeys((given.collection, *(also or ())))
    server.run(read(), collections=tuple(collections), reload=read, ready=_announce)


def _announce(url: str) -> None:
    print(
        f"firstfault serves on {url} (process {os.getpid()}); OpenAPI at {url}/openapi.json", file=sys.stderr
    )


def register(app: typer.Typer) -> None:
    """Hang the command on the root."""
    app.command()(serve)
