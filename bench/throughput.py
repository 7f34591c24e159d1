"""Ingest against the embedder alone, on the same texts in one run; and a second ingest of what is there.

    python -m bench.throughput [--chunks 3000] [--slices 6]

Slices alternate between the embedder alone and the collection, so that a busy machine slows both. CPU
seconds are those of this process, all threads.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.index import SETTINGS, corpus, open_embedder
from firstfault.collection import Collection


class Stopwatch:
    """Adds up wall and CPU seconds."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def run(self, work: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=3000)
    parser.add_argument("--slices", type=int, default=6)
    given = parser.parse_args()
    embedder = open_embedder(hashed=False)
    documents = list(corpus(given.chunks * 3, 80))[::3]
    size = len(documents) // given.slices
    alone, stored = Stopwatch(), Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with Collection.open(home, settings=SETTINGS, embedder=embedder) as collection:
            embedder.embed([documents[0].document.text])
            for number in range(given.slices):
                part = documents[number * size : (number + 1) * size]
                texts = [chunked.document.text for chunked in part]
                alone.run(lambda texts=texts: embedder.embed(texts))
                stored.run(lambda part=part: list(collection.add_all(part)))
            again = Stopwatch()
            again.run(lambda: list(collection.add_all(documents)))
    chunks = size * given.slices
    for name, watch in (("embedder alone", alone), ("ingest", stored)):
        print(f"{name:<16} {chunks / watch.wall:7.1f} chunks/s   {chunks / watch.cpu:7.1f} per CPU second")
    print(f"share            {alone.wall / stored.wall:7.1%}            {alone.cpu / stored.cpu:7.1%}")
    print(f"unchanged, again {stored.wall / again.wall:7.0f} x faster")


if __name__ == "__main__":
    main()
