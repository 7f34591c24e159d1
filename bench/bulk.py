"""Ingest over Ray against one process: the same documents into a new home each time, taking turns.

    python -m bench.bulk [--documents 60] [--rounds 3] [--workers 2] [--json F]

The documents are those of Python's standard library. `one thread` is one process whose embedder has one
thread, `all cores` one process as it is set up by default, `ray` the workers, each with one thread. The
cluster is started once, and the time for that shown apart; that the workers load the model counts. A ratio
above 1 says that Ray was faster; on two cores nothing can be much faster than `all cores`, which uses both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import firstfault
from firstfault.bulk import connect
from firstfault.config import BulkConfig
from firstfault.ingest import Chunker, ingest_documents
from firstfault.ingest.stdlib import stdlib_documents
from firstfault.types import Document


def ingest(documents: Sequence[Document], settings: dict[str, str]) -> tuple[float, int]:
    """Seconds and chunks."""
    with (
        tempfile.TemporaryDirectory(prefix="ff-bulk-") as folder,
        firstfault.open(Path(folder) / "home", create=True, settings=settings) as app,
    ):
        chunker = Chunker(app.settings.chunking, app.embedder)
        begun = time.perf_counter()
        report = ingest_documents(app.collection, documents, chunker=chunker)
        return time.perf_counter() - begun, report.chunks


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    documents = list(islice(stdlib_documents(), given.documents))
    kinds = {
        "one thread": {"embedder.threads": "1"},
        "all cores": {},
        "ray": {"bulk.kind": "ray", "bulk.workers": str(given.workers)},
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    with ExitStack() as stack:
        begun = time.perf_counter()
        connect(BulkConfig(kind="ray", workers=given.workers), stack)
        started = time.perf_counter() - begun
        print(f"the cluster started in {started:.1f} s", flush=True)
        for turn in range(given.rounds):
            for name in list(kinds)[turn % 3 :] + list(kinds)[: turn % 3]:
                took, chunks = ingest(documents, kinds[name])
                seconds[name].append(took)
                print(f"{name:<12}{took:8.1f} s  {chunks} chunks  load {os.getloadavg()[0]:.1f}", flush=True)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    for name in ("one thread", "all cores"):
        print(f"ray against {name}: {middle[name] / middle['ray']:.2f} x")
    if given.json:
        result = {"chunks": chunks, "start_s": started, "seconds": seconds, "workers": given.workers}
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
