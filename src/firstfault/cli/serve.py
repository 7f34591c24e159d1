"""`serve` and `mcp`: the application over HTTP, and as tools for agents."""

import os
import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from firstfault.cli.state import anywhere, pairs, state
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


def mcp(
    context: typer.Context,
    http: Annotated[bool, typer.Option("--http", help="Serve MCP over HTTP instead of stdio.")] = False,
    port: Annotated[int, typer.Option(help="With --http: port on 127.0.0.1.")] = 8766,
) -> None:
    """Serve search, ask, trace and diagnose to agents over MCP, through a running server if there is one."""
    from firstfault.serve import require_extra

    require_extra()
    from firstfault.serve import logs
    from firstfault.serve.mcp import LocalBackend, RemoteBackend, build

    logs.configure()
    given = anywhere(context)
    remote = given.server()
    with ExitStack() as stack:
        if remote is not None:
            server = build(RemoteBackend(remote))
        else:
            app = stack.enter_context(given.application())
            app.collection.info()  # a home that cannot be opened is said now, not at the first call
            server = build(LocalBackend(app))
        if http:
            print(f"MCP on http://127.0.0.1:{port}/mcp", file=sys.stderr)
            server.run("streamable-http", host="127.0.0.1", port=port)
        else:
            server.run("stdio")


def _announce(url: str) -> None:
    print(
        f"firstfault serves on {url} (process {os.getpid()}); OpenAPI at {url}/openapi.json", file=sys.stderr
    )


def register(app: typer.Typer) -> None:
    """Hang the commands on the root."""
    app.command()(serve)
    app.command()(mcp)
