"""A claim and the sentences of its contexts in, named signals out, each with what it saw.

Conflicts are 1 when found, 0 when not, and in between when only partly; recalls are the share that was found.
"""

import difflib
import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from firstfault.types import Signal
from firstfault.verify.numbers import Number, numbers
from firstfault.verify.passages import Sentence, Source
from firstfault.verify.terms import STOPWORDS, Term, rarity, stem, terms, words

NEGATION = re.compile(
    r"(?i)\b(?:(?:not|no)"
    r"(?!\s+(?:only|(?:more|less|fewer|later|earlier|longer|greater|higher|lower|sooner)\s+than))\b"
    r"|(?:never|none|nobody|nothing|neither|nor|without|cannot|unable|fail(?:s|ed)? to)\b)"
    r"|n['’]t\b"
)
"""A bound, as "no more than", denies nothing, nor does "not only"."""
WORDS = re.compile(r"[^\W_]+(?:['’.,\-][^\W_]+)*")
NAME = re.compile(r"(?<!\w)(?![QH][1-4]\b)[A-ZÀ-ÞΑ-ΩА-Я][\w'’\-]*")
"""A capital that begins a word. `Q2` is no name: quarters and halves of a year are read as numbers."""
_CLAUSE = re.compile(r"(?i)[;:,]|\b(?:and|but|while|whereas|although|though|because|however)\b")
"""What may stand between two clauses."""
CLOSE = 0.6
"""Share of the claim's weight that a sentence must hold before a conflict with it is looked for."""


def recall(claim_terms: Sequence[Term], sentences: Sequence[Sentence]) -> float:
    """Share of the claim's content, weighted by rarity, that the sentences hold; 1 for a claim without
    content."""
    stems = {term.stem for term in claim_terms}
    held: set[str] = set().union(*(sentence.stems for sentence in sentences)) if sentences else set()
    total = sum(rarity(s) for s in sorted(stems))
    return sum(rarity(s) for s in sorted(stems) if s in held) / total if total else 1.0


def closest(claim_terms: Sequence[Term], sentences: Sequence[Sentence]) -> Sentence | None:
    """The sentence that holds most of the claim's weight; the first of equals, the shorter preferred."""
    stems = sorted({term.stem for term in claim_terms})
    best, best_score = None, 0.0
    for sentence in sentences:
        score = sum(rarity(s) for s in stems if s in sentence.stems) / (10 + len(sentence.stems)) ** 0.2
        if score > best_score + 1e-12:
            best, best_score = sentence, score
    return best


def best_passage_recall(claim_terms: Sequence[Term], chosen: Sequence[Sentence]) -> Signal:
    """IDF-weighted containment of the claim in the chosen sentences, and the words that are missing."""
    held: set[str] = set().union(*(sentence.stems for sentence in chosen)) if chosen else set()
    missing = list(dict.fromkeys(term.text for term in claim_terms if term.stem not in held))
    value = recall(claim_terms, chosen)
    seen = (
        f"not in the passage: {', '.join(missing[:8])}" if missing else "every content word is in the passage"
    )
    return Signal(name="best_passage_recall", value=round(value, 4), seen=seen)


def number_mismatch(claim: str, source: Source, near: Sequence[Sentence]) -> Signal:
    """Numbers and dates of the claim that the contexts never state, or state with another unit.

    1 when a number is nowhere in the contexts or its unit differs; 0.5 when it stands only away from the
    sentences chosen for the claim; 0 otherwise.
    """
    stated = [n for n in numbers(claim) if n.firm]
    if not stated:
        return Signal(name="number_mismatch", value=0.0, seen="the claim states no number")
    everywhere = [n for sentence in source.sentences for n in numbers(sentence.text)]
    beside = [n for sentence in near for n in numbers(sentence.text)]
    for number in stated:
        alike = [n for n in everywhere if equal(n, number)]
        if not alike:
            others = _others(number, beside or everywhere)
            return Signal(
                name="number_mismatch", value=1.0, seen=f"claim says {number.text}, context {others}"
            )
        units = {n.unit for n in alike if n.unit}
        if number.unit and units and number.unit not in units and all(n.unit for n in alike):
            other = next(n for n in alike if n.unit)
            seen = f"claim says {number.text} {number.unit}, context says {other.text} {other.unit}"
            return Signal(name="number_mismatch", value=1.0, seen=seen)
    for number in stated:
        if not any(equal(n, number) for n in beside):
            seen = f"{number.text} stands in the context, but not beside the rest of the claim"
            return Signal(name="number_mismatch", value=0.5, seen=seen)
    return Signal(name="number_mismatch", value=0.0, seen="every number of the claim is in the context")


def equal(a: Number, b: Number) -> bool:
    """Whether two numbers are the same amount, month or day; units are not looked at."""
    if isinstance(a.value, str) or isinstance(b.value, str):
        return a.value == b.value
    return abs(a.value - b.value) <= 1e-9 * max(abs(a.value), abs(b.value), 1.0)


def _others(number: Number, found: Sequence[Number]) -> str:
    same_kind = [n.text for n in found if isinstance(n.value, str) == isinstance(number.value, str)]
    listed = list(dict.fromkeys(same_kind))[:4]
    return f"says {', '.join(listed)}" if listed else "states none"


def unseen_entity(claim: str, source: Source) -> Signal:
    """Share of the claim's names (capitalised, not at the start of a sentence; acronyms) the contexts never
    use."""
    names = _names(claim)
    if not names:
        return Signal(name="unseen_entity", value=0.0, seen="the claim names nobody and nothing")
    unseen = [name for name in names if not words(name) & source.known]
    if not unseen:
        return Signal(name="unseen_entity", value=0.0, seen="every name of the claim is in the context")
    value = len(unseen) / len(names)
    return Signal(
        name="unseen_entity", value=round(value, 4), seen=f"not in the context: {', '.join(unseen[:6])}"
    )


def _names(text: str) -> list[str]:
    found = []
    for match in NAME.finditer(text):
        word = match[0]
        before = text[: match.start()].rstrip(" \"'“‘(*_#-•0123456789)")
        starts = not before or before[-1] in ".!?:\n"
        acronym = len(word) > 1 and word.isupper()
        if word.lower() in STOPWORDS or (starts and not acronym and not _named_later(text, match.end())):
            continue
        found.append(word)
    return list(dict.fromkeys(found))


def _named_later(text: str, end: int) -> bool:
    """Whether a capitalised word that begins a sentence is followed by another one: then both are a name."""
    return bool(re.match(r"\s+[A-ZÀ-ÞΑ-ΩА-Я][a-zà-þα-ωа-я]", text[end : end + 8]))


def negation_conflict(claim: str, claim_terms: Sequence[Term], nearest: Sentence | None) -> Signal:
    """1 when the closest sentence says nearly the same and only one of the two is negated."""
    if nearest is None or recall(claim_terms, [nearest]) < CLOSE:
        return Signal(name="negation_conflict", value=0.0, seen="no sentence is close enough to compare")
    ours = [m[0] for m in NEGATION.finditer(claim)]
    theirs = _negations_beside(claim, nearest.text)
    if len(ours) % 2 == len(theirs) % 2:
        return Signal(name="negation_conflict", value=0.0, seen="both or neither are negated")
    own = f'says "{ours[0]}"' if ours else "is not negated"
    other = f'says "{theirs[0]}"' if theirs else "is not negated"
    share = recall(claim_terms, [nearest])
    value = min(1.0, max(0.0, (share - CLOSE) / (0.9 - CLOSE)))
    return Signal(name="negation_conflict", value=round(value, 4), seen=f"claim {own}, context {other}")


def _negations_beside(claim: str, sentence: str) -> list[str]:
    """The negations of those clauses of a sentence that the claim repeats; of all when it repeats little."""
    found = list(NEGATION.finditer(sentence))
    alike = aligned(claim, sentence)
    if not found or alike.share < CLOSE:
        return [m[0] for m in found]
    cuts = [m.start() for m in _CLAUSE.finditer(sentence)]
    clauses = {bisect(cuts, at) for at in alike.places}
    return [m[0] for m in found if bisect(cuts, m.start()) in clauses]


def changed_word(claim: str, nearest: Sentence | None) -> Signal:
    """1 when the claim copies a sentence but for a few words that were exchanged; shows both.

    Words put in or left out do not count, only words that stand in the place of others: a copy with an
    exchanged word is an edit, a free rewording is not.
    """
    share, swaps = _exchanged(claim, nearest)
    if share < CLOSE:
        return Signal(name="changed_word", value=0.0, seen="the claim is no near copy of a sentence")
    if not swaps:
        return Signal(name="changed_word", value=0.0, seen="no word of the sentence was exchanged")
    value = min(1.0, max(0.0, (share - CLOSE) / (0.85 - CLOSE))) / len(swaps)
    theirs_said, ours_said = swaps[0]
    seen = f'claim says "{ours_said}" where the context says "{theirs_said}"'
    return Signal(name="changed_word", value=round(value, 4), seen=seen)


def exchanged_name(claim: str, nearest: Sentence | None) -> Signal:
    """1 when the claim copies a sentence but puts one name in the place of another."""
    _, swaps = _exchanged(claim, nearest)
    for theirs_said, ours_said in swaps:
        ours, theirs = ours_said.split(), theirs_said.split()
        apart = not {stem(w) for w in ours} & {stem(w) for w in theirs}
        if apart and all(NAME.fullmatch(w) and w.lower() not in STOPWORDS for w in (*ours, *theirs)):
            seen = f'claim says "{ours_said}" where the context says "{theirs_said}"'
            return Signal(name="exchanged_name", value=1.0, seen=seen)
    return Signal(name="exchanged_name", value=0.0, seen="no name stands in the place of another")


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a claim runs along a sentence, word by word."""

    share: float
    """Of the claim's words, those that stand in the sentence in the same order."""
    same: int
    """How many these are."""
    places: tuple[int, ...]
    """Where in the sentence the content words among them begin."""
    changes: tuple[tuple[str, str], ...]
    """What stands in the sentence and what the claim says there, from left to right; either may be empty."""


@lru_cache(maxsize=1024)
def aligned(claim: str, sentence: str) -> Alignment:
    """Lay a claim beside a sentence; words are compared by their stems."""
    ours, found = WORDS.findall(claim), list(WORDS.finditer(sentence))
    theirs = [m[0] for m in found]
    matcher = difflib.SequenceMatcher(None, list(map(stem, theirs)), list(map(stem, ours)), autojunk=False)
    codes = matcher.get_opcodes()
    same = [i for tag, i1, i2, _, _ in codes if tag == "equal" for i in range(i1, i2)]
    return Alignment(
        len(same) / max(len(ours), 1),
        len(same),
        tuple(found[i].start() for i in same if _content(theirs[i : i + 1])),
        tuple(
            (" ".join(theirs[i1:i2]), " ".join(ours[j1:j2]))
            for tag, i1, i2, j1, j2 in codes
            if tag != "equal"
        ),
    )


def _exchanged(claim: str, nearest: Sentence | None) -> tuple[float, list[tuple[str, str]]]:
    """The share of the claim that stands in the sentence in order; what was exchanged: theirs, ours."""
    if nearest is None:
        return 0.0, []
    alike = aligned(claim, nearest.text)
    if alike.share < CLOSE:
        return alike.share, []
    return alike.share, [
        (theirs, ours)
        for theirs, ours in alike.changes
        if len(theirs.split()) <= 4
        and len(ours.split()) <= 4
        and _content(theirs.split())
        and _content(ours.split())
    ]


def _content(words: Sequence[str]) -> bool:
    return bool(terms(" ".join(words)))
