"""`advise`: retrieval, fine-tuning, both or neither yet, from answers and from what the home shows."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstfault.cli.state import Json, State, pairs, print_json, state

if TYPE_CHECKING:
    from firstfault.advise import Measured
    from firstfault.advise.rules import Question, Rules

MOST_TRACES = 2_000
"""The newest so many requests are looked at."""

Answers = dict[str, tuple[str | float, str]]
"""Question → the answer and where it was given."""


def advise(
    context: typer.Context,
    requirements: Annotated[
        Path | None, typer.Option("--from", help="Answers: TOML of question = answer.")
    ] = None,
    answer: Annotated[
        list[str] | None, typer.Option("--answer", "-a", help="question=answer. Repeatable.")
    ] = None,
    examples: Annotated[
        Path | None, typer.Option(help="Training examples (JSONL) to be counted and looked at.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="With --examples: the JSON schema that they should satisfy.")
    ] = None,
    measure: Annotated[bool, typer.Option(help="Measure in the home what can be measured.")] = True,
    ask: Annotated[
        bool | None, typer.Option(help="Ask what is open; in a terminal it is, unless --json is given.")
    ] = None,
    questions: Annotated[
        bool, typer.Option("--questions", help="Print every question with its answers, as TOML, and stop.")
    ] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the advice here, as Markdown.")] = None,
    as_json: Json = False,
) -> None:
    """Advise on retrieval, fine-tuning, both or neither yet: with reasons, risks and what to run first."""
    from firstfault.advise import advise as weigh
    from firstfault.advise import facts, read_requirements, report, shipped
    from firstfault.advise.measure import why_not

    rules = shipped()
    if questions:
        typer.echo(report.questionnaire(rules), nl=False)
        return
    given = state(context)
    answers: Answers = {}
    if requirements is not None:
        answers |= {k: (v, str(requirements)) for k, v in read_requirements(requirements).items()}
    answers |= {key: (value, "--answer") for key, value in pairs(answer or (), "--answer").items()}
    known = facts(rules, answers)
    budget = known.get("first_token_ms")
    allowed = float(budget.value) if budget is not None else None
    measured = [*_examples(examples, schema, rules)]
    has_home = False
    if measure:
        found, has_home = _home(given, rules, allowed)
        measured += found
    known = facts(rules, answers, measured)
    if ask if ask is not None else sys.stdin.isatty() and not as_json:
        answers |= _asked([one for key, one in rules.questions.items() if key not in known])
        known = facts(rules, answers, measured)
    made = weigh(rules, known, unmeasured=why_not(measured), has_home=has_home)
    if markdown is not None:
        from firstfault.files import write_text

        write_text(markdown, report.advice(made))
    if as_json:
        print_json(asdict(made))
    else:
        from firstfault.cli import render_advice

        render_advice.advice(made)


def _examples(path: Path | None, schema: Path | None, rules: "Rules") -> "list[Measured]":
    from firstfault.advise.measure import of_examples

    if path is None:
        return []
    compiled = None
    if schema is not None:
        from firstfault.structured import read_schema

        compiled = read_schema(schema)
    return list(of_examples(path, rules.measured, compiled))


def _home(given: State, rules: "Rules", allowed: float | None) -> "tuple[list[Measured], bool]":
    """What the home shows, and whether it holds documents. A home that is not there shows nothing."""
    from firstfault.advise import Measured
    from firstfault.advise.measure import of_documents, of_run, of_traces
    from firstfault.cli.evaluate import stored
    from firstfault.errors import InputError, LockedError, MissingError

    config, limits = given.config, rules.measured
    if not config.home.exists():
        why = f"there is no home at {config.home}"
        return [
            Measured(key=key, value=None, detail=why) for key in ("knowledge_changes", "answerable")
        ], False
    measured: list[Measured] = []
    try:
        with given.stored() as collection:
            measured += of_documents(collection, limits, keep_days=config.settings.trace.keep_days)
            has_documents = collection.version > 0
    except MissingError as error:
        measured.append(Measured(key="knowledge_changes", value=None, detail=error.message))
        has_documents = False
    except LockedError as error:
        measured.append(Measured(key="knowledge_changes", value=None, detail=error.message))
        has_documents = True
    try:
        _, results = stored(given, "last")
    except InputError:  # nothing was evaluated yet
        results = []
    measured.append(of_run(results, limits))
    with given.traces() as recorded:
        seen = [one for one in recorded.newest(limit=MOST_TRACES) if one.collection == given.collection]
    measured += of_traces(seen, limits, config.settings, first_token_ms=allowed)
    return measured, has_documents


def _asked(open_: "list[Question]") -> Answers:
    """Ask each question on stderr; an empty answer leaves it open."""
    from firstfault.errors import InputError

    answers: Answers = {}
    if open_:
        typer.echo("What is not known is asked; press Enter to leave a question open.", err=True)
    for number, question in enumerate(open_, start=1):
        typer.echo(f"\n{number}/{len(open_)}  {question.ask}", err=True)
        names = list(question.options)
        for position, (name, meaning) in enumerate(question.options.items(), start=1):
            typer.echo(f"  {position}  {name}: {meaning}", err=True)
        while True:
            said = typer.prompt("answer", default="", show_default=False, err=True).strip()
            if not said:
                break
            if names and said.isdigit() and 1 <= int(said) <= len(names):
                said = names[int(said) - 1]
            try:
                question.option(said)
            except InputError as error:
                typer.echo(f"  {error.hint}", err=True)
                continue
            answers[question.key] = (said, "asked")
            break
    return answers


def register(app: typer.Typer) -> None:
    """Hang the command on the root."""
    app.command()(advise)
