"""Contexts and a claim in, the sentences that speak about the claim out, in reading order and within a
budget.

Long contexts are read whole: every sentence is scored, and those that cover the claim's words are kept.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from firstfault.verify.language import language
from firstfault.verify.sentences import split_claims
from firstfault.verify.terms import Term, rarity, stems, words

MOST_WORDS = 60
"""A sentence longer than this many words is cut into pieces."""
_MOST_CHARACTERS = 12 * MOST_WORDS
_SPEECH = re.compile(r"\w")
_ENDED = re.compile(r"[.!?…:;\"'”’)\]}|>*_`。！？।]$")
_SNIPPET = (60, 200)
_PROSE_LINE = 12
"""A snippet breaks off when it has this many words (fewest, most) and its last line of at least so many words
does not end as a sentence, an item or a heading does."""
_NEIGHBOUR = 0.35
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
    """Stems of its content words."""
    words: int


@dataclass(frozen=True, slots=True)
class Source:
    """Contexts as read once for all claims that are held against them."""

    contexts: tuple[str, ...]
    sentences: tuple[Sentence, ...]
    known: frozenset[str]
    """Stems of every word of the contexts, stop words included."""
    languages: frozenset[str | None]
    """The language of each context that has a word in it; None among them where it could not be told."""
    passages: int
    """Contexts with a word in them."""
    broken: bool
    """Whether every context is a snippet that was cut off in the middle of a sentence."""


def read(contexts: Sequence[str]) -> Source:
    """All sentences of all contexts; those of more than 60 words are cut at white space."""
    found = []
    known: set[str] = set()
    for number, context in enumerate(contexts):
        known |= words(context)
        for start, end in split_claims(context):
            for piece_start, piece_end in pieces(context, start, end):
                text = context[piece_start:piece_end]
                length = text.count(" ") + 1
                found.append(Sentence(number, piece_start, piece_end, text, stems(text), length))
    spoken = [context for context in contexts if _SPEECH.search(context)]
    return Source(
        tuple(contexts),
        tuple(found),
        frozenset(known),
        languages=frozenset(language(context) for context in spoken),
        passages=len(spoken),
        broken=all(_breaks_off(context.rstrip()) for context in spoken),
    )


def _breaks_off(context: str) -> bool:
    fewest, most = _SNIPPET
    line = context.rsplit("\n", 1)[-1]
    return (
        fewest <= len(context.split()) <= most
        and len(line.split()) >= _PROSE_LINE
        and not _ENDED.search(line)
    )


def pieces(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """A span cut into spans of at most 60 words and 720 characters, at white space where there is some."""
    if end - start < 2 * MOST_WORDS:  # too short to hold more words than that
        return [(start, end)]
    found = text[start:end].split()
    if len(found) <= MOST_WORDS and end - start <= _MOST_CHARACTERS:
        return [(start, end)]
    parts = -(-len(found) // MOST_WORDS)
    size = -(-len(found) // parts)
    spans = []
    position = start
    for first in range(0, len(found), size):
        position = begin = text.index(found[first], position)
        for word in found[first : first + size]:
            position = text.index(word, position) + len(word)
        spans += [
            (at, min(position, at + _MOST_CHARACTERS)) for at in range(begin, position, _MOST_CHARACTERS)
        ]
    return spans


def select(
    sentences: Sequence[Sentence], claim_terms: Sequence[Term], budget: int, *, anew: bool = False
) -> list[Sentence]:
    """Sentences that together cover the claim's words, most first, up to `budget` words; in reading order.

    Greedy cover weighted by rarity: a word already covered counts a quarter. The neighbours of the best
    sentence get a bonus, because pronouns point there. With `anew`, a sentence must bring a new word, or hold
    all those of the first. At least one sentence is returned if there is any.
    """
    weights = {stem: rarity(stem) for stem in {term.stem for term in claim_terms}}
    overlaps = [sorted(sentence.stems & weights.keys()) for sentence in sentences]
    open_ = {i for i, overlap in enumerate(overlaps) if overlap}
    covered: set[str] = set()
    chosen: list[int] = []
    first: set[str] = set()
    left = budget
    neighbours: set[int] = set()
    while left > 0:
        top, top_gain = -1, 0.0
        for i in sorted(open_):
            if chosen and sentences[i].words > left:
                continue
            if anew and chosen and covered.issuperset(overlaps[i]) and not first.issubset(overlaps[i]):
                continue
            gain = sum(weights[stem] * (0.25 if stem in covered else 1.0) for stem in overlaps[i])
            if i in neighbours:
                gain = gain * (1 + _NEIGHBOUR) + 0.5
            gain /= 12 + sentences[i].words ** 0.5
            if gain > top_gain + 1e-12:
                top, top_gain = i, gain
        if top < 0:
            break
        if not chosen:
            beside = {i for i in (top - 1, top + 1) if 0 <= i < len(sentences)}
            neighbours = {i for i in beside if sentences[i].context == sentences[top].context}
            open_ |= neighbours
            first = set(overlaps[top])
        chosen.append(top)
        open_.discard(top)
        covered.update(overlaps[top])
        left -= sentences[top].words
    if not chosen and sentences:
        chosen = [0]
    return [sentences[i] for i in sorted(chosen)]
