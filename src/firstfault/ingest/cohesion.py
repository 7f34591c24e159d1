"""Units in, a vector for each out, so that neighbours on the same topic have vectors that are close.

Two ways: the word vectors inside a local encoder's weights, or, where there are none, shared words.
"""

import re
import zlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from firstfault.ingest.units import Unit
from firstfault.models.embedder import FloatArray
from firstfault.models.wordvectors import Tokens, WordVectors


class Cohesion(Protocol):
    """What tells topics apart."""

    name: str
    """Part of the chunking fingerprint: another cohesion cuts elsewhere."""

    def vectors(self, text: str, units: Sequence[Unit], tokens: Tokens | None) -> FloatArray:
        """Return (units, dimension): the sum over a unit, so that neighbours can be added up."""


class WordVectorCohesion:
    """Frequency-weighted sums of static word vectors (Arora et al. 2017, "A simple but tough-to-beat
    baseline for sentence embeddings"), the document's mean taken out.
    """

    name = "word-vectors"

    def __init__(self, words: WordVectors) -> None:
        self._words = words

    def vectors(self, text: str, units: Sequence[Unit], tokens: Tokens | None) -> FloatArray:
        """Return (units, dimension); `tokens` are the word vectors' own tokens, made here if not given."""
        tokens = tokens or self._words.tokenize([text])[0]
        edges = np.array([unit.start for unit in units] + [len(text)])
        bounds = np.searchsorted(tokens.starts, edges)
        sums = self._words.sums(tokens.ids, bounds)
        weight = np.diff(bounds)[:, None].astype(np.float32)  # (units, 1)
        mean = sums.sum(axis=0, keepdims=True) / max(float(weight.sum()), 1.0)
        centred: FloatArray = sums - weight * mean
        return centred


class LexicalCohesion:
    """Counts of words cut to their first six letters, hashed; rare in the document = heavier.

    After TextTiling (Hearst 1997). Used where no word vectors are at hand, e.g. with a remote embedder.
    """

    name = "lexical"

    _DIMENSION = 512
    _WORD = re.compile(r"\w{3,}")

    def vectors(self, text: str, units: Sequence[Unit], tokens: Tokens | None) -> FloatArray:
        """Return (units, dimension)."""
        counts = np.zeros((len(units), self._DIMENSION), dtype=np.float32)
        for row, unit in enumerate(units):
            for word in self._WORD.findall(text, unit.start, unit.end):
                counts[row, zlib.crc32(word.casefold()[:6].encode()) % self._DIMENSION] += 1
        present = (counts > 0).sum(axis=0)
        rarity = np.log((1 + len(units)) / (1 + present)).astype(np.float32)
        weighted: FloatArray = counts * rarity
        return weighted


def depths(vectors: FloatArray, tokens: Sequence[int], window: int) -> FloatArray:
    """Score every gap before a unit by how deep similarity dips there (TextTiling, Hearst 1997).

    Compares the sums over `window` tokens on both sides of each gap, then measures how far similarity
    climbs to the nearest peaks left and right. Returns (units,): 0 to 1, standardised within the
    document; the first entry is 0.
    """
    count = len(vectors)
    result = np.zeros(count, dtype=np.float32)
    if count < 3:
        return result
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    reach = np.concatenate([[0], np.cumsum(tokens)])
    gaps = np.arange(1, count)
    left = np.minimum(np.searchsorted(reach, reach[gaps] - window, side="left"), gaps - 1)
    right = np.maximum(np.searchsorted(reach, reach[gaps] + window, side="right") - 1, gaps + 1)
    before, after = sums[gaps] - sums[left], sums[right] - sums[gaps]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    similarity = np.einsum("ij,ij->i", before, after) / np.maximum(norms, 1e-9)  # (units - 1,)
    climb = _climb(similarity) + _climb(similarity[::-1])[::-1]
    spread = climb.std()
    if spread > 1e-6:
        result[1:] = np.clip((climb - climb.mean()) / (2 * spread), 0.0, 1.0)
    return result


def _climb(similarity: FloatArray) -> FloatArray:
    """How far similarity rises from each position going left until it falls again."""
    climb = np.zeros_like(similarity)
    for index in range(1, len(similarity)):
        rise = similarity[index - 1] - similarity[index]
        if rise > 0:
            climb[index] = climb[index - 1] + rise
    return climb
