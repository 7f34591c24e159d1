"""Text in, spans of sentences out: `text[start:end]`, in order, never overlapping.

Every character that is not white space lies in exactly one span, so nothing can escape a check.
"""

import re
from collections.abc import Iterator

from firstfault.sentences import MARK, sentence_spans, stripped

_CITATION = re.compile(rf"[ \t]*{MARK}")
_FENCE = re.compile(r"^[ \t]*(```|~~~)")
_ITEM = re.compile(
    r"^[ \t]*(?:[-*+•‣–][ \t]+|\(?\d{1,3}[.)][ \t]+|\(?[a-zA-Z][.)][ \t]+|#{1,6}[ \t]+|>[ \t]*|\|)"
)


def split_claims(text: str) -> list[tuple[int, int]]:
    """Split a text into sentences, list items, table rows and code blocks.

    Citation marks such as `[1][2]` after a full stop belong to the sentence before them. A fenced code block
    is one span. See `firstfault.sentences` for where a sentence ends.

    Returns half-open character offsets `(start, end)`, stripped of outer white space, in order.
    """
    spans: list[tuple[int, int]] = []
    for start, end, whole in _blocks(text):
        spans += stripped(text, start, end) if whole else sentence_spans(text, start, end)
    return spans


def without_citations(text: str) -> str:
    """The text with citation marks such as `[1]` or `[2, 3]` taken out."""
    return _CITATION.sub("", text)


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
