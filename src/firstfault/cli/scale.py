"""`collection move`, `home move` and `plan`: from one machine to several."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.cli.state import Json, print_json, state

if TYPE_CHECKING:
    from firstfault.types import Verdict

collection_app = typer.Typer(help="Where a collection's index is.", no_args_is_help=True)
home_app = typer.Typer(help="Where a home's database is.", no_args_is_help=True)


@collection_app.command("move")
def move_collection(
    context: typer.Context,
    to: Annotated[str, typer.Option(help="URL of a Qdrant cluster, or edge for the folder of the home.")],
    api_key_env: Annotated[str, typer.Option(help="Variable that holds the cluster's key.")] = "",
    as_json: Json = False,
) -> None:
    """Copy the index to a Qdrant cluster, or back, and verify it; what was interrupted goes on."""
    from firstfault.collection import Collection

    given = state(context)
    settings = given.config.settings
    changes = {"index.kind": "edge"}
    if to != "edge":
        changes = {"index.kind": "qdrant", "index.url": to}
        if api_key_env:
            changes["index.api_key_env"] = api_key_env
    wanted = settings.override(changes, origin="--to").index
    with Collection.open(
        given.config.home, name=given.collection, settings=settings, write=False
    ) as collection:
        report = collection.copy_index(wanted, _say_points)
    print(file=sys.stderr)
    if as_json:
        print_json({**asdict(report), "verified": report.verified, "settings": changes})
    else:
        typer.echo(
            f"{report.source} -> {report.target}: {report.points:,} points, {report.copied:,} copied now, "
            f"{report.removed:,} removed."
        )
        _echo(report.verdicts)
        if report.verified:
            typer.echo("\nThe copy is the same. To use it, set in firstfault.toml:\n\n[index]")
            for name, value in changes.items():
                typer.echo(f'{name.removeprefix("index.")} = "{value}"')
    if not report.verified:
        raise typer.Exit(1)


@home_app.command("move")
def move_home(
    context: typer.Context,
    to: Annotated[str, typer.Option(help="postgresql+psycopg://user@host/database, or sqlite.")],
    password_env: Annotated[str, typer.Option(help="Variable that holds the database's password.")] = "",
    as_json: Json = False,
) -> None:
    """Move the database of the home to a PostgreSQL, or back, and verify every table."""
    from firstfault.collection.relocate import relocate
    from firstfault.config import HomeConfig

    target = HomeConfig(database=None if to == "sqlite" else to, password_env=password_env)
    tables = relocate(state(context).config.home, target, _say_rows)
    print(file=sys.stderr)
    if as_json:
        print_json({"to": to, "tables": [asdict(table) for table in tables]})
        return
    for table in tables:
        typer.echo(f"{table.name:<14}{table.rows:>12,} rows  sha256 {table.checksum[:16]}")
    typer.echo(f"\nEvery table is the same. The home now has its database at {to}.")


def _echo(verdicts: "tuple[Verdict, ...]") -> None:
    for verdict in verdicts:
        typer.echo(f"  {verdict.status:<5}{verdict.name:<12}{verdict.reason}")
        if verdict.remedy:
            typer.echo(f"       fix: {verdict.remedy}")


def _say_points(done: int, total: int) -> None:
    print(f"\r{done:,} of {total:,} points", end="", file=sys.stderr, flush=True)


def _say_rows(table: str, done: int, total: int) -> None:
    print(f"\r{table}: {done:,} of {total:,} rows      ", end="", file=sys.stderr, flush=True)


def register(app: typer.Typer) -> None:
    """Hang the commands on the root."""
    app.add_typer(collection_app, name="collection")
    app.add_typer(home_app, name="home")
