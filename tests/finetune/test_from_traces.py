"""Examples from requests that were really answered, over the town's by-laws."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.advise.conftest import Models, home, models, oracle, town
from tests.cli.conftest import Run, run
from tests.diagnose.conftest import CASES, FACTS

import firstfault
from firstfault.answer import Application
from firstfault.evaluate import write_cases
from firstfault.finetune.data import read_dataset
from firstfault.finetune.from_traces import examples_from
from firstfault.types import Trace

__all__ = ["home", "models", "run", "town"]

FORM = {"type": "object", "properties": {"rule": {"type": "string"}}, "required": ["rule"]}


@pytest.fixture
def app(home: Path, models: Models) -> Iterator[Application]:
    with firstfault.open(home, settings=models.settings()) as opened:
        yield opened


def asked(app: Application, name: str, **options: object) -> Trace:
    case = next(case for case in CASES if case.id == name)
    return app.ask(case.question, **options)  # type: ignore[arg-type]


def test_the_passages_are_the_prompt_and_the_answer_cites_them(app: Application) -> None:
    trace = asked(app, "dogs")
    (row,) = examples_from([trace]).rows
    assert [message.role for message in row.messages] == ["system", "user", "assistant"]
    fact = FACTS["dogs"][1]
    assert fact in row.messages[1].content
    assert trace.context is not None
    number = next(p.number for p in trace.context.passages if fact in p.chunk.text)
    assert row.target == f"{fact} [{number}]"
    assert row.extra == {"source": trace.id, "group": "dogs.md"}


def test_under_a_schema_the_validated_value_is_taught(app: Application, models: Models) -> None:
    fact = FACTS["pool"][1]
    models.speak = lambda *_: f"```json\n{json.dumps({'rule': fact})}\n```"
    (row,) = examples_from([asked(app, "pool", schema=FORM)]).rows
    assert json.loads(row.target) == {"rule": fact}
    assert row.extra["schema"] == FORM


def test_only_what_is_verified_is_taken(app: Application, models: Models) -> None:
    right = asked(app, "dogs")
    models.speak = lambda *_: "Dogs must wear a blue hat on Sundays in Elm Park [1]."
    wrong = asked(app, "market")
    models.speak = oracle
    silent = app.ask("Who composed the hymn of the town?")
    alone = app.replay(asked(app, "pool"), {"search.enabled": "false"})
    made = examples_from([right, right, wrong, silent, alone, replace(right, case="dogs")])
    assert [row.extra["source"] for row in made.rows] == [right.id]
    assert made.left_out == {
        "the question came before": 1,
        "not everything that it says is supported": 1,
        "it abstains": 1,
        "it is a replay": 1,
        "an evaluation asked it": 1,
    }


def test_held_out_questions_stay_out(app: Application) -> None:
    trace = asked(app, "dogs")
    made = examples_from([trace], without=[trace.question.upper()])
    assert made.rows == ()
    assert made.left_out == {"its question is held out": 1}


def test_quotes_of_the_extractive_generator_teach_too(home: Path) -> None:
    with firstfault.open(home, settings={"generator.kind": "extractive"}) as app:
        (row,) = examples_from([asked(app, "dogs")]).rows
    assert FACTS["dogs"][1] in row.messages[1].content
    assert "[1]" in row.target


def test_the_command(app: Application, home: Path, run: Run, tmp_path: Path) -> None:
    for name in ("dogs", "pool"):
        asked(app, name)
    app.close()
    held, out = tmp_path / "held.jsonl", tmp_path / "examples.jsonl"
    write_cases([case for case in CASES if case.id == "pool"], held)
    made = run("--home", home, "finetune", "data", "from-traces", "-o", out, "--without", held, "--json")
    assert made.json["examples"] == 1
    assert made.json["left_out"] == {"its question is held out": 1}
    assert len(read_dataset(out).rows) == 1
