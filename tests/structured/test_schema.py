import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from firstfault.errors import InputError
from firstfault.structured import Schema, compile_schema, read_schema


def rules(schema: Schema, value: Any) -> list[tuple[str, str]]:
    return [(problem.rule, problem.path) for problem in schema.problems(value)]


def test_problems_name_rule_and_place() -> None:
    schema = compile_schema(
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b/c": {"items": {"enum": [1]}}},
            "required": ["a"],
        }
    )
    assert rules(schema, {"a": "1", "b/c": [1, 2]}) == [("type", "/a"), ("enum", "/b~1c/1")]
    assert rules(schema, {}) == [("required", "")]
    assert schema.is_valid({"a": 1})


@pytest.mark.parametrize(
    ("address", "exclusive", "draft"),
    [
        ("http://json-schema.org/draft-04/schema", True, "draft-04"),
        ("http://json-schema.org/draft-06/schema#", 5, "draft-06"),
        ("http://json-schema.org/draft-07/schema#", 5, "draft-07"),
        ("https://json-schema.org/draft/2019-09/schema", 5, "2019-09"),
        ("https://json-schema.org/draft/2020-12/schema", 5, "2020-12"),
    ],
)
def test_every_draft_is_read_in_its_own_words(address: str, exclusive: Any, draft: str) -> None:
    document = {"$schema": address, "type": "integer", "exclusiveMinimum": exclusive}
    if exclusive is True:
        document["minimum"] = 5
    schema = compile_schema(document)
    assert schema.draft == draft
    assert schema.is_valid(6)
    assert not schema.is_valid(5)


def test_a_schema_of_draft_4_without_a_name_is_recognised_and_said() -> None:
    schema = compile_schema({"type": "integer", "minimum": 5, "exclusiveMinimum": True})
    assert schema.draft == "draft-04"
    assert "draft 4" in schema.notes[0]
    assert not schema.is_valid(5)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "text"}, "not valid at /type"),
        ({"$ref": "#/nowhere"}, "#/nowhere"),
        ({"properties": {"a": {"items": {"$ref": "#/$defs/b"}}}}, "#/\\$defs/b"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "127.0.0.1:9"),
        ({"$ref": "#"}, "without ever reaching a value"),
        ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, "without ever"),
        ({"$schema": "http://example.com/own"}, "http://example.com/own"),
        ({"enum": ["x" * 1_000_001]}, "bytes"),
        ({"const": float("inf")}, "not plain JSON"),
    ],
)
def test_a_schema_that_cannot_work_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compile_schema(document)


def test_a_property_may_be_called_ref() -> None:
    assert compile_schema({"properties": {"$ref": {"type": "string"}}}).is_valid({"$ref": "#/x"})


def test_a_recursive_schema_follows_the_value() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "integer"}}}
    schema = compile_schema({"$defs": {"node": node}, "$ref": "#/$defs/node"})
    assert rules(schema, {"next": {"next": {"v": "1"}}}) == [("type", "/next/next/v")]
    deep: dict[str, Any] = {}
    for _ in range(3000):
        deep = {"next": deep}
    assert rules(schema, deep) == [("depth", "")]


def test_a_large_schema_is_held_to() -> None:
    document = {
        "type": "object",
        "properties": {f"p{i}": {"type": "integer"} for i in range(3000)},
        "required": [f"p{i}" for i in range(3000)],
    }
    schema = compile_schema(document)
    value = {f"p{i}": i for i in range(3000)}
    assert schema.is_valid(value)
    assert rules(schema, {**value, "p7": "x"}) == [("type", "/p7")]
    assert len(schema.problems({})) == 20  # the rest would say nothing new


def test_numbers_beyond_doubles_do_not_break_validation() -> None:
    schema = compile_schema({"type": "number", "multipleOf": 0.1})
    assert not schema.is_valid(10**400)


def test_the_nearest_alternative_is_quoted() -> None:
    schema = compile_schema(
        {"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"type": "null"}]}
    )
    (problem,) = schema.problems({"a": "x"})
    assert (problem.rule, problem.path) == ("anyOf", "")
    assert "/a: 'x' is not of type 'integer'" in problem.message


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("date-time", "2024-02-29T12:00:00Z", "2023-02-29T12:00:00Z"),
        ("date-time", "2024-01-01t00:00:00.5+02:00", "2024-01-01 00:00:00"),
        ("time", "23:59:60Z", "24:00:00Z"),
        ("date", "2024-12-31", "31.12.2024"),
        ("duration", "P1DT2H", "P"),
        ("uri", "https://example.com/a?b=%20#c", "not a uri"),
        ("uri", "mailto:a@b.c", "/relative"),
        ("uri-reference", "../a#b", "a b"),
        ("uri-template", "/a/{b*}/{?c,d:3}", "/a/{b"),
        ("hostname", "a-b.example", "-a.example"),
        ("json-pointer", "/a~1b/0", "a"),
    ],
)
def test_formats_are_asserted(name: str, right: str, wrong: str) -> None:
    schema = compile_schema({"type": "string", "format": name})
    assert schema.is_valid(right)
    assert rules(schema, wrong) == [("format", "")]


class Person(BaseModel):
    name: str
    age: int

    @field_validator("name")
    @classmethod
    def capital(cls, name: str) -> str:
        if not name[:1].isupper():
            raise ValueError("names begin with a capital")
        return name


def test_a_pydantic_model_is_asked_beyond_its_schema() -> None:
    schema = compile_schema(Person)
    assert schema.is_valid({"name": "Ada", "age": 36})
    assert rules(schema, {"name": "Ada", "age": "36"}) == [("type", "/age")]
    (problem,) = schema.problems({"name": "ada", "age": 36})
    assert (problem.rule, problem.path) == ("model:value_error", "/name")
    assert "capital" in problem.message


def test_a_file_is_read_or_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    with pytest.raises(InputError, match="cannot be read"):
        read_schema(path)
    for text in ("{", "[]"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"s\.json"):
            read_schema(path)
    path.write_text(json.dumps({"type": "string"}))
    assert read_schema(path).is_valid("x")
