"""Text in, spans of sentences out: `text[start:end]`, in order, never overlapping.

Every character that is not white space lies in exactly one span, so nothing can escape a check.
"""

import re
from collections.abc import Iterator

_ABBREVIATIONS_TEXT = """
mr mrs ms dr prof sr jr st vs etc eg ie e.g i.e cf al rev gen col sgt capt lt gov sen rep hon inc ltd co
corp dept univ assn bros approx ca apr jun jul aug sep sept oct nov dec u.s u.k u.n e.u a.m p.m d.c ph.d
m.d b.a m.a b.sc m.sc bzw z.b d.h u.a ggf usw bspw evtl sog m mme mlle env av apr.j.-c sra dra ud uds pág
núm
"""
_ABBREVIATIONS = frozenset(_ABBREVIATIONS_TEXT.split())
"""Words that end with a full stop without ending a sentence (lower case, last stop removed)."""

_BEFORE_NUMBERS = frozenset(
    "no nos art sec ch p pp ed eds vol vols fig figs eq ref refs nr jan feb mar".split()
)
"""Abbreviations only where a number follows: elsewhere they are words, or end a sentence."""
_ENDERS = ".!?…。！？；؟।॥‽"
_WIDE_ENDERS = "。！？；؟।॥"
_MARK = r"\[\s*\^?\d+(?:\s*[,;–-]\s*\d+)*\s*\]"
_BOUNDARY = re.compile(
    rf"(?P<stop>[{_ENDERS}]+)(?P<close>[\"'”’»)\]}}*_`」』）]*)(?P<marks>(?:[ \t]*{_MARK})*)(?P<gap>\s+|$)?"
)
_CITATION = re.compile(rf"[ \t]*{_MARK}")
_FENCE = re.compile(r"^[ \t]*(```|~~~)")
_ITEM = re.compile(
    r"^[ \t]*(?:[-*+•‣–][ \t]+|\(?\d{1,3}[.)][ \t]+|\(?[a-zA-Z][.)][ \t]+|#{1,6}[ \t]+|>[ \t]*|\|)"
)
_MARKER_ONLY = re.compile(r"^[ \t]*(?:\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|[-*+•‣–])$")
_LAST_WORD = re.compile(r"[\w.\-]+$")


def split_claims(text: str) -> list[tuple[int, int]]:
    """Split a text into sentences, list items, table rows and code blocks.

    Citation marks such as `[1][2]` after a full stop belong to the sentence before them. A fenced code block
    is
    one span. Decimals, initials and common abbreviations (English, some German, French, Spanish) do not end a
    sentence; Chinese, Japanese, Arabic and Hindi full stops do, without needing a space.

    Returns half-open character offsets `(start, end)`, stripped of outer white space, in order.
    """
    spans: list[tuple[int, int]] = []
    for start, end, whole in _blocks(text):
        pieces = [(start, end)] if whole else _sentences(text, start, end)
        for piece_start, piece_end in pieces:
            stripped = _strip(text, piece_start, piece_end)
            if stripped is not None:
                spans.append(stripped)
    return spans


def without_citations(text: str) -> str:
    """The text with citation marks such as `[1]` or `[2, 3]` taken out."""
    return _CITATION.sub("", text)


def _strip(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _blocks(text: str) -> Iterator[tuple[int, int, bool]]:
    """Paragraphs, list items and table rows (`False`: to be split) and code fences (`True`: kept whole)."""
    block_start: int | None = None
    fence: str | None = None
    fence_start = position = 0
    for line in text.splitlines(keepends=True):
        line_start, position = position, position + len(line)
        opener = _FENCE.match(line)
        if fence is not None:
            if opener and opener[1] == fence:
                yield fence_start, position, True
                fence = None
            continue
        if opener or not line.strip() or _ITEM.match(line):
            if block_start is not None:
                yield block_start, line_start, False
            block_start = None
        if opener:
            fence, fence_start = opener[1], line_start
        elif line.strip() and block_start is None:
            block_start = line_start
    if fence is not None:
        yield fence_start, len(text), True
    elif block_start is not None:
        yield block_start, len(text), False


def _sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = []
    begin = start
    for match in _BOUNDARY.finditer(text, start, end):
        if _ends_sentence(text, begin, match, end):
            cut = match.end("marks")
            spans.append((begin, cut))
            begin = cut
    spans.append((begin, end))
    return spans


def _ends_sentence(text: str, begin: int, match: re.Match[str], end: int) -> bool:
    stop, gap = match["stop"], match["gap"]
    after = match.end()
    if match["marks"] or any(mark in _WIDE_ENDERS for mark in stop):
        return True
    if gap is None and match.end("marks") < end and not match["marks"]:
        return False
    following = text[after : after + 1]
    if following and following.islower():
        return False
    if stop == ".":
        head = text[begin : match.start()]
        if _MARKER_ONLY.match(head + "."):
            return False
        word = _LAST_WORD.search(head)
        if word is not None and not match["marks"] and following:
            last = word[0].lower().lstrip("-.")
            single = len(last) == 1 and last.isalpha()
            return not (single or last in _ABBREVIATIONS or (last in _BEFORE_NUMBERS and following.isdigit()))
    return True
