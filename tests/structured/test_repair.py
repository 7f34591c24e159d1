import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.structured import compile_schema, examine, mend

SCHEMA = compile_schema(
    {
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "share": {"type": ["number", "null"]},
            "open": {"type": "boolean"},
            "name": {"type": "string"},
            "kind": {"enum": ["Pump", "Valve", 3]},
            "either": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
            "inner": {"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}},
        },
        "required": ["count"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"count": "42"}', {"count": 42}),
        ('{"count": 1, "share": "0.5"}', {"count": 1, "share": 0.5}),
        ('{"count": 1, "share": "null"}', {"count": 1, "share": None}),
        ('{"count": 1, "open": "True"}', {"count": 1, "open": True}),
        ('{"count": 1, "name": 7}', {"count": 1, "name": "7"}),
        ('{"count": 1, "kind": " pump"}', {"count": 1, "kind": "Pump"}),
        ('{"count": 1, "kind": "3"}', {"count": 1, "kind": 3}),
        ('{"count": 1, "either": "3"}', {"count": 1, "either": 3}),
        ('{"count": 1, "either": ["3", 4]}', {"count": 1, "either": [3, 4]}),
        ('{"count": 1, "inner": "{\\"x\\": 1}"}', {"count": 1, "inner": {"x": 1}}),
        ('{"count": 1, "name": null}', {"count": 1}),
        ('I say ```json\n{"count": "1",}\n```', {"count": 1}),
    ],
)
def test_the_way_a_value_is_written_is_mended(text: str, value: Any) -> None:
    mended = mend(text, SCHEMA)
    assert mended is not None
    assert (mended.value, mended.problems) == (value, ())
    assert mended.mends
    assert json.loads(mended.text) == value
    assert examine(text, SCHEMA).problems


@pytest.mark.parametrize(
    "text",
    [
        '{"count": 3.7}',
        '{"count": "many"}',
        '{"count": "007"}',
        '{"count": null}',
        '{"name": "x"}',
        '{"count": 1, "nmae": "x"}',
        '{"count": 1, "kind": "pumps"}',
        '{"count": true}',
        '{"count": "1e999"}',
        '{"count": 1, "inner": {}}',
    ],
)
def test_what_a_value_says_is_not_mended(text: str) -> None:
    mended = mend(text, SCHEMA)
    assert mended is None or mended.problems


@pytest.mark.parametrize(
    "text",
    [
        '{"count": 1, "count": 2}',
        'Either {"count": 1} or {"count": 2}',
        '{"count": 1',
        '{"count": 1e999}',
        "none",
    ],
)
def test_what_reads_in_several_ways_or_not_at_all_is_left(text: str) -> None:
    assert mend(text, SCHEMA) is None


def test_of_several_values_the_one_that_fits_is_taken() -> None:
    mended = mend('As in [1], the answer: {"count": 2}. Not {"total": 5}.', SCHEMA)
    assert mended is not None
    assert mended.value == {"count": 2}


def test_a_citation_mark_in_prose_is_no_value() -> None:
    text = "- **count** two [1]"
    assert [one.rule for one in examine(text, SCHEMA).problems] == ["invalid_json"]
    assert mend(text, SCHEMA) is None


def test_a_valid_text_needs_nothing() -> None:
    examined = examine('{"count": 1}', SCHEMA)
    assert (examined.value, examined.problems) == ({"count": 1}, ())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["count", "name", "either"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON)
def test_nothing_invalid_is_ever_called_mended(value: Any) -> None:
    mended = mend(json.dumps(value), SCHEMA)
    if mended is not None and not mended.problems:
        assert SCHEMA.is_valid(json.loads(mended.text))
