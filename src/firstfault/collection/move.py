"""Copying the index of a collection to another place, and proof that the copy is the same.

In: the catalog, the index in use, and the place to copy to. Out: a `Move`. What an interrupted copy brought
over is kept, and only the rest is copied the next time.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from firstfault.collection.catalog import Catalog
from firstfault.collection.changes import parts
from firstfault.collection.index import Index
from firstfault.collection.lexical import Lexicon
from firstfault.collection.place import Place
from firstfault.collection.recovery import compare
from firstfault.collection.writer import Writer
from firstfault.types import Candidate, Verdict

QUERIES = 50
"""Sample queries: the vectors and words of chunks spread over the collection."""
DEPTH = 10
"""Places of each ranking that are compared."""
SAME_SCORE = 1e-3
"""Scores that differ by no more are the same: both engines round."""
SAME_VECTOR = 1e-3
"""Greatest difference of a component of a vector."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What was copied, and whether it is the same."""

    source: str
    target: str
    points: int
    copied: int
    """Points that the target lacked, or held with another validity."""
    removed: int
    """Points of the target that the catalog does not have."""
    checksum: str
    """SHA-256 over the key and validity of every point of the target, hex."""
    verdicts: tuple[Verdict, ...]

    @property
    def verified(self) -> bool:
        """Whether every check held."""
        return all(verdict.status == "ok" for verdict in self.verdicts)


def move(
    catalog: Catalog,
    lexicon: Lexicon,
    *,
    source: tuple[Index, Place],
    target: tuple[Index, Place],
    writer: Writer,
    progress: Progress,
) -> Move:
    """Copy what the target lacks, verify it, and note in the catalog that it agrees where it does.

    `writer` writes to the target.
    """
    index, place = target
    copied, removed = _copy(catalog, index, writer, progress)
    report = Move(
        source=source[1].name,
        target=place.name,
        points=index.info().points,
        copied=copied,
        removed=removed,
        checksum=checksum(index),
        verdicts=tuple(_verify(catalog, lexicon, source[0], index, place)),
    )
    if report.verified:
        writer.mark()
    return report


def _copy(catalog: Catalog, target: Index, writer: Writer, progress: Progress) -> tuple[int, int]:
    """Bring the target to what the catalog says. Returns how many points were copied, and removed."""
    found = compare(catalog, target)
    target.ensure_fields((name, kind) for name, kinds in catalog.fields().items() for kind in kinds)
    done = 0
    for part in parts(found.lacking):
        writer.restore(part)
        done += len(part)
        progress(done, len(found.lacking))
    if found.foreign:
        writer.remove(found.foreign)
    target.settle()
    return len(found.lacking), len(found.foreign)


def _verify(
    catalog: Catalog, lexicon: Lexicon, source: Index, target: Index, place: Place
) -> Iterator[Verdict]:
    """Counts, checksums, vectors and sample rankings of the two."""
    remedy = f"Move again. If it stays: {place.remedy}"
    counts = [index.info().points for index in (source, target)]
    yield _verdict("points", abs(counts[0] - counts[1]), 0, f"{counts[0]} here, {counts[1]} there", remedy)
    sums = [checksum(index) for index in (source, target)]
    yield _verdict(
        "checksum", float(sums[0] != sums[1]), 0, f"keys and validity: {sums[0][:12]}, {sums[1][:12]}", remedy
    )
    keys = sorted(catalog.spans())
    worst = max((_difference(source, target, part) for part in parts(keys)), default=0.0)
    yield _verdict(
        "vectors", worst, SAME_VECTOR, f"{len(keys)} compared, greatest difference {worst:.1e}", remedy
    )
    sample = keys[:: max(1, len(keys) // QUERIES)][:QUERIES]
    wrong = _departures(catalog, lexicon, source, target, sample)
    yield _verdict(
        "rankings",
        wrong,
        0,
        f"{len(sample)} dense and {len(sample)} BM25 queries, first {DEPTH}: {wrong} differ",
        remedy,
    )


def checksum(index: Index) -> str:
    """SHA-256 over key and validity of every point, by key."""
    digest = hashlib.sha256()
    for key, span in sorted(index.spans(), key=lambda pair: pair[0]):
        digest.update(struct.pack("<qqq", key, span.valid_from, span.valid_to))
    return digest.hexdigest()


def _difference(one: Index, other: Index, keys: Sequence[int]) -> float:
    """Greatest difference of any component; infinite where a vector is absent."""
    here, there = one.vectors(keys), other.vectors(keys)
    if here.keys() != there.keys():
        return float("inf")
    return max((float(np.abs(here[key] - there[key]).max()) for key in here), default=0.0)


def _departures(catalog: Catalog, lexicon: Lexicon, one: Index, other: Index, keys: Sequence[int]) -> int:
    """Sample queries that the two rank differently."""
    vectors = catalog.vectors(keys)
    texts = catalog.index_rows(keys)
    wrong = 0
    for key in keys:
        dense = [
            index.dense(vectors[key], where=None, version=None, limit=DEPTH, ef=DEPTH, exact=True)
            for index in (one, other)
        ]
        words = lexicon.question(texts[key][0])
        sparse = [index.sparse(words, where=None, version=None, limit=DEPTH) for index in (one, other)]
        wrong += (not same_ranking(*dense)) + (not same_ranking(*sparse))
    return wrong


def same_ranking(one: Sequence[Candidate], other: Sequence[Candidate]) -> bool:
    """Whether two rankings are the same but for ties, and for what ties with the last place."""
    if len(one) != len(other):
        return False
    scale = max((abs(candidate.score) for candidate in one), default=0.0) or 1.0
    close = SAME_SCORE * max(1.0, scale)
    if any(abs(a.score - b.score) > close for a, b in zip(one, other, strict=True)):
        return False
    above = {candidate.key for candidate in one if candidate.score > one[-1].score + close}
    return above <= {candidate.key for candidate in other}


def _verdict(name: str, measured: float, limit: float, reason: str, remedy: str) -> Verdict:
    ok = measured <= limit
    return Verdict(
        name=name,
        status="ok" if ok else "fail",
        measured=measured if measured != float("inf") else None,
        limit=float(limit),
        reason=reason,
        remedy="" if ok else remedy,
    )
