"""`models`: the embedded models in the user's cache."""

from typing import Annotated

import typer

from firstfault.cli.progress import download_progress
from firstfault.cli.state import Json, print_json

group = typer.Typer(no_args_is_help=True, help="The embedded models: pull, verify, list.")


@group.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which models; all known ones by default.")
    ] = None,
) -> None:
    """Download models into the user's cache and verify their checksums."""
    from firstfault.models import store

    wanted = names or [model.name for model in store.KNOWN_MODELS]
    with download_progress() as progress:
        store.pull(wanted, progress=progress)
    for name in wanted:
        typer.echo(f"{name}: verified, {store.path(name)}", err=True)


@group.command("list")
def list_(as_json: Json = False) -> None:
    """List known models and whether they are here and intact."""
    from dataclasses import asdict

    from firstfault.cli import render
    from firstfault.models import store

    found = [store.verify(model.name) for model in store.KNOWN_MODELS]
    if as_json:
        print_json({"models": [asdict(verdict) for verdict in found]})
        return
    render.verdicts(render.console(), found)


def register(app: typer.Typer) -> None:
    """Hang the group on the root."""
    app.add_typer(group, name="models")
