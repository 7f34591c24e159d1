"""Points of an index made by hand, and what an index answers, by key."""

import math
from typing import Any

import numpy as np

from firstfault.collection import parse_where
from firstfault.collection.index import Index, Point
from firstfault.collection.lexical import SparseVector
from firstfault.types import Metadata

DIMENSION = 8


def vector(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)


def point(key: int, *terms: int, metadata: Metadata | None = None, **more: Any) -> Point:
    return Point(
        key=key,
        sparse=SparseVector(indices=sorted(terms), values=[1.0] * len(terms)),
        metadata=metadata or {},
        **{"dense": vector(key), "valid_from": 1, **more},
    )


def idf(n: int, df: int) -> float:
    return math.log(1 + (n - df + 0.5) / (df + 0.5))


def lexical(index: Index, *terms: int, version: int | None = None, where: str = "") -> dict[int, float]:
    asked = SparseVector(indices=sorted(terms), values=[1.0] * len(terms))
    found = index.sparse(asked, where=parse_where(where) if where else None, version=version, limit=10)
    return {candidate.key: candidate.score for candidate in found}


def nearest(index: Index, where: str | None = None, version: int | None = None) -> list[int]:
    parsed = parse_where(where) if where else None
    found = index.dense(vector(0), where=parsed, version=version, limit=50, ef=64, exact=False)
    return sorted(candidate.key for candidate in found)
