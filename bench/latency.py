"""Everything before generation, beside the query embedding alone, in one run; and what a trace costs.

    python -m bench.latency HOME [CHUNKS]

HOME is made from `bench.peers.corpus.large_corpus` when it is absent (50,000 chunks take some minutes).
Then `firstfault --home HOME search` is timed as whole processes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.peers.corpus import large_corpus, xquad_questions
from bench.ranking import percentile
from firstfault.answer import Application
from firstfault.answer.ask import _pack
from firstfault.answer.request import Request
from firstfault.answer.retrieve import embed_question, retrieve
from firstfault.config import load
from firstfault.trace import Recording
from firstfault.types import ChunkedDocument, Document

QUESTIONS = 300


def main(home: str, chunks: str = "50000") -> None:
    place = Path(home)
    config = load(place, environment={})
    if not place.exists():
        build(place, int(chunks))
    questions = [question.text for question in xquad_questions()[:QUESTIONS]]
    with Application(config) as app:
        print(f"{app.collection.info().chunks:,} chunks, {len(questions)} questions")
        run(app, questions[0])
        embedding, path, stages, recording = [], [], [], []
        for question in questions:  # turn by turn, so that a busy moment hits both
            embedding.append(timed(lambda q=question: embed_question(app, q)))
            began = time.perf_counter()
            request = run(app, question)
            path.append((time.perf_counter() - began) * 1000)
            stages.append({span.stage: span.duration_ms for span in request.recording.spans()})
        for question in questions[:100]:
            trace = app.ask(question, settings=app.settings.override({"generator.kind": "extractive"}))
            again = replace(trace, id=Recording().id)
            app.traces.flush()  # as in a request that comes alone
            recording.append(timed(lambda t=again: app.traces.put(t)))
    report("query embedding alone", embedding)
    report("everything before generation", path)
    rest = [total - stage["embed"] for total, stage in zip(path, stages, strict=True)]
    report("the same without the embedding", rest)
    for name in stages[0]:
        report(f"  {name}", [stage[name] for stage in stages])
    print(f"ratio of medians to the embedding: {percentile(path, 50) / percentile(embedding, 50):.2f}")
    report("trace recording", recording)
    whole = [
        timed(lambda: subprocess.run(command(home), check=True, stdout=subprocess.DEVNULL)) for _ in range(9)
    ]
    report("`firstfault search`, whole process", whole)


def command(home: str) -> list[str]:
    return [str(Path(sys.executable).parent / "firstfault"), "--home", home, "search", "What is a theory?"]


def build(place: Path, count: int) -> None:
    began = time.perf_counter()
    documents = (
        ChunkedDocument(
            document=Document(
                id=passage.id,
                title=passage.title,
                text=passage.text,
                source="bench",
                revision="1",
                metadata=passage.metadata,
            ),
            spans=((0, len(passage.text)),),
        )
        for passage in large_corpus(count)
    )
    with Application(load(place, environment={}), create=True) as app:
        done = sum(acknowledged.chunks for acknowledged in app.collection.add_all(documents))
    seconds = time.perf_counter() - began
    print(f"made {place}: {done:,} chunks in {seconds:.0f} s, {done / seconds:.0f} a second")


def run(app: Application, question: str) -> Request:
    request = Request(
        question=question,
        where=None,
        settings=app.settings,
        recording=Recording(),
        version=app.collection.version,
    )
    _pack(app, request, retrieve(app, request))
    return request


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def report(name: str, milliseconds: list[float]) -> None:
    p50, p95 = percentile(milliseconds, 50), percentile(milliseconds, 95)
    print(f"{name:<36} p50 {p50:>8.2f} ms   p95 {p95:>8.2f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
