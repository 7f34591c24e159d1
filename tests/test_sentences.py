import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.sentences import sentence_spans


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It costs 3.5 EUR. Cheap.", ["It costs 3.5 EUR.", "Cheap."]),
        ("Dr. Smith met J. Doe. They left.", ["Dr. Smith met J. Doe.", "They left."]),
        ("See e.g. the manual, fig. 3. Then go.", ["See e.g. the manual, fig. 3.", "Then go."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ("first\nline. Second\nline.", ["first\nline.", "Second\nline."]),
        ("这是。那是！好", ["这是。", "那是！", "好"]),
        ("tokenised text . Another one .", ["tokenised text .", "Another one ."]),
        ("no end", ["no end"]),
        ("   ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@given(st.text(), st.integers(0, 20))
def test_nothing_but_white_space_lies_outside(text: str, start: int) -> None:
    start = min(start, len(text))
    covered = start
    for begin, end in sentence_spans(text, start, len(text)):
        assert begin < end
        assert not text[covered:begin].strip()
        assert text[begin:end] == text[begin:end].strip()
        covered = end
    assert not text[covered:].strip()
