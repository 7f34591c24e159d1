"""A text in, its units out: the sentences, headings, list items, tables and code blocks it consists of.

Units are what chunking puts together: in order, not overlapping, with only white space between them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from firstfault.sentences import sentence_spans


class Edge(IntEnum):
    """What begins at a unit; the higher, the better a place to cut before it."""

    PIECE = 0
    """Inside a sentence, line or word that is too long for one chunk."""
    SENTENCE = 1
    """A sentence inside a paragraph, or a line inside a code block or table that was taken apart."""
    ITEM = 2
    """A list item."""
    BLOCK = 3
    """A code block or a table, which the paragraph before usually announces."""
    PARAGRAPH = 4
    """A paragraph, or a top-level definition in source code."""
    HEADING = 5
    """A heading, which belongs to what follows it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest piece that is not cut without need."""

    start: int
    end: int
    edge: Edge
    whole: bool = False
    """A code block, table or other run of lines: kept in one piece where it fits, cut at lines if not."""


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str
    """Without the line break."""


_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}#{1,6}[ \t]+\S")
_UNDERLINE = re.compile(r" {0,3}(=|-|~|\^)\1{2,}[ \t]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+•‣–][ \t]+|\(?\d{1,3}[.)][ \t]+|\(?[a-zA-Z][.)][ \t]+)\S")
_ROW = re.compile(r"[ \t]*\|")
_INDENTED = re.compile(r"(?: {4}|\t)")


def units_of(text: str, *, code: bool = False) -> list[Unit]:
    """Take a text apart. With `code`, blank lines and indentation decide, and `#` is no heading."""
    lines = list(_lines(text))
    return list(_code_units(lines) if code else _prose_units(text, lines))


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a text."""

    start: int
    """Character offset."""
    level: int
    """1 = outermost."""
    title: str
    """Without its marks."""


def headings(text: str) -> Iterator[Heading]:
    """Yield the headings of a Markdown (or reStructuredText) text in order."""
    for unit in _prose_units(text, list(_lines(text))):
        if unit.edge is Edge.HEADING:
            first, _, below = text[unit.start : unit.end].partition("\n")
            marks = len(first) - len(first.lstrip("#"))
            level = 1 + "=-~^".index(below.strip()[0]) if below else marks
            title = first.strip() if below else first.strip("# \t")
            yield Heading(unit.start, level, title)


def heading_path(text: str, offset: int) -> tuple[str, ...]:
    """Return the headings above a character, outermost first, e.g. `("Install", "On Linux")`."""
    path: list[Heading] = []
    for heading in headings(text):
        if heading.start > offset:
            break
        path = [outer for outer in path if outer.level < heading.level] + [heading]
    return tuple(heading.title for heading in path)


def lines_of(text: str, unit: Unit) -> list[Unit]:
    """Take a code block or table that is too long for one chunk apart into its lines."""
    spans = [
        (unit.start + line.start, unit.start + line.end)
        for line in _lines(text[unit.start : unit.end])
        if line.text.strip()
    ]
    edges = [unit.edge] + [Edge.SENTENCE] * (len(spans) - 1)
    return [
        Unit(*_strip(text, start, end), edge=edge) for (start, end), edge in zip(spans, edges, strict=True)
    ]


def _lines(text: str) -> Iterator[_Line]:
    start = 0
    for found in re.finditer(r"[\n\f]", text):
        yield _Line(start, found.start(), text[start : found.start()])
        start = found.end()
    yield _Line(start, len(text), text[start:])


def _prose_units(text: str, lines: list[_Line]) -> Iterator[Unit]:
    index = 0
    while index < len(lines):
        line = lines[index]
        if not line.text.strip():
            index += 1
        elif fence := _FENCE.match(line.text):
            last = _closing_fence(lines, index, fence[1])
            yield Unit(*_strip(text, line.start, lines[last].end), edge=Edge.BLOCK, whole=True)
            index = last + 1
        elif _ATX.match(line.text):
            yield Unit(*_strip(text, line.start, line.end), edge=Edge.HEADING)
            index += 1
        elif _ROW.match(line.text):
            last = _run(lines, index, _ROW)
            yield Unit(*_strip(text, line.start, lines[last].end), edge=Edge.BLOCK, whole=True)
            index = last + 1
        elif _is_underlined(lines, index):
            yield Unit(*_strip(text, line.start, lines[index + 1].end), edge=Edge.HEADING)
            index += 2
        elif _ITEM.match(line.text):
            last = _end_of_paragraph(lines, index)
            yield from _sentences(text, line.start, lines[last].end, Edge.ITEM)
            index = last + 1
        elif _INDENTED.match(line.text):
            last = _run(lines, index, _INDENTED)
            yield Unit(*_strip(text, line.start, lines[last].end), edge=Edge.BLOCK, whole=True)
            index = last + 1
        else:
            last = _end_of_paragraph(lines, index)
            yield from _sentences(text, line.start, lines[last].end, Edge.PARAGRAPH)
            index = last + 1


def _code_units(lines: list[_Line]) -> Iterator[Unit]:
    index = 0
    while index < len(lines):
        line = lines[index]
        if not line.text.strip():
            index += 1
            continue
        last = index
        while last + 1 < len(lines) and lines[last + 1].text.strip():
            last += 1
        top = not line.text[0].isspace()
        start = line.start + len(line.text) - len(line.text.lstrip())
        end = lines[last].start + len(lines[last].text.rstrip())
        yield Unit(start, end, Edge.PARAGRAPH if top else Edge.ITEM, whole=True)
        index = last + 1


def _sentences(text: str, start: int, end: int, edge: Edge) -> Iterator[Unit]:
    for number, (first, last) in enumerate(sentence_spans(text, start, end)):
        yield Unit(first, last, Edge.SENTENCE if number else edge)


def _closing_fence(lines: list[_Line], opening: int, mark: str) -> int:
    for index in range(opening + 1, len(lines)):
        found = _FENCE.match(lines[index].text)
        if found and found[1].startswith(mark) and not lines[index].text.strip().strip(mark[0]):
            return index
    return len(lines) - 1


def _run(lines: list[_Line], first: int, pattern: re.Pattern[str]) -> int:
    last = first
    while last + 1 < len(lines) and lines[last + 1].text.strip() and pattern.match(lines[last + 1].text):
        last += 1
    return last


def _end_of_paragraph(lines: list[_Line], first: int) -> int:
    last = first
    while last + 1 < len(lines):
        following = lines[last + 1].text
        if not following.strip() or any(p.match(following) for p in (_FENCE, _ATX, _ROW, _ITEM)):
            break
        if _is_underlined(lines, last + 1):
            break
        last += 1
    return last


def _is_underlined(lines: list[_Line], index: int) -> bool:
    """Whether a line is a heading by the line of `===` or `---` below it (Markdown, reStructuredText)."""
    return (
        index + 1 < len(lines)
        and bool(lines[index].text.strip())
        and _UNDERLINE.match(lines[index + 1].text) is not None
        and _UNDERLINE.match(lines[index].text) is None
        and (index == 0 or not lines[index - 1].text.strip())
    )


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
