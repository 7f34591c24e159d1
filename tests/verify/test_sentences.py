import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.verify.sentences import split_claims, without_citations

PARTS = st.sampled_from(
    [
        "Dr. Smith paid 3.5 million.", "[1][2]", " [3, 4]", "\n", "\n\n", "- item one", "1. Preheat.", "```",
        "x = 1. y", "这是一句。", "Is it?", '"Yes."', "e.g. this", "J. K. Rowling", "| a | b |", " ", "…",
        "?!",
        ")", "## Title", "U.S. troops",
        "مرحبا؟", "\x00", "\u2028", "\r\n", "z.B. so",
    ]
)  # fmt: skip


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_claims(text)]


@given(st.one_of(st.text(), st.lists(PARTS).map("".join), st.lists(PARTS).map(" ".join)))
def test_spans_are_ordered_stripped_and_miss_nothing(text: str) -> None:
    spans = split_claims(text)
    covered: set[int] = set()
    last = 0
    for start, end in spans:
        assert last <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        covered.update(range(start, end))
        last = end
    assert all(text[i].isspace() for i in range(len(text)) if i not in covered)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rose 3.5 percent. It fell.", ["It rose 3.5 percent.", "It fell."]),
        ("Dr. Smith met Mrs. Jones. They spoke.", ["Dr. Smith met Mrs. Jones.", "They spoke."]),
        ("J. K. Rowling wrote it. It sold.", ["J. K. Rowling wrote it.", "It sold."]),
        ("One fact.[1][2] Another [3].", ["One fact.[1][2]", "Another [3]."]),
        ("One fact. [1] Another.", ["One fact. [1]", "Another."]),
        ("- first\n- second one. And more.", ["- first", "- second one.", "And more."]),
        ("1. Preheat the oven.\n2. Bake.", ["1. Preheat the oven.", "2. Bake."]),
        ("A hard\nwrapped line. Next.", ["A hard\nwrapped line.", "Next."]),
        ("Text:\n```py\nx = 1. y\n\nz\n```\nEnd.", ["Text:", "```py\nx = 1. y\n\nz\n```", "End."]),
        ("这是一句。这是第二句。", ["这是一句。", "这是第二句。"]),
        ("Das ist z. B. gut. Ende.", ["Das ist z. B. gut.", "Ende."]),
        ("¿Qué? Sí. ¡Vale!", ["¿Qué?", "Sí.", "¡Vale!"]),
        ('He said "No." Then left.', ['He said "No."', "Then left."]),
        ("See firstfault.example.com for more.", ["See firstfault.example.com for more."]),
        ("The U.S. army left. It won.", ["The U.S. army left.", "It won."]),
        ("| a | b |\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_known_texts(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_an_unclosed_fence_is_one_span() -> None:
    assert sentences("Before.\n```\na. b. c.\nd") == ["Before.", "```\na. b. c.\nd"]


def test_citation_marks_are_taken_out() -> None:
    assert without_citations("A fact.[1][2] More [3, 4] here") == "A fact. More here"
