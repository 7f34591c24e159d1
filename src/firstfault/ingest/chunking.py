"""A document in, the character spans of its chunks out.

Spans are exact, in order, never empty, and cover every character that is not white space. Both ways of
chunking put units (sentences, list items, tables, code blocks) together under a number of tokens:
`semantic` cuts where the topic changes or the structure says so, `recursive` at the largest separator.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from firstfault.config import ChunkingConfig
from firstfault.errors import ConfigError, MissingError
from firstfault.ingest.cohesion import Cohesion, LexicalCohesion, WordVectorCohesion, depths
from firstfault.ingest.units import Edge, Unit, lines_of, units_of
from firstfault.models import store
from firstfault.models.embedder import Embedder
from firstfault.models.wordvectors import Tokens, WordVectors
from firstfault.types import ChunkedDocument, Document

_CHARACTERS_PER_TOKEN = 12
"""A long run without a break is one unknown token to WordPiece, yet it takes room in every prompt:
a chunk has at most this many characters for each token that it may have (English has 4 to 5)."""

_WINDOW_TOKENS = 60
"""Text on each side of a gap that is compared to find a change of topic: about three sentences."""

_EDGE_VALUE = {
    Edge.PIECE: -1.0,
    Edge.SENTENCE: 0.0,
    Edge.ITEM: 0.1,
    Edge.BLOCK: 0.1,
    Edge.PARAGRAPH: 0.3,
    Edge.HEADING: 0.7,
}
"""What a cut is worth by what begins after it."""
_TOPIC_VALUE = 0.5
"""What a cut at the deepest dip of similarity is worth."""
_CHUNK_COST = 0.35
"""What every chunk costs, so that text is not cut to shreds."""
_EMPTINESS_COST = 0.6
"""What a chunk costs for the square of the share of it that stays empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A text, its units, and how much room each takes."""

    text: str
    units: list[Unit]
    tokens: Tokens
    before: NDArray[np.int64]
    """(units,) tokens that begin before each unit."""
    until: NDArray[np.int64]
    """(units,) tokens that begin before the end of each unit."""

    def room(self, first: int, last: int) -> int:
        """Tokens that the units `first` to `last` (inclusive) take as one chunk."""
        characters = self.units[last].end - self.units[first].start
        return max(int(self.until[last] - self.before[first]), math.ceil(characters / _CHARACTERS_PER_TOKEN))


class Chunker:
    """Cuts documents for one embedder.

    Raises ConfigError when `max_tokens` is more than the embedder can embed, or the overlap leaves no room.
    """

    def __init__(self, config: ChunkingConfig, embedder: Embedder) -> None:
        if config.max_tokens > embedder.content_tokens:
            raise ConfigError(
                f"chunking.max_tokens = {config.max_tokens} is more than the {embedder.content_tokens} tokens"
                f" that {embedder.name} embeds: the rest of a chunk would be lost.",
                hint=f"Set chunking.max_tokens to {embedder.content_tokens} or less.",
            )
        if config.overlap_tokens * 2 > config.max_tokens:
            raise ConfigError(
                f"chunking.overlap_tokens = {config.overlap_tokens} is more than half of"
                f" chunking.max_tokens = {config.max_tokens}.",
                hint=f"Set chunking.overlap_tokens to {config.max_tokens // 2} or less.",
            )
        self.config = config
        self._embedder = embedder
        self._topic = _topic_model(embedder)

    @property
    def fingerprint(self) -> str:
        """What decides the spans of a text: the settings, and for `semantic` what tells topics apart."""
        cohesion = self.cohesion_name if self.config.kind == "semantic" else "none"
        settings = f"{self.config.kind}/{self.config.max_tokens}/{self.config.overlap_tokens}"
        return f"{settings}/{cohesion}/{CHUNKING_VERSION}"

    @property
    def cohesion_name(self) -> str:
        """What tells topics apart: `word-vectors` of a local encoder, or `lexical` where there is none."""
        return LexicalCohesion.name if self._topic is None else WordVectorCohesion.name

    @cached_property
    def _words(self) -> WordVectors | None:
        return None if self._topic is None else WordVectors.of(self._topic.model)

    @cached_property
    def _cohesion(self) -> Cohesion:
        return LexicalCohesion() if self._words is None else WordVectorCohesion(self._words)

    def chunk(self, document: Document) -> ChunkedDocument:
        """Cut one document."""
        return self.chunk_all([document])[0]

    def chunk_all(self, documents: Sequence[Document]) -> list[ChunkedDocument]:
        """Cut several documents; their texts are tokenized as one batch."""
        texts = [document.text for document in documents]
        return [
            ChunkedDocument(document=document, spans=self._spans(document, tokens))
            for document, tokens in zip(documents, self._tokenize(texts), strict=True)
        ]

    def _tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        if self._topic is not None and self._topic.shared and self._words is not None:
            return self._words.tokenize(texts)
        return [_tokens_from(self._embedder.token_offsets(text)) for text in texts]

    def _spans(self, document: Document, tokens: Tokens) -> tuple[tuple[int, int], ...]:
        text = document.text
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        if start >= end:
            return ()
        room = max(len(tokens.starts), math.ceil((end - start) / _CHARACTERS_PER_TOKEN))
        if room <= self.config.max_tokens:
            return ((start, end),)
        measured = _measure(text, tokens, self.config.max_tokens, document.metadata.get("format") == "code")
        if self.config.kind == "recursive":
            cuts = _recursive_cuts(measured, self.config.max_tokens - self.config.overlap_tokens)
        else:
            cuts = self._semantic_cuts(measured)
        return _with_overlap(measured, cuts, self.config)

    def _semantic_cuts(self, measured: _Measured) -> list[int]:
        own_tokens = measured.tokens if self._topic is not None and self._topic.shared else None
        vectors = self._cohesion.vectors(measured.text, measured.units, own_tokens)
        topic = depths(vectors, (measured.until - measured.before).tolist(), _WINDOW_TOKENS)
        value = [
            _EDGE_VALUE[unit.edge] + _TOPIC_VALUE * float(dip)
            for unit, dip in zip(measured.units, topic, strict=True)
        ]
        return _best_cuts(measured, value, self.config)


CHUNKING_VERSION = 1
"""Part of every document's revision: raise it when the same text would be cut elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _TopicModel:
    """The model whose word vectors tell topics apart."""

    model: str
    shared: bool
    """Its tokens are the embedder's own, so that one tokenization serves both."""


def _topic_model(embedder: Embedder) -> _TopicModel | None:
    """Choose the embedder's own word vectors, else those of a known model that has been pulled."""
    if embedder.exact_counts and not store.is_known(embedder.name):
        try:
            WordVectors.of(embedder.name)
        except MissingError:
            pass  # another vocabulary, or a graph without its weights beside it
        else:
            return _TopicModel(model=embedder.name, shared=True)
    for model in store.KNOWN_MODELS:
        if model.kind == "embedder":
            try:
                store.path(model.name)
            except MissingError:
                continue
            return _TopicModel(model=model.name, shared=embedder.name == model.name)
    return None


def _tokens_from(offsets: Sequence[tuple[int, int]]) -> Tokens:
    pairs = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    return Tokens(ids=np.zeros(len(pairs), dtype=np.int64), starts=pairs[:, 0], ends=pairs[:, 1])


def _measure(text: str, tokens: Tokens, limit: int, code: bool) -> _Measured:
    """Take the text apart into units that each fit into a chunk."""

    def fits(unit: Unit) -> bool:
        count = int(np.searchsorted(tokens.starts, unit.end) - np.searchsorted(tokens.starts, unit.start))
        return max(count, math.ceil((unit.end - unit.start) / _CHARACTERS_PER_TOKEN)) <= limit

    units: list[Unit] = []
    for unit in units_of(text, code=code):
        for part in lines_of(text, unit) if unit.whole and not fits(unit) else [unit]:
            units += [part] if fits(part) else _pieces(text, part, tokens, limit)
    headings = [unit.edge is Edge.HEADING for unit in units]
    for index in range(1, len(units)):
        if headings[index - 1]:  # a cut right after a heading would strand it
            units[index] = replace(units[index], edge=Edge.PIECE)
    starts = np.array([unit.start for unit in units])
    ends = np.array([unit.end for unit in units])
    return _Measured(
        text=text,
        units=units,
        tokens=tokens,
        before=np.searchsorted(tokens.starts, starts),
        until=np.searchsorted(tokens.starts, ends),
    )


def _pieces(text: str, unit: Unit, tokens: Tokens, limit: int) -> list[Unit]:
    """Cut a unit that is too long by itself: at white space, else between words, else anywhere."""
    first, last = np.searchsorted(tokens.starts, (unit.start, unit.end))
    starts = tokens.starts[first:last].tolist()
    pieces: list[Unit] = []
    begin, index = unit.start, 0
    while begin < unit.end:
        farthest = min(unit.end, begin + limit * _CHARACTERS_PER_TOKEN)
        if index + limit < len(starts):
            farthest = min(farthest, max(starts[index + limit], begin + 1))
        cut = farthest if farthest == unit.end else _cut_before(text, begin, farthest, starts, index)
        end = cut
        while text[end - 1].isspace():
            end -= 1
        pieces.append(Unit(begin, end, Edge.PIECE if pieces else unit.edge))
        begin = cut
        while begin < unit.end and text[begin].isspace():
            begin += 1
        while index < len(starts) and starts[index] < begin:
            index += 1
    return pieces


def _cut_before(text: str, begin: int, farthest: int, starts: list[int], index: int) -> int:
    """The last good place to cut in `(begin, farthest]`: before a word, before a token, or right there."""
    candidates = []
    position = index
    while position < len(starts) and starts[position] <= farthest:
        if starts[position] > begin:
            candidates.append(starts[position])
        position += 1
    for start in reversed(candidates):
        if text[start - 1].isspace():
            return start
    for start in reversed(candidates):
        if not (text[start - 1].isalnum() and text[start].isalnum()):
            return start
    return candidates[-1] if candidates else farthest


def _best_cuts(measured: _Measured, value: Sequence[float], config: ChunkingConfig) -> list[int]:
    """Return the units that begin a chunk, so that the cuts are worth the most (dynamic programming).

    A chunk costs for being one and for what stays empty; a cut earns its value. Room for the overlap is
    set aside. Linear in the number of units; ties go to the longer chunk.
    """
    count, limit = len(measured.units), config.max_tokens
    reach_back = [_overlap_start(measured, first, 0, config) for first in range(count)]
    best = [0.0] + [math.inf] * count
    came_from = [0] * (count + 1)
    for end in range(1, count + 1):
        for first in range(end - 1, -1, -1):
            room = measured.room(reach_back[first], end - 1)
            if room > limit and first < end - 1:
                break
            cost = best[first] + _CHUNK_COST + _EMPTINESS_COST * max(0.0, 1 - room / limit) ** 2
            if first:
                cost -= value[first]
            if cost <= best[end]:
                best[end], came_from[end] = cost, first
    cuts = [came_from[count]]
    while cuts[-1]:
        cuts.append(came_from[cuts[-1]])
    return cuts[::-1]


def _recursive_cuts(measured: _Measured, limit: int) -> list[int]:
    """Return the units that begin a chunk: split at the largest edge inside, merge what fits, repeat."""

    def split(first: int, last: int) -> list[int]:
        if first == last or measured.room(first, last) <= limit:
            return [first]
        strongest = max(unit.edge for unit in measured.units[first + 1 : last + 1])
        starts = [first, *(i for i in range(first + 1, last + 1) if measured.units[i].edge == strongest)]
        cuts: list[int] = []
        growing = False
        for start, end in zip(starts, [*(start - 1 for start in starts[1:]), last], strict=True):
            if growing and measured.room(cuts[-1], end) <= limit:
                continue
            growing = measured.room(start, end) <= limit
            cuts += split(start, end)
        return cuts

    return split(0, len(measured.units) - 1)


def _overlap_start(measured: _Measured, first: int, earliest: int, config: ChunkingConfig) -> int:
    """Return the unit from which a chunk that begins at unit `first` repeats the chunk before it.

    Only whole units are repeated, and never anything from before a heading.
    """
    units, start = measured.units, first
    while (
        start > earliest
        and units[start].edge not in (Edge.HEADING, Edge.PIECE)
        and units[start - 1].edge not in (Edge.HEADING, Edge.PIECE)
        and measured.room(start - 1, first - 1) <= config.overlap_tokens
        and measured.room(start - 1, first) <= config.max_tokens
    ):
        start -= 1
    return start


def _with_overlap(
    measured: _Measured, cuts: list[int], config: ChunkingConfig
) -> tuple[tuple[int, int], ...]:
    """Turn the units that begin chunks into spans that reach back over whole units of the chunk before."""
    spans = []
    for number, first in enumerate(cuts):
        last = (cuts[number + 1] if number + 1 < len(cuts) else len(measured.units)) - 1
        start = _overlap_start(measured, first, cuts[number - 1] + 1 if number else first, config)
        while start < first and measured.room(start, last) > config.max_tokens:
            start += 1
        spans.append((measured.units[start].start, measured.units[last].end))
    return tuple(spans)
