import json
from pathlib import Path
from typing import Any

import pytest

from firstfault.errors import InputError
from firstfault.structured import compile_schema
from firstfault.structured.examples import Example, cover, read_examples

SCHEMA = compile_schema(
    {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0}, "note": {"type": "string"}},
        "required": ["n"],
        "additionalProperties": False,
    }
)


def examples(*texts: str) -> list[Example]:
    return [Example(place=f"d:{i}", text=text) for i, text in enumerate(texts, start=1)]


def statuses(made: Any) -> dict[str, str]:
    return {verdict.name: verdict.status for verdict in made.verdicts}


def test_valid_mendable_and_broken_examples_are_counted_apart() -> None:
    made = cover(examples('{"n":1}', '{"n":1}', '{"n": "2"}', "```json\n{}\n```", "what?"), SCHEMA)
    assert (made.examples, made.valid, made.mendable, made.distinct) == (5, 2, 1, 1)
    assert made.rules == {"type": 1, "code_fence": 1, "required": 1, "invalid_json": 1}
    assert made.broken[0].startswith("d:3: type at /n: '2' is not")
    assert statuses(made) == {
        "format_validity": "fail",
        "format_examples": "fail",
        "consistent_format": "ok",
        "edge_cases": "warn",
    }


@pytest.mark.parametrize(("count", "status"), [(999, "fail"), (1000, "warn"), (5000, "ok")])
def test_the_number_of_different_examples_is_held_against_the_playbook(count: int, status: str) -> None:
    made = cover(examples(*(json.dumps({"n": i}) for i in range(count))), SCHEMA)
    assert statuses(made)["format_examples"] == status
    assert made.distinct == count


def test_styles_that_differ_are_said() -> None:
    made = cover(examples('{"n":1}', '{"n": 2}', '{\n  "n": 3\n}'), SCHEMA)
    assert made.styles == {"compact": 1, "spaced": 1, "indented": 1}
    assert statuses(made)["consistent_format"] == "warn"


def test_what_is_never_shown_gets_candidates() -> None:
    made = cover(examples('{"n":1,"note":"hi"}'), SCHEMA)
    missing = {(case.path, case.kind) for case in made.missing}
    assert ("/note", "absent") in missing
    assert ("/n", "zero") in missing
    assert ("/note", "present") not in missing
    found = {(one.case.path, one.case.kind): one.value for one in made.candidates}
    assert found["/note", "absent"] == {"n": 1}
    assert found["/n", "zero"] == {"n": 0, "note": "hi"}
    assert len(found) == len(missing)


def test_the_common_layouts_of_training_data_are_read(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    rows: list[Any] = [
        {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": '{"n": 1}'}]},
        {"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": '{"n": 1}'}]},
        {"prompt": "?", "completion": '{"n": 1}'},
        {"instruction": "?", "output": {"n": 1}},
        {"n": 1},
    ]
    path.write_text("\n\n".join(json.dumps(row) for row in rows))
    found = list(read_examples(path))
    assert [json.loads(example.text) for example in found] == [{"n": 1}] * 5
    assert found[1].place == f"{path}:3"


def test_bad_data_are_named(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    for text, message in (
        ("{", r"data.jsonl:1 is not valid JSON"),
        ('{"messages": [{"role": "user", "content": "?"}]}', "no assistant turn"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            list(read_examples(path))
    with pytest.raises(InputError, match="no examples"):
        cover([], SCHEMA)
    with pytest.raises(InputError, match="cannot be read"):
        list(read_examples(tmp_path / "none.jsonl"))
