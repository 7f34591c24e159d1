"""`finetune`: check data, train an adapter, measure, gate and release it, find what went wrong."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firstfault.cli.state import Json, State, anywhere, print_json, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstfault.finetune.doctor import Given
    from firstfault.finetune.runs import TrainingRun
    from firstfault.types import Verdict

group = typer.Typer(
    no_args_is_help=True,
    help="Teach form with a LoRA adapter: check the data, train, measure, gate, release, diagnose.",
)

Data = Annotated[Path, typer.Argument(help="Examples: chat JSONL, prompt/completion, Alpaca or ShareGPT.")]
SchemaFile = Annotated[
    Path | None, typer.Option("--schema", help="JSON schema that every answer must satisfy.")
]
Held = Annotated[Path | None, typer.Option("--validation", help="Held-out examples, never trained on.")]
BaseModel = Annotated[
    str | None, typer.Option(help="Base model: a known name, a GGUF file, or a transformers folder.")
]
Window = Annotated[int, typer.Option(min=64, help="Tokens of prompt and answer together.")]


@group.command()
def check(
    context: typer.Context,
    data: Data,
    validation: Held = None,
    schema: SchemaFile = None,
    context_window: Window = 2048,
    rows: Annotated[int, typer.Option(min=0, help="Rows shown for each finding.")] = 3,
    as_json: Json = False,
) -> None:
    """Find what is wrong with training data, with the rows behind it; exit 1 when a check fails."""
    from firstfault.cli import render, render_finetune
    from firstfault.finetune import doctor
    from firstfault.finetune.data import read_dataset

    made = doctor.check(read_dataset(data), _given(context, validation, schema, context_window))
    if as_json:
        print_json(doctor.summary(made))
    else:
        render_finetune.examination(render.console(), made, rows=rows)
    if made.failed:
        raise typer.Exit(1)


@group.command()
def split(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for train.jsonl and validation.jsonl.")],
    share: Annotated[float, typer.Option(help="Share that is held out.")] = 0.1,
    by: Annotated[str | None, typer.Option(help="Key of the rows that belong together, e.g. source.")] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Hold examples out for validation; related ones stay together, labels keep their shares."""
    from firstfault.finetune import cleaning
    from firstfault.finetune.data import read_dataset, write_dataset

    made = cleaning.split(read_dataset(data).rows, validation=share, by=by, seed=seed)
    files = {"train": out / "train.jsonl", "validation": out / "validation.jsonl"}
    write_dataset(made.training, files["train"])
    write_dataset(made.validation, files["validation"])
    sizes = {"training": len(made.training), "validation": len(made.validation), "groups": made.groups}
    if as_json:
        print_json({**sizes, "files": {name: str(path) for name, path in files.items()}})
        return
    typer.echo(f"{len(made.training):,} for training → {files['train']}")
    typer.echo(f"{len(made.validation):,} held out → {files['validation']}")
    typer.echo(f"{made.groups:,} groups, none on both sides")


@group.command()
def clean(
    context: typer.Context,
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The cleaned file; reasons go to OUT.changes.jsonl.")
    ],
    validation: Held = None,
    schema: SchemaFile = None,
    context_window: Window = 2048,
    drop: Annotated[
        list[str] | None,
        typer.Option(help="Drop these rows too: label_errors, language, changing_facts. Repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Mend what is plainly meant, drop what cannot be learnt from, and write a reason for each row."""
    from collections import Counter

    from firstfault.files import write_rows
    from firstfault.finetune import cleaning
    from firstfault.finetune.data import read_dataset, write_dataset

    dataset = read_dataset(data)
    made = cleaning.clean(dataset, _given(context, validation, schema, context_window), drop=drop or ())
    write_dataset(made.rows, out)
    reasons = out.with_name(f"{out.name}.changes.jsonl")
    write_rows(reasons, map(dataclasses.asdict, made.changes))
    counts = Counter((change.action, change.check) for change in made.changes)
    if as_json:
        done = [{"action": action, "check": name, "rows": n} for (action, name), n in counts.items()]
        print_json({"kept": len(made.rows), "changes": done, "out": str(out), "reasons": str(reasons)})
        return
    for (action, name), number in counts.items():
        typer.echo(f"  {number:>6,} {action}: {name}")
    typer.echo(f"{len(made.rows):,} of {len(dataset.rows) + len(dataset.unreadable):,} rows kept → {out}")
    typer.echo(f"why, row by row → {reasons}")


def _given(context: typer.Context, validation: Path | None, schema: Path | None, window: int) -> "Given":
    """What the doctor can know: held-out rows, the schema, the corpus of the home when there is one."""
    from firstfault.collection.database import FILE
    from firstfault.finetune.data import read_dataset
    from firstfault.finetune.doctor import Given
    from firstfault.structured import read_schema

    documents: list[str] = []
    shared = state(context)
    if (shared.config.home / FILE).exists():
        documents = _documents(shared.config.home, shared.collection)
    return Given(
        validation=read_dataset(validation) if validation else None,
        schema=read_schema(schema) if schema else None,
        context_window=window,
        documents=documents,
    )


def _documents(home: Path, collection: str) -> list[str]:
    """Live texts of a collection, read without its lock; none when there is no such collection."""
    from sqlalchemy import select

    from firstfault.collection.database import connect, reading
    from firstfault.collection.schema import collections, documents

    engine = connect(home, create=False)
    query = select(documents.c.text).join(collections, collections.c.id == documents.c.collection_id)
    query = query.where(collections.c.name == collection, documents.c.valid_to.is_(None))
    try:
        with reading(engine) as connection:
            return list(connection.scalars(query))
    finally:
        engine.dispose()


Run = Annotated[str, typer.Argument(help="Training run; the beginning of its id will do, or last.")]
Licence = Annotated[str, typer.Option(help="Licence of the data, for the model card.")]


@group.command()
def train(
    context: typer.Context,
    data: Data,
    validation: Held = None,
    schema: SchemaFile = None,
    model: BaseModel = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A value of the recipe: name=value. Repeatable.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            help='General examples to mix in, or plain text ({"text": …}); else the base model\'s own words.'
        ),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Chat template (Jinja) instead of the model's own."),
    ] = None,
    anyway: Annotated[bool, typer.Option(help="Train though the data would fail the gate.")] = False,
    plan_only: Annotated[bool, typer.Option("--plan", help="Show recipe and estimate, then stop.")] = False,
    as_json: Json = False,
) -> None:
    """Train a LoRA adapter, or every weight (--set method=full); exit 1 when a guard ended it.

    Recipe and estimate come first; guards watch it on the way.
    """
    from firstfault.cli import render, render_finetune
    from firstfault.cli.progress import case_progress
    from firstfault.cli.state import pairs
    from firstfault.errors import InputError
    from firstfault.finetune import cleaning, extra, line
    from firstfault.finetune.data import read_dataset
    from firstfault.structured import read_schema

    shared = state(context)
    extra.load("torch")
    from firstfault.finetune.train import plan

    home = shared.config.home
    rows, held = cleaning.read_sides(data, validation)
    err = render.console(stderr=True)

    def refuse(check: "Sequence[Verdict]") -> None:
        bad = [verdict for verdict in check if verdict.status == "fail"]
        if bad and not anyway:
            render.verdicts(err, bad)
            names = ", ".join(verdict.name for verdict in bad)
            raise InputError(
                f"The data would fail the gate ({names}); nothing was trained.",
                hint="Clean them (firstfault finetune clean), or train --anyway.",
            )

    with case_progress("replay made by the base model", unit="texts", at_once=False) as bar:
        made = plan(
            rows,
            held,
            model=model or shared.config.settings.generator.model,
            home=home,
            given=dict(pairs(set_ or (), "--set")),
            replay=read_dataset(replay, plain=True).rows if replay else None,
            schema=read_schema(schema) if schema else None,
            template=template.read_text(encoding="utf-8") if template else None,
            checked=refuse,
            progress=bar,
        )
    trainer = line.prepare(made)
    context.call_on_close(trainer.close)
    estimate = trainer.estimate()
    render_finetune.plan(err, made, estimate)
    if plan_only:
        if as_json:
            print_json({**made.document(), "estimate": dataclasses.asdict(estimate)})
        return
    begun = line.begin(home, trainer)
    err.print(f"  run {begun.id}; if it is interrupted: firstfault finetune resume {begun.id}")
    with render_finetune.listener(err) as listen:
        done = line.train(home, begun, trainer, listen=listen)
    _trained(done, as_json=as_json)


@group.command()
def resume(
    context: typer.Context,
    run: Run = "last",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Go on in so many processes; else in as many as before.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Go on with a training that was interrupted, from its last checkpoint."""
    from firstfault.cli import render, render_finetune
    from firstfault.finetune import line

    given = state(context)
    home = given.config.home
    found = _run(given, run)
    trainer = line.resume(home, found, processes=processes)
    context.call_on_close(trainer.close)
    before = found.record.get("points", ())
    with render_finetune.listener(render.console(stderr=True), before) as listen:
        done = line.train(home, found, trainer, listen=listen)
    _trained(done, as_json=as_json)


def _trained(done: "TrainingRun", *, as_json: bool) -> None:
    from firstfault.cli import render, render_finetune

    if as_json:
        print_json({"run_id": done.id, "status": done.status, **done.record})
    else:
        render_finetune.trained(render.console(), done)
    if done.status != "trained":
        raise typer.Exit(1)


@group.command()
def bench(
    context: typer.Context,
    run: Run = "last",
    tasks: Annotated[
        str | None,
        typer.Option(help="Tasks of lm-eval to measure as well: NAME,... (mmlu, arc_easy, yours)."),
    ] = None,
    tasks_path: Annotated[
        Path | None, typer.Option(help="Folder with task YAML files of your own, as lm-eval reads them.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Samples of each lm-eval task, at most.")] = None,
    as_json: Json = False,
) -> None:
    """Measure abilities, task and serving with the base model and the tuned one, item by item."""
    from firstfault.cli import render, render_finetune
    from firstfault.cli.progress import trial_progress
    from firstfault.errors import InputError
    from firstfault.finetune import line
    from firstfault.finetune.harness import Tasks

    names = tuple(dict.fromkeys(name.strip() for name in (tasks or "").split(",") if name.strip()))
    if not names and (tasks_path is not None or limit is not None):
        raise InputError("No task is named.", hint="Name them: --tasks NAME,...")
    given = state(context)
    with trial_progress("measuring") as told:
        wanted = Tasks(names=names, folder=tasks_path, limit=limit) if names else None
        done = line.measure(given.config.home, _run(given, run), tasks=wanted, told=told)
    if as_json:
        print_json({"run_id": done.id, "bench": done.record["bench"]})
        return
    render_finetune.measured(render.console(), done)


@group.command()
def gate(context: typer.Context, run: Run = "last", as_json: Json = False) -> None:
    """Hold a run against every gate; exit 1 when one fails."""
    from firstfault.cli import render
    from firstfault.finetune import line
    from firstfault.finetune.gates import gate as hold
    from firstfault.finetune.gates import passed

    given = anywhere(context)
    found = _run(given, run)
    verdicts = hold(found.record) if given.url is not None else line.judge(given.config.home, found)
    if as_json:
        print_json(
            {
                "run_id": found.id,
                "passed": passed(verdicts),
                "gates": [dataclasses.asdict(v) for v in verdicts],
            }
        )
    else:
        out = render.console()
        render.verdicts(out, verdicts)
        if passed(verdicts):
            out.print(f"every gate passed; next: firstfault finetune release {found.id} NAME")
        else:
            step = "diagnose" if found.record.get("bench") else "bench"
            out.print(f"next: firstfault finetune {step} {found.id}")
    if not passed(verdicts):
        raise typer.Exit(1)


@group.command()
def release(
    context: typer.Context,
    run: Run,
    name: Annotated[str, typer.Argument(help="Name of the adapter, e.g. tickets.")],
    licence: Licence = "Not stated.",
    as_json: Json = False,
) -> None:
    """Make the adapter of a run the current release of a name, if every gate passes."""
    from firstfault.cli import remote
    from firstfault.finetune import line

    given = anywhere(context)
    client = given.server()
    if client is not None:
        document = remote.release(client, run, name, licence=licence)
        _switched(document, client.url, as_json=as_json, word="now")
        return
    found = _run(given, run)
    made = line.release(given.config.home, found, name, licence=licence)
    if as_json:
        print_json(made.document())
        return
    typer.echo(f"{name} is {name}-{made.number} now ({made.digest[:12]}): {made.folder}")
    if line.asks_alike(found):
        typer.echo(f'  next: firstfault ask "..." --adapter {name}')
        return
    typer.echo(f'  next: firstfault serve, then chat with the model "{name}" at /v1/chat/completions')
    typer.echo(
        "  Its examples do not hold the instructions that ask puts before a question, so ask would show "
        "less than it learnt;\n  firstfault finetune data from-traces makes some that do."
    )


@group.command()
def export(
    context: typer.Context,
    run: Run,
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    licence: Licence = "Not stated.",
    as_json: Json = False,
) -> None:
    """Copy what a run learnt for a server of your own, if every gate passes: PEFT adapter or full model."""
    from firstfault.finetune import line

    given = state(context)
    made = line.export(given.config.home, _run(given, run), out, licence=licence)
    if as_json:
        print_json({"folder": str(made)})
        return
    typer.echo(f'{made}: load it in your server, then [generator] kind = "openai" with its name there')


@group.command()
def diagnose(
    context: typer.Context,
    run: Run = "last",
    trial: Annotated[
        bool, typer.Option(help="Confirm what a value of the recipe would repair, by two short trainings.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Name the first fault of a training run, with evidence and a fix; exit 1 when there is one."""
    from firstfault.cli import render, render_finetune
    from firstfault.cli.progress import trial_progress
    from firstfault.finetune import line

    given = state(context) if trial else anywhere(context)
    found, home = _run(given, run), given.config.home
    if trial:
        with trial_progress("short trainings") as told:
            made, tried = line.diagnose(home, found, trial=True, told=told)
    else:
        made, tried = line.diagnose(home, found)
    if as_json:
        print_json({**dataclasses.asdict(made), "trials": [dataclasses.asdict(one) for one in tried]})
    else:
        render_finetune.diagnosis(render.console(), made, tried, wanted=trial)
    if not made.healthy:
        raise typer.Exit(1)


@group.command()
def runs(context: typer.Context, as_json: Json = False) -> None:
    """List training runs, newest first."""
    given = anywhere(context)
    if given.url is not None:
        from firstfault.cli import remote

        found = remote.training_runs(given.at_url())
    else:
        found = _newest(given)
    if as_json:
        print_json(
            {"runs": [{"id": row["run_id"], "at": row["at"], "status": row["status"]} for row in found]}
        )
        return
    for row in found:
        begun = f"{row['run_id']}  {row['at'][:19]}  {row['status']:<8}"
        typer.echo(f"{begun}  {row['examples']:>6,} examples  {row['base']}")


def _newest(given: State) -> list[dict[str, Any]]:
    """The newest training runs of the home, as rows."""
    from firstfault.finetune.runs import open_runs

    store = open_runs(given.config.home)
    try:
        return [
            {
                "run_id": run.id,
                "at": run.at,
                "status": run.status,
                "examples": run.record["data"]["training"],
                "base": run.record["base"]["name"],
            }
            for run in store.newest()
        ]
    finally:
        store.close()


@group.command()
def show(context: typer.Context, run: Run = "last", as_json: Json = False) -> None:
    """Everything that was recorded about a training run, with its curves."""
    from firstfault.cli import render, render_finetune

    found = _run(anywhere(context), run)
    if as_json:
        print_json({"run_id": found.id, "at": found.at, "status": found.status, **found.record})
        return
    out = render.console()
    render_finetune.settings(out, found.record["recipe"]["settings"])
    render_finetune.trained(out, found)
    if found.record.get("bench"):
        render_finetune.measured(out, found)


def _run(given: State, run: str) -> "TrainingRun":
    """A training run: of the home, which may be read beside a server, or of the server at --url."""
    if given.url is not None:
        from firstfault.cli import remote

        return remote.training_run(given.at_url(), run)
    from firstfault.finetune.runs import open_runs

    store = open_runs(given.config.home)
    try:
        return store.get(run)
    finally:
        store.close()


@group.command()
def releases(context: typer.Context, name: str | None = None, as_json: Json = False) -> None:
    """List the releases of every adapter, newest first, and which one each name points to."""
    given = anywhere(context)
    if given.url is not None:
        from firstfault.cli import remote

        found = remote.releases(given.at_url(), name)
    else:
        from firstfault.finetune import list_releases

        found = list_releases(given.config.home, name)
    if as_json:
        print_json({"releases": [one.document() for one in found]})
        return
    for one in found:
        mark = "●" if one.current else " "
        typer.echo(
            f"{mark} {one.name}-{one.number}  {one.at[:19]}  {one.digest[:12]}  for {one.base}  {one.run_id}"
        )
    if not found:
        typer.echo("nothing released yet: firstfault finetune release RUN NAME", err=True)


@group.command()
def rollback(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The adapter.")],
    as_json: Json = False,
) -> None:
    """Point a name to the release before its current one, at once."""
    from firstfault.cli import remote
    from firstfault.finetune import rollback as back

    given = anywhere(context)
    client = given.server()
    if client is not None:
        _switched(remote.rollback(client, name), client.url, as_json=as_json, word="again")
        return
    made = back(given.config.home, name)
    if as_json:
        print_json(made.document())
        return
    typer.echo(f"{name} is {name}-{made.number} of {made.at[:19]} again ({made.digest[:12]})")


def _switched(document: dict[str, Any], url: str, *, as_json: bool, word: str) -> None:
    """Show what a name means since a running server moved it."""
    if as_json:
        print_json(document)
        return
    name, number = document["name"], document["number"]
    typer.echo(f"{name} is {name}-{number} {word} ({document['digest'][:12]}): {document['folder']}")
    if document["loaded"]:
        typer.echo(f"  the server at {url} answers with it from the next request that names it")
    else:
        typer.echo(f"  the server at {url} has not loaded it: {document['reason']}")


def register(app: typer.Typer) -> None:
    """Hang the group on the root."""
    app.add_typer(group, name="finetune")
