"""A claim that copies a sentence in, what it turns round there out: another number, an opposite, a denial.

Looked for only where one sentence holds all of the claim but one place: elsewhere a difference is rewording.
"""

import re
from collections.abc import Sequence

from firstfault.types import Signal
from firstfault.verify.numbers import numbers
from firstfault.verify.passages import Sentence, Source
from firstfault.verify.signals import NAME, Alignment, aligned, equal
from firstfault.verify.terms import STOPWORDS, stem, stems, words

_OPPOSITES_TEXT = """
more less|more fewer|most least|before after|above below|over under|earlier later|higher lower|greater smaller
greater less|larger smaller|longer shorter|faster slower|first last|minimum maximum|increase decrease
increased decreased|rise fall|rose fell|risen fallen|up down|left right|inside outside|always never
with without|all none|both neither|every no|north south|east west|heavier lighter|older younger
include exclude|allowed forbidden|gain loss|on off|optional required|upper lower|front rear
"""
_ONE_WAY_TEXT = "some all|many all|most all|sometimes always|may must|can must"
"""What the sentence says and what the claim makes of it; the other way round it follows."""


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    return frozenset(
        (stem(pair.split()[0]), stem(pair.split()[1])) for pair in re.split(r"[|\n]", text.strip())
    )


_OPPOSITES = _pairs(_OPPOSITES_TEXT) | {(b, a) for a, b in _pairs(_OPPOSITES_TEXT)} | _pairs(_ONE_WAY_TEXT)
_FEWEST, _SHARE, _LONGEST = 3, 0.6, 3
"""A copy has at least so many words, and this share of its words, in common with the sentence; what it says
otherwise is one place of at most so many words."""
_CLAUSE = re.compile(r"(?i);|,?\s(?:while|whereas|but)\s")
_ROW = re.compile(r"\s*\|(?P<key>[^|]*[^\W\d_][^|]*)\|")
_DOER = re.compile(rf"(?:{NAME.pattern}(?:\s+|$))+")


def reversed_copy(
    claim: str, chosen: Sequence[Sentence], source: Source, nearest: Sentence | None, denial: Signal
) -> Signal:
    """1 when the claim repeats one sentence or table row and says the opposite in one place; shows both.

    `chosen` are the sentences selected for the claim, `nearest` the closest of them, and `denial` is the
    `negation_conflict` with it. A sentence that the claim repeats as well or better clears it.
    """
    seen = _other_row(claim, source) or _other_doer(claim, chosen)
    if not seen and chosen:
        found = [(aligned(claim, sentence.text), sentence) for sentence in chosen]
        most = max(alike.share for alike, _ in found)
        reversals = [
            _reversal(alike) or (denial.seen if sentence == nearest and denial.value == 1 else "")
            for alike, sentence in found
            if alike.share == most and _is_copy(alike)
        ]
        seen = reversals[0] if reversals and all(reversals) else ""
    if seen:
        return Signal(name="reversed_copy", value=1.0, seen=seen)
    return Signal(name="reversed_copy", value=0.0, seen="no sentence is copied and turned round")


def _is_copy(alike: Alignment) -> bool:
    put = [ours for _, ours in alike.changes if ours]
    return (
        alike.same >= _FEWEST
        and alike.share >= _SHARE
        and len(put) <= 1
        and all(len(ours.split()) <= _LONGEST for ours in put)
    )


def _reversal(alike: Alignment) -> str:
    """The number or the opposite that a copy puts in the place of what the sentence says."""
    for theirs, ours in alike.changes:
        if not ours or not 0 < len(theirs.split()) <= _LONGEST:
            continue
        own, other = [n for n in numbers(ours) if n.firm], [n for n in numbers(theirs) if n.firm]
        number = own and other and not any(equal(a, b) for a in own for b in other)
        swapped = {(stem(a), stem(b)) for a in theirs.split() for b in ours.split()} & _OPPOSITES
        if number or swapped:
            return f'claim says "{ours}" where the context says "{theirs}"'
    return ""


def _other_row(claim: str, source: Source) -> str:
    """A number of the claim that stands only in table rows whose first cell the claim does not name."""
    said = words(claim)
    rows = [(match, s) for s in source.sentences if (match := _ROW.match(s.text))]
    named = [s for match, s in rows if words(match["key"]) <= said]
    if not named:
        return ""
    others = [s for _, s in rows if s not in named]
    prose = [s for s in source.sentences if not _ROW.match(s.text)]
    for number in (n for n in numbers(claim) if n.firm):
        own = [n for s in named for n in numbers(s.text)]
        rivals = [n for n in own if n.unit == number.unit and type(n.value) is type(number.value)]
        elsewhere = any(equal(n, number) for s in others for n in numbers(s.text))
        told = any(equal(n, number) for s in prose for n in numbers(s.text))
        if rivals and elsewhere and not told and not any(equal(n, number) for n in own):
            row = _ROW.match(named[-1].text)
            key = row["key"].strip() if row else ""
            return f'claim says {number.text}, the row of "{key}" says {rivals[-1].text}'
    return ""


def _other_doer(claim: str, chosen: Sequence[Sentence]) -> str:
    """A claim of somebody that one clause of a sentence states of somebody else, while another names them."""
    doer = _DOER.match(claim)
    if doer is None:
        return ""
    who, done = words(doer[0]), stems(claim[doer.end() :])
    if not done or any(done | who <= words(clause) for s in chosen for clause in _CLAUSE.split(s.text)):
        return ""
    for sentence in chosen:
        clauses = [clause.strip() for clause in _CLAUSE.split(sentence.text)]
        if not any(who <= words(clause) for clause in clauses):
            continue
        for clause in clauses:
            other = _DOER.match(clause)
            if (
                other
                and done <= words(clause)
                and not who & words(clause)
                and other[0].lower().strip() not in STOPWORDS
            ):
                return f'claim says "{doer[0].strip()}" where the context says "{other[0].strip()}"'
    return ""
