"""`finetune data`: where training examples come from."""

from pathlib import Path
from typing import Annotated

import typer

from firstfault.cli.state import Json, print_json, state

group = typer.Typer(no_args_is_help=True, help="Make training examples.")


@group.command("from-traces")
def from_traces(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Write the examples here, as chat JSONL.")],
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="At most so many traces, the newest.")
    ] = 20_000,
    cases: Annotated[bool, typer.Option("--cases", help="Take requests of evaluations as well.")] = False,
    without: Annotated[
        Path | None, typer.Option(help="Cases whose questions are held out: what the result is measured on.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verified answers as examples: the passages stay in the prompt, so that form is learnt and not facts."""
    from firstfault.evaluate import read_cases
    from firstfault.finetune.data import write_dataset
    from firstfault.finetune.from_traces import examples_from

    held = [case.question for case in read_cases(without)] if without is not None else []
    with state(context).traces() as store:
        made = examples_from(store.newest(limit=limit), cases=cases, without=held)
    write_dataset(made.rows, out)
    if as_json:
        print_json({"examples": len(made.rows), "left_out": made.left_out, "out": str(out)})
        return
    typer.echo(f"{len(made.rows):,} examples → {out}")
    for reason, count in made.left_out.items():
        typer.echo(f"  {count:>6,} left out: {reason}")
    typer.echo(f"next: firstfault finetune check {out}", err=True)


def register(finetune: typer.Typer) -> None:
    """Hang the group on `finetune`."""
    finetune.add_typer(group, name="data")
