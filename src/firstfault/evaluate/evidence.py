"""The one predicate: does this text satisfy this gold evidence?

In: a unit of gold evidence and spans of stored documents. Out: yes or no. Evidence is located in the
document as it is stored, so labels survive another chunking. Metrics, probes and fixes all ask here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from firstfault.errors import InputError
from firstfault.types import Chunk, EvidenceUnit

if TYPE_CHECKING:
    from firstfault.answer import Application

LEAST_WORDS_ELSEWHERE = 6
"""A quote of at least this many words also counts where it stands word for word in another document: a
copy says the same. A shorter one may stand anywhere by chance."""

State = Literal["located", "missing_document", "missing_quote"]

_WORD = re.compile(r"\w+")
_APOSTROPHES, _QUOTES, _DASHES = "'’‘`´", '"“”„«»', "-‐‑‒–—−"
_ALIKE = {mark: f"[{re.escape(marks)}]" for marks in (_APOSTROPHES, _QUOTES, _DASHES) for mark in marks}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpan:
    """A piece of a stored document."""

    document_id: str
    start: int
    end: int
    text: str
    """Exactly `document.text[start:end]`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """A unit of gold evidence and where it stands."""

    unit: EvidenceUnit
    state: State
    """`missing_document`: the document is not stored; `missing_quote`: it is, without the quote."""
    places: tuple[TextSpan, ...] = ()
    """Every place of the quote in its document; none for a unit without a quote."""


def locate(unit: EvidenceUnit, text: str | None) -> Gold:
    """Find a unit in the text of its document; None = the document is not stored.

    Case and white space do not count, and typographic quotes and dashes equal plain ones.
    """
    if text is None:
        return Gold(unit=unit, state="missing_document")
    if unit.quote is None:
        return Gold(unit=unit, state="located")
    places = tuple(
        TextSpan(document_id=unit.document, start=start, end=end, text=text[start:end])
        for start, end in find(unit.quote, text)
    )
    return Gold(unit=unit, state="located" if places else "missing_quote", places=places)


def find(quote: str, text: str) -> list[tuple[int, int]]:
    """Every place where a quote stands in a text, `text[start:end]`; whole words only."""
    pattern = _pattern(quote)
    return [match.span() for match in pattern.finditer(text)] if pattern else []


def satisfied(gold: Gold, spans: Sequence[TextSpan]) -> bool:
    """Whether spans hold a unit of gold evidence: every word of one of its places, in one span or in
    several together. A unit without a quote is satisfied by any words of its document.
    """
    own = [span for span in spans if span.document_id == gold.unit.document]
    if gold.unit.quote is None:
        return any(_WORD.search(span.text) for span in own)
    if any(_covers(own, place) for place in gold.places):
        return True
    if len(_WORD.findall(gold.unit.quote)) < LEAST_WORDS_ELSEWHERE:
        return False
    return any(find(gold.unit.quote, span.text) for span in spans if span.document_id != gold.unit.document)


def contributing(gold: Gold, spans: Sequence[TextSpan]) -> list[int]:
    """Positions of the spans that hold a unit: those that satisfy it alone, else those that do together."""
    alone = [position for position, span in enumerate(spans) if satisfied(gold, [span])]
    if alone or not satisfied(gold, spans):
        return alone
    return [
        position
        for position, span in enumerate(spans)
        if span.document_id == gold.unit.document
        and any(span.start < place.end and place.start < span.end for place in gold.places)
    ]


def span_of(chunk: Chunk) -> TextSpan:
    """Where a chunk stands."""
    return TextSpan(document_id=chunk.document_id, start=chunk.start, end=chunk.end, text=chunk.text)


class Locator:
    """Locates gold evidence in the collection of an application, reading each document once."""

    def __init__(self, app: "Application", *, version: int | None = None) -> None:
        self._app = app
        self._version = version
        self.text = lru_cache(maxsize=256)(self._read)
        """Document id → its text; None when it is not stored."""

    def locate(self, units: Iterable[EvidenceUnit]) -> tuple[Gold, ...]:
        """Each unit with where it stands in the corpus."""
        return tuple(locate(unit, self.text(unit.document)) for unit in units)

    def _read(self, document_id: str) -> str | None:
        try:
            return self._app.collection.document(document_id, version=self._version).text
        except InputError:
            return None


def _covers(spans: Sequence[TextSpan], place: TextSpan) -> bool:
    """Whether every word of a place lies whole inside one of the spans."""
    return all(
        any(
            span.start <= place.start + word.start() and place.start + word.end() <= span.end
            for span in spans
        )
        for word in _WORD.finditer(place.text)
    )


@lru_cache(maxsize=4096)
def _pattern(quote: str) -> re.Pattern[str] | None:
    if not _WORD.search(quote):
        return None
    words = ["".join(_ALIKE.get(c) or re.escape(c) for c in word) for word in quote.split()]
    before = r"(?<!\w)" if quote.split(maxsplit=1)[0][0].isalnum() else ""
    after = r"(?!\w)" if quote.rsplit(maxsplit=1)[-1][-1].isalnum() else ""
    return re.compile(before + r"\s+".join(words) + after, re.IGNORECASE)
