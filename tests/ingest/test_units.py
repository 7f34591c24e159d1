from hypothesis import given
from hypothesis import strategies as st

from firstfault.ingest.units import Edge, Heading, heading_path, headings, lines_of, units_of

TEXT = """# Title

First sentence. Second one.
Still the paragraph.

- item one
  goes on
- item two. With two sentences.

| a | b |
| - | - |
| 1 | 2 |

```python
x = 1

y = 2
```

    indented code

Under
-----
last
"""


def shown(text: str, *, code: bool = False) -> list[tuple[str, Edge]]:
    return [(text[unit.start : unit.end], unit.edge) for unit in units_of(text, code=code)]


def test_a_text_is_taken_apart_by_its_structure() -> None:
    assert shown(TEXT) == [
        ("# Title", Edge.HEADING),
        ("First sentence.", Edge.PARAGRAPH),
        ("Second one.", Edge.SENTENCE),
        ("Still the paragraph.", Edge.SENTENCE),
        ("- item one\n  goes on", Edge.ITEM),
        ("- item two.", Edge.ITEM),
        ("With two sentences.", Edge.SENTENCE),
        ("| a | b |\n| - | - |\n| 1 | 2 |", Edge.BLOCK),
        ("```python\nx = 1\n\ny = 2\n```", Edge.BLOCK),
        ("indented code", Edge.BLOCK),
        ("Under\n-----", Edge.HEADING),
        ("last", Edge.PARAGRAPH),
    ]


def test_source_code_is_taken_apart_at_blank_lines() -> None:
    code = "# a comment\nimport x\n\ndef f():\n    a = 1\n\n    return a\n"
    assert shown(code, code=True) == [
        ("# a comment\nimport x", Edge.PARAGRAPH),
        ("def f():\n    a = 1", Edge.PARAGRAPH),
        ("return a", Edge.ITEM),
    ]


def test_a_block_comes_apart_into_lines() -> None:
    text = "```\na\n\n  b\n```"
    (unit,) = units_of(text)
    assert [text[line.start : line.end] for line in lines_of(text, unit)] == ["```", "a", "b", "```"]


def test_an_unclosed_fence_reaches_to_the_end() -> None:
    assert shown("```\na\n\nb") == [("```\na\n\nb", Edge.BLOCK)]


def test_pages_are_separate_paragraphs() -> None:
    assert [text for text, _ in shown("One page\n\fanother page")] == ["One page", "another page"]


def test_headings_and_the_path_to_a_character() -> None:
    text = "# A\n\n## B\n\nx\n\n## C #\n\ny\n\nD\n===\n\nz"
    assert [(heading.level, heading.title) for heading in headings(text)] == [
        (1, "A"),
        (2, "B"),
        (2, "C"),
        (1, "D"),
    ]
    assert next(headings(text)) == Heading(0, 1, "A")
    assert heading_path(text, text.index("x")) == ("A", "B")
    assert heading_path(text, text.index("y")) == ("A", "C")
    assert heading_path(text, text.index("z")) == ("D",)
    assert heading_path("plain", 2) == ()


PIECES = st.sampled_from(
    ["word ", "Sentence. ", "\n", "\n\n", "# H\n", "- i\n", "```\n", "~~~\n", "| a |\n", "    code\n",
     "---\n", "===\n", "\f", "é\u0301", "\u200b", "🙂", "中文。", "\x1c", "\x85", "\u2028", "1. ", "\t"]
)  # fmt: skip


@given(st.lists(PIECES).map("".join) | st.text(), st.booleans())
def test_units_cover_everything_but_white_space(text: str, code: bool) -> None:
    covered = 0
    for unit in units_of(text, code=code):
        assert unit.start < unit.end
        assert not text[covered : unit.start].strip()
        assert text[unit.start : unit.end] == text[unit.start : unit.end].strip()
        covered = unit.end
    assert not text[covered:].strip()
