"""`format`: drift of structured answers over traces, and training data held against a schema."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.cli.state import Json, print_json, state

if TYPE_CHECKING:
    from firstfault.structured.examples import Coverage

group = typer.Typer(no_args_is_help=True, help="Structured answers: their drift, and data for them.")

DEFAULT_REFERENCE = 0.99


@group.command("drift")
def drift_(
    context: typer.Context,
    since: Annotated[
        str | None, typer.Option(help="Only traces since then: 12h, 7d, or an ISO 8601 time.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")] = 20_000,
    reference: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Validity at rest; evaluate.format_validity by default."),
    ] = None,
    baseline: Annotated[
        int, typer.Option(min=0, help="Estimate the validity at rest from the first so many of each group.")
    ] = 0,
    cases: Annotated[bool, typer.Option("--cases", help="Count evaluations as well.")] = False,
    as_json: Json = False,
) -> None:
    """Validity of structured answers by schema, model and adapter; exit 1 when an alarm is raised."""
    from firstfault.cli import render, render_format
    from firstfault.structured.drift import drift, grouped

    opened = state(context)
    held = reference if reference is not None else opened.config.settings.evaluate.format_validity
    with opened.traces() as store:
        found = grouped(store.newest(limit=limit, since=_since(since)), cases=cases)
    made = [
        drift(group, responses, reference=DEFAULT_REFERENCE if held is None else held, baseline=baseline)
        for group, responses in found.items()
    ]
    if as_json:
        print_json({"groups": [asdict(one) for one in made]})
    else:
        render_format.drifts(render.console(), made)
    if any(alarm.raised for one in made for alarm in one.alarms):
        raise typer.Exit(1)


@group.command("check")
def check(
    data: Annotated[Path, typer.Argument(help="Training data: JSONL, one example a line.")],
    schema: Annotated[Path, typer.Option(help="The JSON schema that the examples are to teach.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write candidates for missing edge cases here (JSONL).")
    ] = None,
    as_json: Json = False,
) -> None:
    """How many valid format examples there are, and what they never show; exit 1 when a check fails."""
    from firstfault.cli import render, render_format
    from firstfault.structured import read_schema
    from firstfault.structured.examples import cover, read_examples

    compiled = read_schema(schema)
    made = cover(read_examples(data), compiled)
    if out is not None:
        _write(made, out)
    if as_json:
        print_json(asdict(made))
    else:
        render_format.coverage(render.console(), made)
    if any(verdict.status == "fail" for verdict in made.verdicts):
        raise typer.Exit(1)


def _write(made: "Coverage", out: Path) -> None:
    from firstfault.files import write_rows

    rows = [{"path": one.case.path, "shows": one.case.kind, "output": one.value} for one in made.candidates]
    write_rows(out, rows)
    typer.echo(f"{len(rows)} candidates → {out}", err=True)


def _since(text: str | None) -> str | None:
    """A time in UTC as traces write it, from `12h`, `7d` or an ISO 8601 time."""
    from firstfault.diagnose.diagnosis import span_of_time
    from firstfault.errors import InputError

    if text is None:
        return None
    if text[-1:].isalpha() and text[:-1].isdecimal():
        moment = datetime.now(UTC) - span_of_time(text)
    else:
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except ValueError as error:
            raise InputError(f"{text!r} is no time.", hint="Write 12h, 7d or 2026-01-31T12:00.") from error
    return moment.isoformat(timespec="milliseconds")


def register(app: typer.Typer) -> None:
    """Hang the group on the root."""
    app.add_typer(group, name="format")
