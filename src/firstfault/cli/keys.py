"""`keys`: who may use the server."""

from typing import Annotated

import typer

from firstfault.cli.state import Json, print_json, state

app = typer.Typer(help="Create, list and revoke keys for the server.", no_args_is_help=True)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="ask, ingest, traces or admin. Repeatable; ask by default.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="A collection it may touch. Repeatable; all by default."),
    ] = None,
    per_minute: Annotated[float | None, typer.Option(min=0.01, help="Requests a minute.")] = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown once: only its hash is kept."""
    from firstfault.serve.keys import KeyStore

    store = KeyStore(state(context).config.home)
    key, secret = store.create(
        name, scopes=tuple(scope or ("ask",)), collections=tuple(only or ()), per_minute=per_minute
    )
    if as_json:
        print_json({"id": key.id, "key": secret, "scopes": list(key.scopes)})
        return
    print(secret)
    where = f" on {', '.join(key.collections)}" if key.collections else ""
    typer.echo(
        f"Key {key.id} may {', '.join(key.scopes)}{where}. Keep it: it cannot be shown again.", err=True
    )


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """Show the keys, without the keys themselves."""
    from firstfault.serve.keys import KeyStore

    found = KeyStore(state(context).config.home).all()
    if as_json:
        rows = [
            {
                "id": key.id,
                "name": key.name,
                "scopes": list(key.scopes),
                "collections": list(key.collections),
                "per_minute": key.per_minute,
                "created": key.created,
                "revoked": key.revoked,
            }
            for key in found
        ]
        print_json({"keys": rows})
        return
    if not found:
        typer.echo("There is no key. Make one: firstfault keys create NAME", err=True)
    for key in found:
        until = f"  revoked {key.revoked}" if key.revoked else ""
        where = ", ".join(key.collections) or "all collections"
        print(f"{key.id}  {key.name}  {', '.join(key.scopes)}  {where}  {key.created}{until}")


@app.command()
def revoke(
    context: typer.Context, identity: Annotated[str, typer.Argument(metavar="ID", help="See keys list.")]
) -> None:
    """End a key. A running server refuses it from the next request on."""
    from firstfault.serve.keys import KeyStore

    key = KeyStore(state(context).config.home).revoke(identity)
    typer.echo(f"Key {key.id} ({key.name}) is revoked.", err=True)
