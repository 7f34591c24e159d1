"""Contexts and a claim in, the sentences that speak about the claim out, in reading order and within a budget.

Long contexts are read whole: every sentence is scored, and those that cover the claim's words are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from firstfault.verify.sentences import split_claims
from firstfault.verify.terms import Term, rarity, terms

_MAX_WORDS = 60
"""A sentence longer than this many words is cut into pieces."""
_STEP_BACK = 0.35
"""Share of a neighbour's own score that is added for standing beside the best sentence."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a context."""

    context: int
    """Position in the list of contexts."""
    start: int
    end: int
    text: str
    stems: frozenset[str]
    words: int


def read(contexts: Sequence[str]) -> list[Sentence]:
    """All sentences of all contexts; those of more than 60 words are cut at white space."""
    found = []
    for number, context in enumerate(contexts):
        for start, end in split_claims(context):
            for piece_start, piece_end in _pieces(context, start, end):
                text = context[piece_start:piece_end]
                stems = frozenset(term.stem for term in terms(text))
                found.append(Sentence(number, piece_start, piece_end, text, stems, len(text.split())))
    return found


def _pieces(text: str, start: int, end: int) -> list[tuple[int, int]]:
    words = text[start:end].split()
    if len(words) <= _MAX_WORDS:
        limit = _MAX_WORDS * 12
        return [(at, min(end, at + limit)) for at in range(start, end, limit)]
    spans = []
    parts = -(-len(words) // _MAX_WORDS)
    size = -(-len(words) // parts)
    position = start
    for first in range(0, len(words), size):
        begin = text.index(words[first], position)
        position = begin
        for word in words[first : first + size]:
            position = text.index(word, position) + len(word)
        spans += [(at, min(position, at + _MAX_WORDS * 12)) for at in range(begin, position, _MAX_WORDS * 12)]
    return spans


def select(sentences: Sequence[Sentence], claim_terms: Sequence[Term], budget: int) -> list[Sentence]:
    """Sentences that together cover the claim's words, most first, up to `budget` words; in reading order.

    Greedy cover weighted by rarity: a word already covered counts a quarter. The neighbours of the best
    sentence get a bonus, because pronouns point there. At least one sentence is returned if there is any.
    """
    weights = {stem: rarity(stem) for stem in {term.stem for term in claim_terms}}
    overlaps = [sentence.stems & weights.keys() for sentence in sentences]
    covered: set[str] = set()
    chosen: list[int] = []
    left = budget
    best = -1
    while left > 0:
        top, top_gain = -1, 0.0
        for i, overlap in enumerate(overlaps):
            if i in chosen or (chosen and sentences[i].words > left):
                continue
            gain = sum(weights[stem] * (0.25 if stem in covered else 1.0) for stem in overlap)
            if best >= 0 and sentences[i].context == sentences[best].context and abs(i - best) == 1:
                gain = gain * (1 + _STEP_BACK) + 0.5
            gain /= 12 + sentences[i].words ** 0.5
            if gain > top_gain + 1e-12:
                top, top_gain = i, gain
        if top < 0:
            break
        if best < 0:
            best = top
        chosen.append(top)
        covered |= overlaps[top]
        left -= sentences[top].words
    if not chosen and sentences:
        chosen = [0]
    return [sentences[i] for i in sorted(chosen)]
