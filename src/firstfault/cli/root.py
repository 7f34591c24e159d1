"""The root command: global options, and the groups that hang on it."""

from pathlib import Path
from typing import Annotated

import typer

from firstfault.cli import (
    advise,
    ask,
    bakeoff,
    cases,
    corpus,
    demo,
    diagnose,
    drill,
    drill_tuning,
    evaluate,
    finetune,
    finetune_data,
    fix,
    keys,
    models,
    monitor,
    playbook,
    prove,
    review,
    scale,
    serve,
    settings,
    trace,
    verify,
)
from firstfault.cli import format as format_
from firstfault.cli.state import State

app = typer.Typer(
    name="firstfault",
    help="Run an LLM application over your documents, check every sentence, and see where it broke.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option(help="Where Firstfault keeps its data; .firstfault here by default.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file; firstfault.toml here by default.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: section.key=value. Repeatable.")
    ] = None,
    collection: Annotated[str, typer.Option(help="Which collection of the home.")] = "default",
    url: Annotated[
        str | None,
        typer.Option(help="A running server to go through; one that has the home is found without."),
    ] = None,
) -> None:
    """Options that every command shares."""
    context.obj = State(home=home, file=config, overrides=tuple(set_ or ()), collection=collection, url=url)


corpus.register(app)
ask.register(app)
trace.register(app)
evaluate.register(app)
diagnose.register(app)
drill.register(app)
drill_tuning.register(drill.app)
fix.register(app)
finetune.register(app)
finetune_data.register(finetune.group)
cases.register(app)
advise.register(app)
bakeoff.register(app)
format_.register(app)
settings.register(app)
models.register(app)
serve.register(app)
monitor.register(app)
prove.register(app)
demo.register(app)
scale.register(app)
app.add_typer(keys.app, name="keys")
app.add_typer(playbook.app, name="playbook")
app.add_typer(review.app, name="review")
app.add_typer(verify.app, name="verify")
