import datetime
import math

import pytest

from firstfault.errors import InputError
from firstfault.ingest.metadata import filterable, parse_flags


def test_flags_are_typed() -> None:
    flags = [
        "team=payments",
        "year=2024",
        "share=0.5",
        "draft=true",
        "final=false",
        'code="007"',
        "when=2024-05-01",
    ]
    assert parse_flags(flags) == {
        "team": "payments",
        "year": 2024,
        "share": 0.5,
        "draft": True,
        "final": False,
        "code": "007",
        "when": "2024-05-01",
    }


def test_a_key_given_twice_is_a_list() -> None:
    assert parse_flags(["tag=a", "tag=b", 'tag=["c", 1]']) == {"tag": ["a", "b", "c", 1]}


def test_a_value_may_hold_an_equals_sign_or_be_empty() -> None:
    assert parse_flags(["a=b=c", "d="]) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("written", ["nan", "inf", "1_000", "-infinity", "True"])
def test_what_only_looks_like_a_number_stays_a_string(written: str) -> None:
    assert parse_flags([f"a={written}"]) == {"a": written}


@pytest.mark.parametrize(
    ("flag", "reason"),
    [("team", "not key=value"), ("=x", "not key=value"), ('a="x', "not valid JSON"), ("a=[[1]]", "left out")],
)
def test_a_malformed_flag_is_an_error(flag: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_flags([flag])


def test_nested_tables_are_flattened_and_dates_become_strings() -> None:
    raw = {
        "author": {"name": "A", "id": 7},
        "date": datetime.date(2024, 5, 1),
        "none": None,
        "tags": ["a", True],
    }
    result = filterable(raw)
    assert result.metadata == {"author.name": "A", "author.id": 7, "date": "2024-05-01", "tags": ["a", True]}
    assert result.notes == ()


@pytest.mark.parametrize("value", [math.nan, math.inf, [{"a": 1}], [None], 2**70, "\ud800", "a\0b", {}, b"x"])
def test_what_cannot_be_filtered_on_is_left_out_and_said(value: object) -> None:
    result = filterable({"good": 1, "bad": value})
    assert result.metadata == {"good": 1}
    assert len(result.notes) == 1
    assert "'bad'" in result.notes[0]
