"""The lexical arm's view of a text: its terms, and their BM25 weights as a sparse vector.

In: a text. Out: term numbers with weights. The inverse document frequency is the index's part.

An identifier counts whole and in parts: `json.dumps`, `max_tokens` and `HTTPServer` are found as they are
written, and by `json`, `dumps`, `max`, `tokens`, `http`, `server`.
"""

import re
import threading
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from firstfault.errors import InputError

K1 = 1.2
"""Saturation of the term frequency; Robertson & Zaragoza 2009, section 3.5."""
B = 0.75
"""How far the length of a text counts; ibid."""

UNSTEMMED = "none"
DEFAULT_LANGUAGE = "english"

_WORD = re.compile(r"\w+(?:\.\w+)*")
_JOINTS = re.compile(r"[._]+")
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseVector:
    """Weights by term number, sorted by number."""

    indices: list[int]
    values: list[float]


class Lexicon:
    """Terms of one language.

    Raises:
        InputError: there is no stemmer for the language.
    """

    def __init__(self, language: str) -> None:
        self._stem = _stemmer(language)
        self._lock = threading.Lock()
        self._numbers = lru_cache(maxsize=200_000)(self._word_numbers)

    def document(self, text: str, average_length: float) -> SparseVector:
        """BM25 term weights without inverse document frequency (Robertson & Zaragoza 2009, equation 3.15).

        `average_length` is that of the texts in the index, counted by `length`.
        """
        counts = Counter(self._terms(text))
        norm = K1 * (1 - B + B * counts.total() / average_length) if counts else 0.0
        weights = sorted((term, count * (K1 + 1) / (count + norm)) for term, count in counts.items())
        return SparseVector(indices=[term for term, _ in weights], values=[weight for _, weight in weights])

    def question(self, text: str) -> SparseVector:
        """Every term once, with weight 1."""
        terms = sorted(set(self._terms(text)))
        return SparseVector(indices=terms, values=[1.0] * len(terms))

    def length(self, text: str) -> int:
        """How many terms the text has."""
        return sum(1 for _ in self._terms(text))

    def _terms(self, text: str) -> Iterator[int]:
        for word in _WORD.findall(unicodedata.normalize("NFKC", text)):
            yield from self._numbers(word)

    def _word_numbers(self, word: str) -> tuple[int, ...]:
        """A term's number is its CRC-32: a term shares it with one of 100,000 others 1 time in 43,000."""
        with self._lock:  # a stemmer works in place, and an ingest may use it while a question does
            terms = word_terms(word, self._stem)
        return tuple(zlib.crc32(term.encode()) for term in terms)


def word_terms(word: str, stem: Callable[[str], str]) -> list[str]:
    """The terms of a word: the word itself, and its parts when it is made of several."""
    if _IDEOGRAPHS.search(word):
        return [term for run in _split_ideographs(word) for term in run]
    pieces = [piece for piece in _JOINTS.split(word) if piece]
    parts = [part.lower() for piece in pieces for part in _humps(piece)]
    whole = word.lower()
    if parts == [whole]:
        return [stem(whole)]
    if pieces == [word]:
        return [stem(whole), *map(stem, parts)]
    return [whole, *map(stem, parts)] if parts else []


def _humps(piece: str) -> Iterator[str]:
    """Cut `maxTokens` and `HTTPServer` before the capitals that begin a word."""
    start = 0
    if not (piece.islower() or piece.isupper()):
        for at in range(1, len(piece)):
            after_lower = not piece[at - 1].isupper()
            before_lower = piece[at + 1 : at + 2].islower()
            if piece[at].isupper() and (after_lower or before_lower):
                yield piece[start:at]
                start = at
    yield piece[start:]


def _split_ideographs(word: str) -> Iterator[list[str]]:
    """Scripts without spaces, as single characters and pairs; what stands between them, as it is."""
    position = 0
    for match in _IDEOGRAPHS.finditer(word):
        yield [word[position : match.start()].lower()] if match.start() > position else []
        run = match.group()
        yield [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
        position = match.end()
    yield [word[position:].lower()] if position < len(word) else []


def _stemmer(language: str) -> Callable[[str], str]:
    if language == UNSTEMMED:
        return lambda word: word
    import snowballstemmer  # type: ignore[import-untyped]

    if language not in snowballstemmer.algorithms():
        known = ", ".join([UNSTEMMED, *snowballstemmer.algorithms()])
        raise InputError(
            f"There is no stemmer for '{language}'.", hint=f"Set index.language to one of: {known}."
        )
    stem: Callable[[str], str] = snowballstemmer.stemmer(language).stemWord
    return stem
