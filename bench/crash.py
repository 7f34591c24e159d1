"""Kill -9 at random moments of ingest, then reopen: is all that was acknowledged there, does the index agree?

    python -m bench.crash [--rounds 20] [--seed 0] [--seconds 4]

A child opens the collection, replaces and retires documents of a pool for ever and prints each
acknowledgement; the parent kills it, opens the same home and compares. The home lives through all rounds.
Vectors come from hashed words: the time goes into storing, which is what is interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.hashed import HashedEmbedder
from firstfault.collection import Collection
from firstfault.config import Settings
from firstfault.types import ChunkedDocument, Document

POOL = 500
PER_CALL = 60
CHUNK = 200


@dataclass(frozen=True)
class Round:
    """What one kill did and what was found after it."""

    acknowledged: int
    added: int
    removed: int
    rebuilt: str
    reopen_ms: float
    problems: list[str]


def make(number: int, generation: int) -> ChunkedDocument:
    """The document with this number in one of its revisions; always the same text for the same pair."""
    noise = random.Random(f"{number}/{generation}")
    words = [f"unique{number}x{generation}"] + [
        f"w{int(noise.paretovariate(0.7)) % 5000}" for _ in range(600)
    ]
    text = " ".join(words)
    starts = range(0, len(text), CHUNK)
    return ChunkedDocument(
        document=Document(
            id=f"doc-{number}",
            title=f"Document {number}",
            text=text,
            source=f"doc-{number}.txt",
            revision=hashlib.sha256(f"{number}/{generation}".encode()).hexdigest(),
            metadata={"group": number % 10, "even": number % 2 == 0, "label": f"g{number % 7}"},
        ),
        spans=tuple((start, min(start + CHUNK, len(text))) for start in starts),
    )


def child(home: Path, seed: int, first_generation: int) -> None:
    """Change the collection until killed; each acknowledged change is printed."""
    noise = random.Random(seed)
    generation = first_generation
    with Collection.open(home, settings=Settings(), embedder=HashedEmbedder()) as collection:
        print("open", flush=True)
        while True:
            numbers = [noise.randrange(POOL) for _ in range(PER_CALL)]
            made = {}
            for number in dict.fromkeys(numbers):
                generation += 1
                made[number] = generation
            for done in collection.add_all(make(n, g) for n, g in made.items()):
                number = int(done.document_id.removeprefix("doc-"))
                print("ack", number, made[number], flush=True)
            gone = noise.randrange(POOL)
            print("retiring", gone, flush=True)
            collection.retire([f"doc-{gone}"])
            print("retired", gone, flush=True)


def run_round(home: Path, seed: int, seconds: float, known: dict[int, int | None]) -> Round:
    """One kill. `known` maps a document to its last acknowledged generation, None = retired."""
    noise = random.Random(seed)
    command = [sys.executable, "-m", "bench.crash", "--child", str(home), "--seed", str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = []
    await_word = noise.choice(["", "open", "ack", "ack", "ack", "retired"])  # "": also during recovery
    while await_word and not (said and said[-1].startswith(await_word)):
        said.append(process.stdout.readline())
    time.sleep(noise.uniform(0, seconds))
    process.send_signal(signal.SIGKILL)
    said += process.stdout.read().splitlines()
    acknowledged = 0
    unsure: set[int] = set()
    for line in said:
        words = line.split()
        if words[0] == "ack":
            known[int(words[1])] = int(words[2])
            unsure.discard(int(words[1]))
            acknowledged += 1
        elif words[0] == "retiring":
            unsure.add(int(words[1]))
        elif words[0] == "retired":
            known[int(words[1])] = None
            unsure.discard(int(words[1]))
    process.wait()
    begun = time.perf_counter()
    with Collection.open(home, settings=Settings(), embedder=HashedEmbedder()) as collection:
        elapsed = (time.perf_counter() - begun) * 1000
        problems = verify(collection, known, unsure)
        found = collection.recovery
    return Round(acknowledged, found.added, found.removed, found.rebuilt, elapsed, problems)


def verify(collection: Collection, known: dict[int, int | None], unsure: set[int]) -> list[str]:
    """Everything that is not as acknowledged, in words. What was committed but not yet said may be newer."""
    problems = [f"{v.name}: {v.reason}" for v in collection.check() if v.status == "fail"]
    live = collection.revisions()
    for number, generation in known.items():
        revision = live.get(f"doc-{number}")
        if revision is None:
            if generation is not None and number not in unsure:
                problems.append(f"doc-{number} is lost")
            known[number] = None
            continue
        stored = collection.document(f"doc-{number}")
        current = int(stored.text.split()[0].removeprefix(f"unique{number}x"))
        if current < (generation or 0):
            problems.append(f"doc-{number} fell back behind its acknowledged revision")
            continue
        known[number] = current
        wanted = make(number, current)
        chunks = collection.chunks_of(f"doc-{number}")
        if revision != wanted.document.revision:
            problems.append(f"doc-{number} has the text of another revision")
        if stored.text != wanted.document.text or [(c.start, c.end) for _, c in chunks] != list(wanted.spans):
            problems.append(f"doc-{number} is not what was stored")
        first = chunks[0][0]
        if not any(hit.key == first for hit in collection.bm25(f"unique{number}x{current}", limit=3)):
            problems.append(f"doc-{number} is not found by its word")
        vector = HashedEmbedder().embed([chunks[0][1].text])[0]
        if number % 20 == 0 and collection.dense(vector, limit=1, exact=True)[0].key != first:
            problems.append(f"doc-{number} is not found by its vector")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--child", type=Path)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.seed, given.seed * 10_000)
        return
    known: dict[int, int | None] = {}
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, given.rounds + 1):
            done = run_round(Path(folder) / "home", given.seed * 1000 + number, given.seconds, known)
            broken += bool(done.problems)
            print(
                f"round {number:>2}: {done.acknowledged:>4} acknowledged, index repaired +{done.added} "
                f"-{done.removed}{', made anew: ' + done.rebuilt if done.rebuilt else ''}, "
                f"reopened in {done.reopen_ms:.0f} ms, {'; '.join(done.problems[:3]) or 'nothing lost'}",
                flush=True,
            )
    print(
        f"{given.rounds - broken} of {given.rounds} rounds without loss, {len(known)} documents acknowledged"
    )
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
