import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.structured.read import DEEPEST, read

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def seen(text: str) -> tuple[Any, list[str]]:
    """The first value of a text and the rules that it breaks."""
    reading = read(text)[0]
    return reading.value, [problem.rule for problem in reading.problems]


@given(values, st.sampled_from([None, 1]))
def test_plain_json_is_read_as_it_is(value: Any, indent: int | None) -> None:
    assert seen(json.dumps(value, indent=indent, ensure_ascii=False)) == (value, [])


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \n\\u`', max_size=40))
def test_what_is_called_plain_is_what_the_library_reads(text: str) -> None:
    reading = read(text)[0]
    if not reading.problems:
        assert reading.value == json.loads(text)


@given(values, st.integers(min_value=0, max_value=200))
def test_a_text_that_was_cut_is_never_completed(value: Any, at: int) -> None:
    text = json.dumps({"a": value, "b": [value]})
    cut = text[: min(at, len(text) - 1)]
    assert not any(reading.whole for reading in read(cut))


@pytest.mark.parametrize(
    ("text", "value", "rules"),
    [
        ('```json\n{"a": 1}\n```', {"a": 1}, ["code_fence"]),
        ('~~~\n{"a": 1}\n~~~', {"a": 1}, ["code_fence"]),
        ('Here you are:\n```\n{"a": 1}\n```\nDone.', {"a": 1}, ["code_fence", "text_around"]),
        ('Sure {really}: {"a": 1} [1]', {"a": 1}, ["text_around"]),
        ('{"a": [1, 2,],}', {"a": [1, 2]}, ["trailing_comma", "trailing_comma"]),
        ('{"a": 1 "b": 2}', {"a": 1, "b": 2}, ["missing_comma"]),
        ("{'a': 'it\\'s'}", {"a": "it's"}, ["quotes", "invalid_escape", "quotes"]),
        ("{“a”: “b”}", {"a": "b"}, ["quotes", "quotes"]),
        (
            "{a: True, b: None}",
            {"a": True, "b": None},
            ["unquoted_key", "literal", "unquoted_key", "literal"],
        ),
        ('{"a": 1 // one\n}', {"a": 1}, ["comment"]),
        ('{"a": .5, "b": +1}', {"a": 0.5, "b": 1}, ["number_syntax", "number_syntax"]),
        ('{"a": "x\ny"}', {"a": "x\ny"}, ["control_character"]),
        ('{"a": "\\d"}', {"a": "\\d"}, ["invalid_escape"]),
        ('{"a": 1, "a": 1}', {"a": 1}, ["duplicate_key"]),
        ('\ufeff{"a": 1}', {"a": 1}, ["blank_characters"]),
        ('{"a":\u00a01}', {"a": 1}, ["blank_characters"]),
    ],
)
def test_liberties_are_taken_and_named(text: str, value: Any, rules: list[str]) -> None:
    found, named = seen(text)
    assert found == value
    assert sorted(named) == sorted(rules)
    assert not read(text)[0].doubtful


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"a": 1, "a": 2}', "conflicting_key"),
        ('{"a": 1e999}', "number_out_of_range"),
        ('{"a": NaN}', "number_out_of_range"),
        ('{"a": -Infinity}', "number_out_of_range"),
        ('{"a": ' + "9" * 400 + "}", "number_out_of_range"),
        ('{"a": ' + "9" * 10_000 + "}", "number_out_of_range"),
        ('{"a": "\\ud800"}', "invalid_unicode"),
    ],
)
def test_what_cannot_be_decided_is_doubtful(text: str, rule: str) -> None:
    reading = read(text)[0]
    assert [problem.rule for problem in reading.problems] == [rule]
    assert reading.doubtful


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "empty_output"),
        (" \n\t" * 300, "empty_output"),
        ("There is nothing.", "invalid_json"),
        ('{"a": 1', "truncated_output"),
        ('{"a": "x', "truncated_output"),
        ('{"a": tru', "truncated_output"),
        ('{"a": {"b": 1}, "c"', "truncated_output"),
        ('```json\n{"a": [1, 2', "truncated_output"),
        ('{"a": 1}, {"b": ', "truncated_output"),
        ('{"a": 007}', "invalid_json"),
        ('{"a": 1,234,567}', "invalid_json"),
        ('{"a": {"b": 1}, ???}', "invalid_json"),
        ("[" * (DEEPEST + 5) + "]" * (DEEPEST + 5), "depth"),
        ('{"a":' * 100_000, "depth"),
        ("x" * 1_000_001, "too_long"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, rule: str) -> None:
    (reading,) = read(text)
    assert reading.value is None
    assert not reading.whole
    assert reading.problems[-1].rule == rule


def test_the_pair_of_an_escaped_character_is_joined() -> None:
    assert seen('{"a": "\\ud83d\\ude00",}')[0] == {"a": "😀"}


def test_several_values_come_the_longest_first() -> None:
    found = read('Either {"a": 1} or {"a": 1, "b": 2}.')
    assert [one.value for one in found] == [{"a": 1, "b": 2}, {"a": 1}]


@given(st.text(max_size=80))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert read(text)
