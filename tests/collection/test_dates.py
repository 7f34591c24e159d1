from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.collection.dates import moment


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_are_ordered_as_they_are(one: datetime, other: datetime) -> None:
    first, second = moment(one.isoformat()), moment(other.isoformat())
    if one.microsecond % 1000 == other.microsecond % 1000 == 0 and one != other:
        assert first is not None
        assert second is not None
        assert (first < second) is (one < other)


@pytest.mark.parametrize(
    "text", ["1970-01-01", "1970-01-01T00:00", "1970-01-01 00:00:00Z", "1970-01-01T02:00+02:00"]
)
def test_the_same_moment_in_several_forms(text: str) -> None:
    assert moment(text) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024",
        "2024-1-1",
        "20240101",
        "2024-02-30",
        "2024-01-01T25:00",
        " 2024-01-01",
        "2024-01-01x",
        "2024-W01-1",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert moment(text) is None
