import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.verify.numbers import numbers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,200 and 1200", [1200.0, 1200.0]),
        ("3.5 million", [3_500_000.0]),
        ("twelve eggs", [12.0]),
        ("5km and 5 km", [5.0, 5.0]),
        ("March 3, 1999", ["march", 3.0, 1999.0]),
        ("he may march", []),
        ("passage 2 says 7", [7.0]),
        ("the 3rd of 4", [3.0, 4.0]),
        ("$8.5m, €3bn, £ 40k and $1.5B", [8_500_000.0, 3e9, 40_000.0, 1.5e9]),
    ],
)
def test_values(text: str, values: list[float | str]) -> None:
    assert [n.value for n in numbers(text)] == values


def test_units_have_one_form() -> None:
    assert [n.unit for n in numbers("5 km, 5 kilometres, $5, 5 dollars, 5 %, 5 percent")] == [
        "kilometre", "kilometre", "dollar", "dollar", "percent", "percent",
    ]  # fmt: skip
    assert [n.unit for n in numbers("$8.2m, $8.2 million, 8.2 million dollars")] == ["dollar"] * 3


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    for number in numbers(text):
        assert number.text
        assert isinstance(number.value, str) or number.value >= 0
