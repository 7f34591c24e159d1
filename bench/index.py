"""The embedded index at 50,000 chunks: recall against exact search, the time of a search, opening.

    python -m bench.index [--chunks 50000] [--words 80] [--queries 300] [--home FOLDER] [--hashed]
                          [--set index.hnsw_m=32 ...] [--rebuild]

The corpus and the questions are those of bench.peers.corpus; `shard` keeps 1 % of the chunks a value. With
--home the collection is kept, and found again by the next run. --words 20 embeds several times faster.
--hashed replaces the model by hashed words: good for times, not for recall, since vectors without structure
are harder for the graph than those of any model.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.hashed import HashedEmbedder
from bench.peers.corpus import large_corpus, xquad_questions
from firstfault.collection import Collection, Filter, fuse, parse_where, rerank
from firstfault.config import Settings
from firstfault.models.embedder import Embedder, Embedding
from firstfault.models.tokenvectors import maxsim
from firstfault.types import Candidate, ChunkedDocument, Document

SETTINGS = Settings()
K = 10
EFS = (64, 128, 256, 512)


def corpus(count: int, words: int) -> Iterator[ChunkedDocument]:
    """One chunk a passage, of its first words."""
    for passage in large_corpus(count):
        text = " ".join(passage.text.split()[:words])
        digest = hashlib.sha256(text.encode()).hexdigest()
        document = Document(
            id=passage.id,
            title=passage.title,
            text=text,
            source=passage.id,
            revision=digest,
            metadata={**passage.metadata, "tenth": int(passage.metadata["shard"][1:]) % 10},
        )
        yield ChunkedDocument(document=document, spans=((0, len(text)),))


def fill(collection: Collection, count: int, words: int) -> None:
    """Ingest what is not there yet."""
    present = collection.revisions()
    missing = [c for c in corpus(count, words) if present.get(c.document.id) != c.document.revision]
    if not missing:
        return
    begun = time.perf_counter()
    stored = sum(1 for _ in collection.add_all(missing))
    elapsed = time.perf_counter() - begun
    print(f"ingest: {stored} chunks in {elapsed:.0f} s, {stored / elapsed:.0f} a second, graph included")


def recall(collection: Collection, queries: Sequence[Embedding], where: Filter | None, ef: int) -> float:
    """Share of the exact ten best that the index returns, over all queries."""
    found = wanted = 0
    for query in queries:
        exact = collection.dense(query.vector, where=where, limit=K, exact=True)
        fast = collection.dense(query.vector, where=where, limit=K, ef=ef)
        least = exact[-1].score if exact else 0.0
        wanted += len(exact)
        found += sum(candidate.score >= least - 1e-6 for candidate in fast)
    return found / wanted


def quantiles(times: Sequence[float]) -> str:
    ordered = sorted(times)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    return f"p50 {statistics.median(ordered) * 1000:6.2f} ms   p95 {p95 * 1000:6.2f} ms"


def timed(name: str, calls: Sequence[Callable[[], object]]) -> None:
    """Time every call once, after a few to warm up."""
    times = []
    for call in [*calls[:5], *calls]:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    print(f"  {name:<44} {quantiles(times[5:])}")


def whole_search(
    collection: Collection, question: str, query: Embedding, where: Filter | None, version: int | None
) -> list[Candidate]:
    """All of a search but embedding the question."""
    search = SETTINGS.search
    arms = {
        "dense": collection.dense(query.vector, where=where, limit=search.candidates, version=version),
        "bm25": collection.bm25(question, where=where, limit=search.candidates, version=version),
    }
    fused = fuse(arms, method=search.fusion, dense_weight=search.dense_weight)
    chunks = collection.fetch([candidate.key for candidate in fused], version=version)
    top = [candidate for candidate in fused if candidate.key in chunks][: search.rerank_depth]
    stored = collection.token_vectors([candidate.key for candidate in top])
    assert query.tokens is not None
    values = maxsim(query.tokens, [stored[candidate.key] for candidate in top])
    scores = [Candidate(key=c.key, score=float(v)) for c, v in zip(top, values, strict=True)]
    return rerank(fused, scores, weight=search.rerank_weight)


def measure(collection: Collection, embedder: Embedder, count: int) -> None:
    questions = [question.text for question in xquad_questions()][:: max(1, 1190 // count)][:count]
    queries = embedder.embed_tokens(questions, kind="query")
    filters = {
        "no filter": None,
        "1 % (shard = s07)": parse_where('shard = "s07"'),
        "10 % (tenth = 3)": parse_where("tenth = 3"),
        "50 % (tenth < 5)": parse_where("tenth < 5"),
        "90 % (not tenth = 3)": parse_where("not tenth = 3"),
    }
    info = collection.info()
    print(f"{info.index_points} points, {info.index_graphed} vectors in graphs, {len(queries)} questions")
    print(f"recall@{K} against exact search")
    for name, where in filters.items():
        values = {ef: recall(collection, queries, where, ef) for ef in EFS}
        print(f"  {name:<24}", "   ".join(f"ef {ef}: {value:.4f}" for ef, value in values.items()))
    print("time")
    pairs = list(zip(questions, queries, strict=True))
    limit = SETTINGS.search.candidates
    one = filters["1 % (shard = s07)"]
    timed("dense", [lambda q=q: collection.dense(q.vector, limit=limit) for _, q in pairs])
    timed("dense, exact", [lambda q=q: collection.dense(q.vector, limit=limit, exact=True) for _, q in pairs])
    timed("dense, 1 %", [lambda q=q: collection.dense(q.vector, limit=limit, where=one) for _, q in pairs])
    timed("bm25", [lambda t=t: collection.bm25(t, limit=limit) for t, _ in pairs])
    timed("bm25, 1 %", [lambda t=t: collection.bm25(t, limit=limit, where=one) for t, _ in pairs])
    keys = [[c.key for c in collection.dense(q.vector, limit=80)] for q in queries]
    timed("fetch of 80", [lambda k=k: collection.fetch(k) for k in keys])
    timed("token vectors of 30", [lambda k=k: collection.token_vectors(k[:30]) for k in keys])
    timed("whole search", [lambda t=t, q=q: whole_search(collection, t, q, None, None) for t, q in pairs])
    timed("whole search, 1 %", [lambda t=t, q=q: whole_search(collection, t, q, one, None) for t, q in pairs])
    past = collection.version - 1
    timed(
        "whole search at an earlier version",
        [lambda t=t, q=q: whole_search(collection, t, q, None, past) for t, q in pairs],
    )
    timed("embedding the question", [lambda t=t: embedder.embed_tokens([t], "query") for t, _ in pairs])


def open_embedder(*, hashed: bool) -> Embedder:
    if hashed:
        return HashedEmbedder()
    from firstfault.models import store
    from firstfault.models.onnx_embedder import OnnxEmbedder

    store.ensure(SETTINGS.embedder.model, None)
    return OnnxEmbedder(SETTINGS.embedder.model)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--words", type=int, default=80)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--hashed", action="store_true")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--rebuild", action="store_true")
    given = parser.parse_args()
    settings = SETTINGS.override(dict(change.split("=", 1) for change in given.changes))
    embedder = open_embedder(hashed=given.hashed)
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder)
        with Collection.open(home, settings=settings, embedder=embedder) as collection:
            fill(collection, given.chunks, given.words)
            if given.rebuild:
                begun, cpu = time.perf_counter(), time.process_time()
                collection.rebuild_index()
                wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
                print(f"index made anew from the catalog in {wall:.0f} s, {cpu:.0f} CPU seconds")
        begun = time.perf_counter()
        with Collection.open(home, settings=settings, embedder=embedder, write=False) as collection:
            print(f"opened in {(time.perf_counter() - begun) * 1000:.0f} ms")
            measure(collection, embedder, given.queries)
            begun = time.perf_counter()
        print(f"closed in {(time.perf_counter() - begun) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
