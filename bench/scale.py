"""How the embedded index grows: time of a search, disk and memory, from a thousand chunks up.

    nice -n 15 python -m bench.scale [--sizes 1000,10000,100000] [--dimension 384] [--queries 200] [--json F]

The vectors are made, not embedded: each is one of 2,000 random directions with noise. The words are drawn by
Zipf's law, 40 a chunk out of 50,000; a question has 8 of the ranks above 50, as stop words would be left out.
Real text has more structure, so recall is not measured here but in bench/index.py. One query at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from firstfault.collection.index import Point
from firstfault.collection.index_edge import EdgeIndex
from firstfault.collection.lexical import SparseVector
from firstfault.config import IndexConfig

TOPICS = 2_000
WORDS = 50_000
TERMS = 40
ASKED = 8
BATCH = 512
LIMIT = 50


class Corpus:
    """Chunks and questions, the same for equal seeds."""

    def __init__(self, dimension: int) -> None:
        self._random = np.random.default_rng(11)
        self._topics = self._random.normal(size=(TOPICS, dimension)).astype(np.float32)
        weights = 1.0 / np.arange(1, WORDS + 1)
        self._ranks = np.cumsum(weights / weights.sum())

    def vectors(self, count: int) -> np.ndarray:  # (count, dimension)
        topics = self._topics[self._random.integers(TOPICS, size=count)]
        made = topics + self._random.normal(size=topics.shape).astype(np.float32)
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)

    def words(self, count: int) -> list[int]:
        return sorted(set(np.searchsorted(self._ranks, self._random.random(count)).tolist()))

    def question(self) -> SparseVector:
        drawn = [word for word in self.words(6 * ASKED) if word >= 50][:ASKED]
        return SparseVector(indices=drawn, values=[1.0] * len(drawn))

    def points(self, first: int, last: int) -> Iterator[list[Point]]:
        for start in range(first, last, BATCH):
            vectors = self.vectors(min(BATCH, last - start))
            yield [
                Point(
                    key=start + at + 1,
                    dense=vector,
                    sparse=SparseVector(indices=(words := self.words(TERMS)), values=[1.5] * len(words)),
                    metadata={"shard": f"s{(start + at) % 100}"},
                    valid_from=1,
                )
                for at, vector in enumerate(vectors)
            ]


def quantiles(run: Callable[[int], object], queries: int) -> dict[str, float]:
    """p50 and p95 in milliseconds; of the processor's time as well, which a busy machine changes less."""
    times, processor = [], []
    for at in range(queries):
        begun, used = time.perf_counter(), time.process_time()
        run(at)
        times.append((time.perf_counter() - begun) * 1000)
        processor.append((time.process_time() - used) * 1000)
    return {
        f"{name}p{share}": round(float(np.percentile(values, share)), 3)
        for name, values in (("", times), ("cpu_", processor))
        for share in (50, 95)
    } | {"cpu_mean": round(statistics.mean(processor), 3), "cpu_sd": round(statistics.stdev(processor), 3)}


def resident() -> int:
    """Bytes of this process that are in memory and its own, mapped files not counted."""
    pages = Path("/proc/self/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")


def measure(index: EdgeIndex, corpus: Corpus, folder: Path, size: int, queries: int) -> dict[str, Any]:
    vectors = corpus.vectors(queries)
    questions = [corpus.question() for _ in range(queries)]

    def dense(at: int) -> object:
        return index.dense(vectors[at], where=None, version=None, limit=LIMIT, ef=256, exact=False)

    def sparse(at: int) -> object:
        return index.sparse(questions[at], where=None, version=None, limit=LIMIT)

    for at in range(min(20, queries)):
        dense(at)
        sparse(at)
    info = index.info()
    disk = sum(file.stat().st_blocks * 512 for file in folder.rglob("*"))
    return {
        "chunks": size,
        "graphed": info.graphed,
        "dense_ms": quantiles(dense, queries),
        "bm25_ms": quantiles(sparse, queries),
        "both_ms": quantiles(lambda at: (dense(at), sparse(at)), queries),
        "disk_bytes_per_chunk": round(disk / size),
        "resident_bytes": resident(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    corpus = Corpus(given.dimension)
    rows = []
    with tempfile.TemporaryDirectory(prefix="ff-scale-") as temporary:
        folder = Path(temporary) / "index"
        index = EdgeIndex(folder, given.dimension, IndexConfig())
        index.ensure_fields([("shard", "text")])
        present = 0
        for size in sorted(int(one) for one in given.sizes.split(",")):
            begun = time.perf_counter()
            for batch in corpus.points(present, size):
                index.upsert(batch)
            written = time.perf_counter() - begun
            index.settle()
            built = time.perf_counter() - begun - written
            row = measure(index, corpus, folder, size, given.queries)
            row |= {"write_s": round(written, 1), "graph_s": round(built, 1), "load": os.getloadavg()[0]}
            rows.append(row)
            print(json.dumps(row), flush=True)
            present = size
            if given.json:
                given.json.write_text(json.dumps(rows, indent=1))
        index.close()


if __name__ == "__main__":
    main()
