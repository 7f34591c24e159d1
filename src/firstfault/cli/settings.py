"""`config` and `doctor`: what is in force and from where, and what is wrong with it."""

from dataclasses import asdict

import typer

from firstfault.cli.state import Json, print_json, state


def config(context: typer.Context, as_json: Json = False) -> None:
    """Print every setting with its value and origin."""
    found = state(context).config
    if as_json:
        rows = [{"key": key, "value": value, "origin": origin} for key, value, origin in found.items()]
        print_json({"home": str(found.home), "settings": rows, "fingerprint": found.settings.fingerprint()})
        return
    from rich.table import Table
    from rich.text import Text

    from firstfault.cli import render

    table = Table(box=None, padding=(0, 2), header_style="bold", pad_edge=False)
    for column in ("setting", "value", "from"):
        table.add_column(column)
    for key, value, origin in found.items():
        style = "dim" if origin == "default" else "bold green"
        shown = "–" if value is None else str(value)
        table.add_row(Text(key), Text(shown, style=style), Text(origin, style=style))
    render.console().print(table)


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check models, index, endpoints and disk; print the fix for each finding."""
    from firstfault.answer.checkup import checkup

    found = checkup(state(context).config, collection=state(context).collection)
    failing = any(verdict.status == "fail" for verdict in found)
    if as_json:
        print_json({"healthy": not failing, "checks": [asdict(verdict) for verdict in found]})
    else:
        from firstfault.cli import render

        render.verdicts(render.console(), found)
    if failing:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Hang the commands on the root."""
    app.command()(config)
    app.command()(doctor)
