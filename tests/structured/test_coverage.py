from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstfault.structured import compile_schema
from firstfault.structured.coverage import EdgeCase, expected, observed
from firstfault.structured.sampling import candidate, sample

SCHEMA = compile_schema(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 40},
            "kind": {"enum": ["pump", "valve"]},
            "price": {"type": ["number", "null"]},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
            "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{7}$"},
            "size": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
            "open": {"type": "boolean"},
        },
        "required": ["name", "kind"],
        "additionalProperties": False,
        "$defs": {
            "part": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer", "minimum": 0},
                    "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
                },
                "required": ["id"],
            }
        },
    }
)


def kinds(cases: Any, path: str) -> set[str]:
    return {case.kind for case in cases if case.path == path}


def test_the_edge_cases_of_a_schema() -> None:
    cases = expected(SCHEMA)
    assert kinds(cases, "/name") == {"beyond ASCII", "quotes and line breaks", "long text", "empty text"}
    assert kinds(cases, "/kind") == {'member: "pump"', 'member: "valve"'}
    assert kinds(cases, "/price") == {"absent", "present", "null", "zero", "negative", "fraction"}
    assert kinds(cases, "/tags") == {"absent", "present", "empty", "one item", "several items"}
    assert kinds(cases, "/code") == {"absent", "present"}
    assert {"alternative 1", "alternative 2"} <= kinds(cases, "/size")
    assert "negative" not in kinds(cases, "/parts/*/id")
    assert "nested" in kinds(cases, "/parts/*")


def test_what_a_value_shows() -> None:
    value = {
        "name": "Zoë",
        "kind": "pump",
        "price": None,
        "tags": [],
        "size": 3,
        "parts": [{"id": 0, "parts": [{"id": 1}]}],
    }
    shown = observed(value, SCHEMA)
    assert kinds(shown, "/name") == {"beyond ASCII"}
    assert kinds(shown, "/price") == {"present", "null"}
    assert kinds(shown, "/tags") == {"present", "empty"}
    assert kinds(shown, "/open") == {"absent"}
    assert "alternative 1" in kinds(shown, "/size")
    assert "alternative 2" not in kinds(shown, "/size")
    assert "nested" in kinds(shown, "/parts/*")
    assert "absent" in kinds(shown, "/parts/*/parts")


def test_a_candidate_shows_its_case_and_is_valid() -> None:
    base = {"name": "red pump", "kind": "pump"}
    without = []
    for case in expected(SCHEMA):
        made = candidate(case, SCHEMA, [base])
        if made is None:
            without.append(case)
            continue
        assert SCHEMA.is_valid(made)
        assert case in observed(made, SCHEMA)
    assert without == [EdgeCase(path="/code", kind="present")]  # a pattern cannot be made up


def test_lists_with_limits_have_fewer_cases() -> None:
    pair = compile_schema({"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "null"}})
    assert kinds(expected(pair), "") == {"several items"}


@pytest.mark.parametrize(
    "document",
    [
        {"type": "string", "format": "date"},
        {"type": "integer", "minimum": 7, "multipleOf": 5},
        {"type": "array", "minItems": 2, "items": {"enum": ["a"]}},
        {"allOf": [{"properties": {"a": {"type": "null"}}, "required": ["a"]}, {"type": "object"}]},
        {"oneOf": [{"type": "string", "minLength": 300}, {"type": "null"}]},
    ],
)
def test_samples_are_valid(document: dict[str, Any]) -> None:
    schema = compile_schema(document)
    made = sample(schema)
    assert made is not None
    assert schema.is_valid(made)


values = st.fixed_dictionaries(
    {"name": st.text(max_size=40), "kind": st.sampled_from(["pump", "valve"])},
    optional={
        "price": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
        "tags": st.lists(st.text(max_size=5), max_size=3),
        "size": st.integers(min_value=1) | st.text(max_size=5),
        "open": st.booleans(),
    },
)


@settings(deadline=None)
@given(values)
def test_what_is_observed_was_expected_or_is_harmless(value: Any) -> None:
    assert SCHEMA.is_valid(value)
    known = {(case.path, case.kind) for case in expected(SCHEMA)}
    places = {path for path, _ in known}
    for case in observed(value, SCHEMA):
        assert (
            (case.path, case.kind) in known
            or case.kind in {"one item", "several items", "present"}
            or (case.path in places)
        )
