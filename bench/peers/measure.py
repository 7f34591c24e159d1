"""One peer measured in its own process: in go a `Peer` and a command line, out comes one JSON document.

Commands that every peer script understands:

    measure --home DIR --documents FILE [--questions N]   ingest, then quality and latency on qa/xquad
    query --home DIR QUESTION                             one search on an existing home (for cold start)
    silent --home DIR                                     the battery of silent misbehaviours
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bench.peers.corpus import Passage, Question, read_passages, shard, xquad_questions

from bench import ranking

TOP = 10
WARM_UP = 5

T = TypeVar("T")


class Peer(Protocol):
    """A retrieval stack as its own quick start writes it."""

    name: str
    packages: tuple[str, ...]
    """Distributions whose versions are reported."""
    persists: str | None
    """How the index is kept on disk; None when it is not."""
    notes: tuple[str, ...]
    """Where the adapter departs from the quick start, and why."""

    def prepare(self) -> None:
        """Load what ingestion needs (the embedder), before the clock starts."""

    def ingest(self, documents: Sequence[Passage], home: Path) -> None:
        """Make the documents searchable and, where the peer can, durable in `home`."""

    def open(self, home: Path) -> None:
        """Make an existing home searchable."""

    def search(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        """Document ids, best first, one for each result (so a document can repeat)."""

    def lexical(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str] | None:
        """The lexical arm alone; None where the peer does not let a user call it."""

    def dense(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        """The dense arm alone."""

    def embed(self, query: str) -> object:
        """The query's vector alone, by the same call that `search` makes for it."""

    def record_embedded(self, seen: list[str]) -> None:
        """From now on append to `seen` every text that is handed to the embedder."""

    def close(self) -> None:
        """Release what `ingest` or `open` holds."""


def main(build: Callable[[Path], Peer]) -> None:
    """Run one command; `build` gets the embedder's folder."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("measure")
    one.add_argument("--home", type=Path, required=True)
    one.add_argument("--documents", type=Path, required=True)
    one.add_argument("--questions", type=int, default=0, help="ask this many, evenly spread; 0 = all")
    two = commands.add_parser("query")
    two.add_argument("--home", type=Path, required=True)
    two.add_argument("question")
    three = commands.add_parser("silent")
    three.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    if "PEERS_MODEL" not in os.environ:
        print("PEERS_MODEL must name the folder of all-MiniLM-L6-v2 (setup.sh makes it).", file=sys.stderr)
        raise SystemExit(3)
    model = Path(os.environ["PEERS_MODEL"])
    if arguments.command == "measure":
        documents = read_passages(arguments.documents)
        questions = _spread(xquad_questions(), arguments.questions)
        report = measure(build, model, arguments.home, documents, questions)
    elif arguments.command == "query":
        peer = build(model)
        peer.open(arguments.home)
        report = {"documents": ranking.first_seen(peer.search(arguments.question, TOP))}
        peer.close()
    else:
        from bench.peers.silent import battery

        report = battery(build, model, arguments.home)
    sys.stdout.flush()
    os.write(_STDOUT, (json.dumps(report, indent=1) + "\n").encode())


def measure(
    build: Callable[[Path], Peer],
    model: Path,
    home: Path,
    documents: Sequence[Passage],
    questions: Sequence[Question],
) -> dict[str, Any]:
    """Ingest into a fresh home, ask every question once, and report. Seconds, milliseconds and MiB."""
    begin = time.perf_counter()
    peer = build(model)
    peer.prepare()
    load_seconds = time.perf_counter() - begin
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    begin = time.perf_counter()
    peer.ingest(documents, home)
    ingest_seconds = time.perf_counter() - begin
    ingest_rss = _peak_mib()
    for question in questions[:WARM_UP]:
        peer.search(question.text, TOP)
    found, milliseconds, embedding = [], [], []
    for question in questions:
        begin = time.perf_counter()
        peer.embed(question.text)
        middle = time.perf_counter()
        names = peer.search(question.text, TOP)
        embedding.append((middle - begin) * 1000)
        milliseconds.append((time.perf_counter() - middle) * 1000)
        found.append(ranking.first_seen(names))
    report = {
        **identity(peer),
        "documents": len(documents),
        "questions": len(questions),
        "ndcg_at_10": ranking.mean(
            [
                ranking.ndcg(names, question.relevant, TOP)
                for names, question in zip(found, questions, strict=True)
            ]
        ),
        "hit_at_1": ranking.mean(
            [
                ranking.hit(names, question.relevant, 1)
                for names, question in zip(found, questions, strict=True)
            ]
        ),
        "results_mean": ranking.mean([len(names) for names in found]),
        "query_ms_p50": ranking.percentile(milliseconds, 50),
        "query_ms_p95": ranking.percentile(milliseconds, 95),
        "embed_ms_p50": ranking.percentile(embedding, 50),
        "load_seconds": load_seconds,
        "ingest_seconds": ingest_seconds,
        "peak_rss_mib_after_ingest": ingest_rss,
        "peak_rss_mib": _peak_mib(),
        "index_mib": sum(path.stat().st_blocks for path in home.rglob("*") if path.is_file()) / 2048,
        "filtered": _filtered(peer, documents, questions),
    }
    peer.close()
    return report


def _filtered(peer: Peer, documents: Sequence[Passage], questions: Sequence[Question]) -> dict[str, Any]:
    """Ten results asked under a filter on one shard, 50 times: how many came, how many satisfy it."""
    shards = {passage.id: passage.metadata["shard"] for passage in documents}
    wanted = shard(7)
    admitted = sum(1 for value in shards.values() if value == wanted)
    if admitted == 0:
        return {"admitted": 0, "reason": "No document is in the shard: the corpus is too small."}
    returned, right, milliseconds = [], [], []
    for question in _spread(questions, 50):
        begin = time.perf_counter()
        names = ranking.first_seen(peer.search(question.text, TOP, {"shard": wanted}))
        milliseconds.append((time.perf_counter() - begin) * 1000)
        returned.append(len(names))
        right.append(sum(shards[name] == wanted for name in names))
    return {
        "admitted": admitted,
        "asked": min(TOP, admitted),
        "returned_mean": ranking.mean(returned),
        "satisfying_mean": ranking.mean(right),
        "query_ms_p50": ranking.percentile(milliseconds, 50),
    }


def identity(peer: Peer) -> dict[str, Any]:
    """What was run: name, versions, and where the adapter departs from the quick start."""
    return {
        "peer": peer.name,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in peer.packages}},
        "persists": peer.persists,
        "notes": list(peer.notes),
    }


def _spread(items: Sequence[T], count: int) -> list[T]:
    if count <= 0 or count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _claim_stdout() -> int:
    """Keep the real standard output for the report; whatever a library prints goes to standard error."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return kept


_STDOUT = _claim_stdout()
