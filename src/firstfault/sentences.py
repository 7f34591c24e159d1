"""A stretch of prose in, the spans of its sentences out: `text[start:end]`, in order, never overlapping.

Shared by chunking and by the verifier. Every character that is not white space lies in exactly one span.
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
_MEASURE = re.compile(r"(?:°\s?|(?<=\w)/|(?<![\w.,])(?P<number>[\d.,]*[\d½¼¾])\s?)(?P<unit>ms|[A-Za-zΩ])$")
_UNITS = frozenset("g m s h l t k ms W V A K C F N J B L Ω".split())
"""Units that could be taken for an initial or a title. Not `v`, `n`, `a`, `d`: "44 v. Chr."."""
_BEFORE_YEARS = frozenset("in since by from until after before during im seit bis ab en depuis desde".split())
_YEAR = re.compile(r"1\d{3}|20\d\d")
_NAMED = re.compile(r"[^\W\d_]\.|(?:\w+ ){1,2}(?:St|Street|Ave|Avenue|Road|Rd|Blvd|Boulevard|Drive|Dr)\b")
"""What goes on after an initial or a point of the compass: another initial, a street."""
_LONGEST_MEASURE = 40
_ENDERS = ".!?…。！？；؟।॥‽"
_WIDE_ENDERS = "。！？；؟।॥"
MARK = r"\[\s*\^?\d+(?:\s*[,;–-]\s*\d+)*\s*\]"
_BOUNDARY = re.compile(
    rf"(?P<stop>[{_ENDERS}]+)(?P<close>[\"'”’»)\]}}*_`」』）]*)(?P<marks>(?:[ \t]*{MARK})*)(?P<gap>\s+|$)?"
)
_MARKER_ONLY = re.compile(r"^[ \t]*(?:\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|[-*+•‣–])$")


def sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield `(start, end)` of each sentence in `text[start:end]`; outer white space lies in none.

    Decimals, initials and common abbreviations (English, some German, French, Spanish) do not end a sentence;
    a unit after a number does ("450 W. The lamp"). A full stop before a lower-case word ends none, unless a
    citation mark such as `[1]` follows it: marks belong to the sentence before them. Chinese, Japanese,
    Arabic and Hindi full stops need no space.
    """
    begin = start
    for match in _BOUNDARY.finditer(text, start, end):
        if _ends_sentence(text, begin, match, end):
            yield from stripped(text, begin, match.end("marks"))
            begin = match.end("marks")
    yield from stripped(text, begin, end)


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
        word = _last_word(head)
        if word and not match["marks"] and following:
            last = word.lower().lstrip("-.")
            single = len(last) == 1 and last.isalpha()
            open_ = single or last in _ABBREVIATIONS or (last in _BEFORE_NUMBERS and following.isdigit())
            return not open_ or _ends_measure(head, text[after : after + _LONGEST_MEASURE])
    return True


def _ends_measure(head: str, following: str) -> bool:
    """Whether what stands before a full stop is a measure ("450 W", "41 °C", "60 km/h"), no initial."""
    found = _MEASURE.search(head[-_LONGEST_MEASURE:])
    if found is None or following[0].isdigit():
        return False
    unit, number = found["unit"], found["number"]
    if number is None:
        return True
    if unit not in _UNITS:
        return False
    before = head[: len(head) - len(found[0])].split()[-1:]
    dated = before and before[0].lower() in _BEFORE_YEARS and _YEAR.fullmatch(number)
    return unit.islower() or bool(before and not dated and not _NAMED.match(following))


def _last_word(head: str) -> str:
    """The word characters, stops and hyphens at the end of a text; looked for from behind."""
    start = len(head)
    while start and (head[start - 1].isalnum() or head[start - 1] in "_.-"):
        start -= 1
    return head[start:]


def stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the span without its outer white space, or nothing when nothing is left."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
