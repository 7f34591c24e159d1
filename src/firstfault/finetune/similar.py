"""Near-duplicates: texts in, groups of texts that say nearly the same out.

MinHash signatures (Broder 1997) in bands (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4)
propose pairs; the exact Jaccard similarity of their shingles decides. Deterministic.
"""

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

NEAR = 0.75
"""Jaccard similarity of the shingles from which two texts are near-duplicates."""

_WORDS = 2
"""Words of a shingle."""
_BANDS, _ROWS = 32, 4
"""A pair at similarity 0.75 is proposed with probability 1 - (1 - 0.75⁴)³² > 0.9999."""
_COMMON = 0.1
"""A shingle in more than this share of many texts belongs to their template, and tells none from another."""
_MANY = 20
_LARGEST = 200
"""Texts of one bucket that are compared pair by pair; the others with the first."""
_PRIME = (1 << 31) - 1

_WORD = re.compile(r"\w+", re.UNICODE)

Shingles = frozenset[int]


def normal(text: str) -> str:
    """A text without what does not matter: case, white space and punctuation."""
    return " ".join(_WORD.findall(text.lower()))


def shingle(texts: Sequence[str]) -> list[Shingles]:
    """Hashes of the word shingles of each text, those of a shared template left out."""
    made = [_shingles(text) for text in texts]
    if len(texts) < _MANY:
        return made
    counts = Counter(value for one in made for value in one)
    most = max(2, int(_COMMON * len(texts)))
    common = {value for value, count in counts.items() if count > most}
    return [frozenset(one - common) for one in made]


def pairs(shingles: Sequence[Shingles], *, least: float = NEAR) -> Iterator[tuple[int, int]]:
    """Positions of near-duplicates, the smaller first, in order. Texts without shingles have none."""
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for position, one in enumerate(shingles):
        if one:
            signature = _signature(one).reshape(_BANDS, _ROWS)
            for band in range(_BANDS):
                buckets[band, signature[band].tobytes()].append(position)
    proposed: set[tuple[int, int]] = set()
    for members in buckets.values():
        heads = members[:_LARGEST]
        proposed.update((a, b) for i, a in enumerate(heads) for b in heads[i + 1 :])
        proposed.update((members[0], b) for b in members[_LARGEST:])
    for a, b in sorted(proposed):
        if jaccard(shingles[a], shingles[b]) >= least:
            yield a, b


def groups(size: int, joined: Iterator[tuple[int, int]]) -> list[int]:
    """For each position the first position of its group, where joined positions share a group."""
    first = list(range(size))

    def root(position: int) -> int:
        while first[position] != position:
            first[position] = first[first[position]]
            position = first[position]
        return position

    for a, b in joined:
        low, high = sorted((root(a), root(b)))
        first[high] = low
    return [root(position) for position in range(size)]


def jaccard(one: Shingles, other: Shingles) -> float:
    """Shared shingles over all; 0 when both have none."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def _shingles(text: str) -> Shingles:
    words = _WORD.findall(text.lower())
    if len(words) <= _WORDS:
        return frozenset({zlib.crc32(" ".join(words).encode())}) if words else frozenset()
    return frozenset(
        zlib.crc32(" ".join(words[i : i + _WORDS]).encode()) for i in range(len(words) - _WORDS + 1)
    )


_RANDOM = np.random.default_rng(20_250_101)
_A = _RANDOM.integers(1, _PRIME, size=(_BANDS * _ROWS, 1), dtype=np.uint64)
_B = _RANDOM.integers(0, _PRIME, size=(_BANDS * _ROWS, 1), dtype=np.uint64)


def _signature(one: Shingles) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """The least value of each hash function over the shingles. (functions,)"""
    values = np.fromiter(one, dtype=np.uint64, count=len(one)) % np.uint64(_PRIME)
    signature: np.ndarray[tuple[int], np.dtype[np.uint64]] = (
        ((_A * values + _B) % np.uint64(_PRIME)).min(axis=1).astype(np.uint64)
    )
    return signature
