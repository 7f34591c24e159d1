from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made import make_result

from firstfault.advise.measures import quality, style
from firstfault.evaluate.metrics import unmeasured
from firstfault.types import CaseResult, Score


def result(error: str | None = None, **values: float) -> CaseResult:
    scores = unmeasured("-") | {name: Score(value=value) for name, value in values.items()}
    return make_result(scores=scores, error=error)


@pytest.mark.parametrize(
    ("given_", "value"),
    [
        ({"answer_correctness": 0.8, "abstention_accuracy": 1.0}, 0.8),
        ({"answer_correctness": 0.8, "format_validity": 0.0}, 0.0),
        ({"abstention_accuracy": 1.0}, 1.0),
        ({"faithfulness": 0.5, "format_validity": 1.0}, 0.5),
        ({}, None),
        ({"error": "refused", "answer_correctness": 1.0}, 0.0),
    ],
)
def test_quality(given_: dict[str, Any], value: float | None) -> None:
    assert quality(result(**given_)).value == value


EXPECTED = "Dear Ms Miller, we have received your letter; it is in good hands. Kind regards, the office."


def test_style_is_of_the_form_and_not_of_the_content() -> None:
    alike = style(
        "Dear Mr Jones, we have found your parcel; it is in dry storage. Kind regards, the depot.", EXPECTED
    )
    other = style("parcel found!!! come get it", EXPECTED)
    assert alike.value is not None
    assert other.value is not None
    assert alike.value > 0.85
    assert other.value < 0.4
    assert style(EXPECTED, EXPECTED).value == 1.0
    assert style("anything", "twelve euros").value is None
    assert style("", EXPECTED).value is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_style_is_a_share(one: str, other: str) -> None:
    value = style(one, other).value
    assert value is None or 0.0 <= value <= 1.0
