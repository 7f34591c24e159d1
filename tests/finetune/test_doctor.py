"""Each kind of defect is found where it was put, and a clean set has none."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from firstfault.errors import InputError
from firstfault.finetune import cleaning, doctor
from firstfault.finetune.data import Dataset, Unreadable, convert
from firstfault.structured.schema import compile_schema

SCHEMA = compile_schema(
    {
        "type": "object",
        "properties": {"team": {"enum": ["billing", "network"]}, "urgent": {"type": "boolean"}},
        "required": ["team", "urgent"],
        "additionalProperties": False,
    }
)
WORDS = "amber birch cedar delta ember fjord grove harbor inlet jade karst mesa opal prairie".split()


def rows(number: int = 120) -> list[dict[str, Any]]:
    made = []
    for i in range(number):
        pick = random.Random(i)
        team = ("billing", "network")[i % 2]
        about = {"billing": "invoice charged refund", "network": "router wifi offline"}[team]
        text = f"{' '.join(pick.choices(WORDS, k=9))} {about} {' '.join(pick.choices(WORDS, k=4))} {i}"
        target = json.dumps({"team": team, "urgent": i % 3 == 0})
        made.append({"prompt": text, "completion": target})
    return made


def dataset(values: list[dict[str, Any]], unreadable: tuple[Unreadable, ...] = ()) -> Dataset:
    made = tuple(convert(value, f"d:{i}")[1] for i, value in enumerate(values))
    return Dataset(path=Path("d"), rows=made, unreadable=unreadable, layouts={"prompt/completion": len(made)})


def found(data: Dataset, **given: Any) -> dict[str, tuple[str, ...]]:
    made = doctor.check(data, doctor.Given(**given))
    return {one.verdict.name: one.rows for one in made.checks if one.rows}


def test_a_clean_set_has_no_rows_behind_any_finding() -> None:
    assert found(dataset(rows()), schema=SCHEMA) == {}
    made = doctor.check(dataset(rows()))
    assert made.failed == ()
    assert {one.verdict.name for one in made.checks if one.verdict.status == "warn"} == {
        "examples",
        "format_examples",
    }


PLANTS: list[tuple[str, dict[str, Any]]] = [
    ("template_marks", {"completion": '<|im_start|>{"team": "billing", "urgent": true}<|im_end|>'}),
    ("trainable", {"completion": "  "}),
    ("lengths", {"prompt": "long word " * 2000}),
    ("personal_data", {"prompt": "Write to jane.roe@acme.io about the invoice at once please"}),
    ("secrets", {"prompt": "My key is AKIA" + "ABCDEFGH12345678 and it does not work any more"}),
    ("consistent_format", {"completion": "The team is billing, and it is urgent to act."}),
    ("consistent_format", {"completion": '```json\n{"team": "billing", "urgent": true}\n```'}),
    ("changing_facts", {"completion": "The plan currently costs 29 dollars, as of today."}),
]


@pytest.mark.parametrize(("name", "change"), PLANTS)
def test_a_planted_defect_is_found_in_its_row(name: str, change: dict[str, Any]) -> None:
    values = rows()
    values[7] = {**values[7], **change}
    assert found(dataset(values))[name] == ("d:7",)


def test_copies_and_near_copies_are_found() -> None:
    values = rows()
    values.append({**values[3], "prompt": values[3]["prompt"].upper() + "!"})
    values.append({**values[4], "prompt": values[4]["prompt"] + " please"})
    seen = found(dataset(values))
    assert seen["duplicates"] == ("d:120",)
    assert seen["near_duplicates"] == ("d:121",)


def test_validation_that_stands_in_training_is_found() -> None:
    values = rows()
    held = dataset([values[5], {**values[6], "prompt": "now " + values[6]["prompt"]}, *rows(130)[125:]])
    assert found(dataset(values), validation=held)["leakage"] == ("d:0", "d:1")


def test_contradictions_and_wrong_labels_are_found() -> None:
    values = rows()
    values.append({**values[0], "completion": '{"team": "network", "urgent": true}'})
    assert found(dataset(values))["contradictory_answers"] == ("d:0", "d:120")
    values = rows(200)
    wrong = range(0, 200, 17)
    for i in wrong:
        target = json.loads(values[i]["completion"])
        other = {"billing": "network", "network": "billing"}[target["team"]]
        values[i] = {**values[i], "completion": json.dumps({**target, "team": other})}
    assert set(found(dataset(values))["label_errors"]) == {f"d:{i}" for i in wrong}


def test_answers_that_break_the_schema_and_edge_cases_that_are_missing_are_found() -> None:
    values = rows()
    values[9]["completion"] = '{"team": "sales", "urgent": true}'
    assert found(dataset(values), schema=SCHEMA)["format_validity"] == ("d:9",)
    calm = [value for value in rows() if "false" in value["completion"]]
    checks = {
        one.verdict.name: one for one in doctor.check(dataset(calm), doctor.Given(schema=SCHEMA)).checks
    }
    assert checks["edge_cases"].details == ("/urgent: true",)


def test_what_the_corpus_states_is_found() -> None:
    values = rows()
    fact = "The warranty of the red pump lasts for five years from the day of purchase."
    values[2]["completion"] = fact
    assert found(dataset(values), documents=["Intro. " + fact + " More."])["facts_in_corpus"] == ("d:2",)


def test_cleaning_leaves_nothing_to_find_and_says_why() -> None:
    values = rows()
    for position, (_, change) in enumerate(PLANTS[:-1]):
        values[10 * position] = {**values[10 * position], **change}
    values += [values[3], {**values[5], "completion": '{"team": "billing", "urgent": "true"}'}]
    held = dataset(rows()[55:57])
    data = dataset(values, (Unreadable(place="d:x", reason="no layout fits"),))
    given = doctor.Given(schema=SCHEMA, validation=held)
    made = cleaning.clean(data, given)
    left = doctor.check(cleaning.replace_rows(data, made.rows), given)
    assert [one.verdict.name for one in left.checks if one.rows and one.verdict.name != "readable"] == []
    reasons = {(change.place, change.check) for change in made.changes}
    assert {("d:x", "readable"), ("d:0", "template_marks"), ("d:10", "trainable")} <= reasons
    assert {("d:55", "leakage"), ("d:120", "duplicates"), ("d:30", "personal_data")} <= reasons
    kept = {row.place: row for row in made.rows}
    assert kept["d:0"].target == '{"team": "billing", "urgent": true}'
    assert "[e-mail address]" in kept["d:30"].prompt
    with pytest.raises(InputError, match="cannot be dropped on demand"):
        cleaning.clean(data, drop=["trainable"])


def test_a_split_keeps_related_rows_together_and_labels_in_their_share() -> None:
    values = [{**value, "source": i // 4} for i, value in enumerate(rows(200))]
    data = dataset(values)
    made = cleaning.split(data.rows, validation=0.2, by="source")
    assert 30 <= len(made.validation) <= 50
    assert len(made.training) + len(made.validation) == 200
    assert not {row.extra["source"] for row in made.training} & {
        row.extra["source"] for row in made.validation
    }
    assert made == cleaning.split(data.rows, validation=0.2, by="source")
    billing = sum("billing" in row.target for row in made.validation) / len(made.validation)
    assert 0.4 <= billing <= 0.6
    with pytest.raises(InputError, match="no key 'user'"):
        cleaning.split(data.rows, by="user")
    with pytest.raises(InputError, match="one group"):
        cleaning.split(data.rows[:1])
