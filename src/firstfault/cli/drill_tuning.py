"""`drill tuning`: spoil a fine-tuning on purpose, and see whether it is stopped and the fault is named."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firstfault.cli.drill import Listed, Only, Part, Report, Severity, Which
from firstfault.cli.finetune import BaseModel, SchemaFile
from firstfault.cli.state import Json, print_json, state

if TYPE_CHECKING:
    from firstfault.drill.tuning import TuningFault
    from firstfault.finetune.drills import Training, TuningOutcome


def tuning(
    context: typer.Context,
    data: Annotated[Path | None, typer.Argument(help="Training examples, as for finetune train.")] = None,
    validation: Annotated[
        Path | None, typer.Option("--validation", help="Held-out examples; else a tenth is held out.")
    ] = None,
    schema: SchemaFile = None,
    model: BaseModel = None,
    recipe: Annotated[
        list[str] | None, typer.Option("--recipe", help="A value of the recipe: name=value. Repeatable.")
    ] = None,
    fault: Only = None,
    set_: Part = Which.DEVELOPMENT,
    severity: Severity = None,
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="Train as it is, too: is it called healthy?")
    ] = True,
    anyway: Annotated[
        bool, typer.Option(help="Train on data that would fail the gate, too; else refusing them is the end.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the rows that are spoilt.")] = 0,
    markdown: Report = None,
    list_: Listed = False,
    as_json: Json = False,
) -> None:
    """Spoil a fine-tuning, one fault at a time, in a temporary home: is it stopped, and the fault named?

    Every fault that is not refused at once is a whole training; what they will take is said first.
    """
    from firstfault.cli import render_drill_tuning as render
    from firstfault.drill.library import tuning as library
    from firstfault.errors import InputError

    faults = (
        library.named(fault)
        if fault
        else [one for one in library.FAULTS.values() if set_ == Which.ALL or one.set == set_.value]
    )
    if list_:
        if as_json:
            print_json({"faults": [_declared(one) for one in faults]})
        else:
            from firstfault.cli.render_drill import library as listed

            command = "firstfault drill tuning train.jsonl --validation held.jsonl"
            listed(faults, f"Spoil a training with them: {command}")
        return
    if data is None:
        raise InputError(
            "No training examples are given.",
            hint="Give them: firstfault drill tuning train.jsonl --validation held.jsonl",
        )
    from firstfault.cli.progress import trial_progress
    from firstfault.drill import records
    from firstfault.files import write_text
    from firstfault.finetune import drill_report, extra

    home = state(context).config.home
    extra.load("torch")
    from firstfault.finetune.drills import TuningWorkshop

    given = _training(context, data, validation, schema, model, recipe or [], anyway=anyway, seed=seed)
    outcomes: list[TuningOutcome] = []
    with TuningWorkshop(given, home) as workshop:
        with trial_progress("planning, and timing one step") as _:
            cost = workshop.forecast(faults, severity=severity, control=control)
        render.forecast(cost)
        for one in ([None] if control else []) + faults:
            with trial_progress("training") as told:
                outcome = (
                    workshop.control(told=told)
                    if one is None
                    else workshop.drill(one, severity=severity, told=told)
                )
            outcomes.append(outcome)
            render.outcome(outcome)
    if markdown is not None:
        write_text(markdown, drill_report.markdown(outcomes))
    document = drill_report.document(outcomes)
    records.save(home, document)
    if as_json:
        print_json(document)
    else:
        render.summary(outcomes)


def _training(
    context: typer.Context,
    data: Path,
    validation: Path | None,
    schema: Path | None,
    model: str | None,
    recipe: list[str],
    *,
    anyway: bool,
    seed: int,
) -> "Training":
    from firstfault.cli.state import pairs
    from firstfault.finetune import cleaning
    from firstfault.finetune.drills import Training
    from firstfault.structured import read_schema

    rows, held = cleaning.read_sides(data, validation)
    return Training(
        training=rows,
        validation=held,
        model=model or state(context).config.settings.generator.model,
        values=dict(pairs(recipe, "--recipe")),
        schema=read_schema(schema) if schema else None,
        anyway=anyway,
        seed=seed,
    )


def _declared(fault: "TuningFault") -> dict[str, Any]:
    return {
        "name": fault.name,
        "stage": fault.stage,
        "cause": fault.cause,
        "summary": fault.summary,
        "dial": fault.dial,
        "severity": fault.severity,
        "set": fault.set,
    }


def register(drill: typer.Typer) -> None:
    """Hang the command on the group `drill`."""
    drill.command()(tuning)
