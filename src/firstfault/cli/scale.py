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
    """Move the database of the home to a PostgreSQL, or back, and verify every table. Stop servers first."""
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
    if to == "sqlite" and state(context).config.settings.home.database:
        typer.echo("Take home.database out of the settings: they still name the PostgreSQL.")


def plan(
    documents: Annotated[int, typer.Option(min=1, help="How many documents.")],
    qps: Annotated[float, typer.Option(min=0.001, help="Questions a second, at the busiest time.")],
    chunks_per_document: Annotated[float, typer.Option(min=0.1, help="As `status` shows it.")] = 8.0,
    dimension: Annotated[int, typer.Option(min=8, help="Of the embedder's vectors.")] = 384,
    replication: Annotated[int, typer.Option(min=1, help="Copies of every shard.")] = 2,
    trace_days: Annotated[int, typer.Option(min=1, help="How long traces are kept.")] = 30,
    cores: Annotated[int, typer.Option(min=1, help="Of one node.")] = 8,
    memory_gib: Annotated[float, typer.Option(min=1, help="Of one node.")] = 32.0,
    disk_gib: Annotated[float, typer.Option(min=1, help="Of one node.")] = 1000.0,
    check: Annotated[bool, typer.Option(help="Simulate the queues of the first cluster.")] = True,
    as_json: Json = False,
) -> None:
    """Memory, disk, nodes and latency for a corpus and a rate of questions, embedded and in a cluster."""
    from firstfault.plan import Load, Node, simulate
    from firstfault.plan import plan as work_out

    load = Load(
        documents=documents,
        qps=qps,
        chunks_per_document=chunks_per_document,
        dimension=dimension,
        replication=replication,
        trace_days=trace_days,
    )
    found = work_out(load, Node(cores=cores, memory_gib=memory_gib, disk_gib=disk_gib))
    best = found.clusters[0]
    simulated = None
    if check:
        simulated = simulate(
            qps=qps,
            shards=best.shards,
            replicas=best.replicas,
            cores=cores,
            mean_ms=best.index_ms,
            cv=found.constants.service_cv,
            fixed_ms=found.constants.network_ms,
        )
    if as_json:
        print_json({**asdict(found), "simulated": None if simulated is None else asdict(simulated)})
        return
    from firstfault.cli.render_plan import show

    show(found, simulated)


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
    app.command()(plan)
    app.add_typer(collection_app, name="collection")
    app.add_typer(home_app, name="home")
