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


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The pump weighs 12500 g.", "The pump costs 3 euros."),
        ("The P1 has 450 W.", "The lamp is red."),
        ("The oven draws 1500 W.", "Turn it off."),
        ("Height: 3 m.", "Colour: red."),
        ("Power: ~450 W.", "Colour: red."),
        ("It takes 3 s.", "The end."),
        ("It was 41 °C.", "Es gab keinen Datenverlust."),
        ("It stayed below 250 ms.", "A failover takes longer."),
        ("The limit is 60 km/h.", "Lorries are slower."),
        ("It holds 1.5 L.", '"Enough," she said.'),
    ],
)
def test_a_unit_after_a_number_ends_a_sentence(first: str, second: str) -> None:
    assert split(f"{first} {second}") == [first, second]


@pytest.mark.parametrize(
    "text",
    [
        "J. R. Smith left.",
        "George W. Bush left.",
        "In 2015 J. Smith left.",
        "In 2015 Ms. Jones left.",
        "12 J. Smith left.",
        "See 3 J. R. Smith.",
        "They met at 450 W. Washington Street.",
        "Caesar starb 44 v. Chr. in Rom.",
        "See p. 5 and No. 5, e.g. The Guide.",
        "See vol. 3 p. 5.",
    ],
)
def test_an_initial_or_an_abbreviation_ends_none(text: str) -> None:
    assert split(text) == [text]


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
