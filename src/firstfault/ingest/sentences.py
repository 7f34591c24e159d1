"""A stretch of prose in, the spans of its sentences out, in order and without gaps but white space."""

import re
from collections.abc import Iterator

_ABBREVIATIONS = frozenset(
    """
    mr mrs ms dr prof sr jr st vs etc e.g i.e cf al fig figs no nos vol pp ed eds rev gen col sgt
    capt lt gov sen rep hon inc ltd co corp dept univ approx ca est jan feb mar apr jun jul aug sep
    sept oct nov dec u.s u.k u.n a.m p.m ph.d z.b d.h bzw usw nr bspw str m mme mlle sra dra
    """.split()
)
"""Words that end with a full stop without ending a sentence (lower case, last stop removed)."""

_END = re.compile(r"(?P<stop>[.!?…‽]+|[。！？।؟]+)(?P<close>[\"'”’»)\]}*_`」』）]*)(?P<gap>\s*)(?P<next>\S?)")
_WORD = re.compile(r"[\w.\-]*\Z")
_LONGEST_WORD = 12
"""Characters before a full stop that are looked at; no abbreviation is longer."""
_WIDE = frozenset("。！？।؟")


def sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield `(start, end)` of each sentence in `text[start:end]`; outer white space lies in none.

    Decimals, initials and common abbreviations do not end a sentence; neither does a full stop
    before a lower-case word. Chinese, Japanese, Arabic and Hindi full stops need no space after them.
    """
    begin = start
    for found in _END.finditer(text, start, end):
        if _ends(text, begin, found):
            yield from _stripped(text, begin, found.end("close"))
            begin = found.end("close")
    yield from _stripped(text, begin, end)


def _ends(text: str, begin: int, found: re.Match[str]) -> bool:
    stop, following = found["stop"], found["next"]
    if stop[-1] in _WIDE or not following:
        return True
    if not found["gap"] or following.islower() or following in ",;:":
        return False
    if stop != "." or found["close"]:
        return True
    tail = _WORD.search(text[max(begin, found.start() - _LONGEST_WORD) : found.start()])
    word = tail[0].lstrip("-.") if tail else ""
    return word.lower() not in _ABBREVIATIONS and not (len(word) == 1 and word.isupper())


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
