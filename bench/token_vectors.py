"""How token vectors should be stored: candidates against exact float32 MaxSim, nDCG@10 and bytes.

    FIRSTFAULT_DATA=DIR python -m bench.token_vectors [--report]

The format is chosen on qa/clapnq, cut into chunks of at most 110 tokens. With --report the chosen format
alone is also measured on qa/xquad (whole paragraphs), which no choice was made on. The 30 nearest chunks
by cosine are reranked by MaxSim, alone and in equal parts with the cosine (both scaled to 0..1).
"""

import argparse
import gzip
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firstfault.models import OnnxEmbedder, store
from firstfault.models.embedder import FloatArray
from firstfault.models.tokenvectors import compress, decompress

CANDIDATES = 30
Encoder = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Task:
    vectors: FloatArray
    tokens: list[FloatArray]
    query_vectors: FloatArray
    query_tokens: list[FloatArray]
    gold: list[set[int]]


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def chunk_spans(embedder: OnnxEmbedder, text: str, limit: int) -> list[tuple[int, int]]:
    """Whole sentences, at most `limit` tokens together."""
    ends = [m.end() for m in re.finditer(r"[.!?]\s+", text)] + [len(text)]
    starts = np.array([start for start, _ in embedder.token_offsets(text)])
    spans, begin = [], 0
    for previous, end in zip([0, *ends], ends, strict=False):
        if previous > begin and ((starts >= begin) & (starts < end)).sum() > limit:
            spans.append((begin, previous))
            begin = previous
    return [*spans, (begin, len(text))]


def load(name: str, limit: int | None) -> Task:
    folder = Path(os.environ.get("FIRSTFAULT_DATA", "")) / "qa" / name
    if not folder.is_dir():
        sys.exit(f"{folder} is absent: set FIRSTFAULT_DATA to the folder of the development data.")
    embedder = OnnxEmbedder()
    texts = {document["id"]: document["text"] for document in rows(folder / "documents.jsonl.gz")}
    spans = [
        (document, start, end)
        for document, text in texts.items()
        for start, end in (chunk_spans(embedder, text, limit) if limit else [(0, len(text))])
    ]
    questions, gold = [], []
    for case in rows(folder / "cases.jsonl.gz"):
        found = set()
        for evidence in case["evidence"] if case["answerable"] else []:
            at, size = texts[evidence["document"]].find(evidence["quote"]), len(evidence["quote"])
            for number, (document, start, end) in enumerate(spans):
                overlap = min(end, at + size) - max(start, at)
                if document == evidence["document"] and at >= 0 and overlap >= size / 2:
                    found.add(number)
        if found:
            questions.append(case["question"])
            gold.append(found)
    chunks = embedder.embed_tokens([texts[document][start:end] for document, start, end in spans])
    queries = embedder.embed_tokens(questions, "query")
    return Task(
        vectors=np.stack([e.vector for e in chunks]),
        tokens=[e.tokens for e in chunks if e.tokens is not None],
        query_vectors=np.stack([e.vector for e in queries]),
        query_tokens=[e.tokens for e in queries if e.tokens is not None],
        gold=gold,
    )


def ndcg(order: list[int], gold: set[int]) -> float:
    gains = sum(1 / np.log2(rank + 2) for rank, item in enumerate(order[:10]) if item in gold)
    return float(gains / sum(1 / np.log2(rank + 2) for rank in range(min(10, len(gold)))))


def scaled(x: FloatArray) -> FloatArray:
    spread: FloatArray = (x - x.min()) / max(float(np.ptp(x)), 1e-9)
    return spread


def evaluate(task: Task, encode: Encoder) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(queries,) nDCG@10 by MaxSim alone and mixed with the cosine; (queries, candidates) scores."""
    cosines = task.query_vectors @ task.vectors.T
    documents = [encode(tokens) for tokens in task.tokens]
    alone, mixed, scores = [], [], []
    for query, gold, cosine in zip(task.query_tokens, task.gold, cosines, strict=True):
        near = np.argsort(-cosine, kind="stable")[:CANDIDATES]
        score = np.array([(query @ documents[i].T).max(axis=1).mean() for i in near], dtype=np.float32)
        both = scaled(cosine[near]) + scaled(score)
        alone.append(ndcg(near[np.argsort(-score, kind="stable")].tolist(), gold))
        mixed.append(ndcg(near[np.argsort(-both, kind="stable")].tolist(), gold))
        scores.append(score)
    return np.array(alone), np.array(mixed), np.array(scores)


def quantised(bits: int) -> Encoder:
    """Uniform levels with a scale for every token."""

    def encode(tokens: FloatArray) -> FloatArray:
        levels = 2 ** (bits - 1) - 1
        step = np.abs(tokens).max(axis=1, keepdims=True) / levels
        rounded: FloatArray = np.round(tokens / step) * step
        return rounded

    return encode


def two_bit(tokens: FloatArray) -> FloatArray:
    """Four levels, the best for a normal distribution (Max 1960), after the rotation of the signs."""
    turned = tokens @ ROTATION
    unit = turned.std(axis=1, keepdims=True)
    levels = np.where(np.abs(turned) < 0.9816 * unit, 0.4528, 1.510) * unit
    back: FloatArray = (np.sign(turned) * levels).astype(np.float32) @ ROTATION.T
    return back


def projected(task: Task, size: int) -> Encoder:
    """The first principal components of the corpus's own tokens, kept in float32: a kind reading."""
    tokens = np.concatenate(task.tokens)
    _, vectors = np.linalg.eigh(tokens.T @ tokens)
    kept = vectors[:, ::-1][:, :size].astype(np.float32)

    def encode(tokens: FloatArray) -> FloatArray:
        near: FloatArray = np.matmul(np.matmul(tokens, kept), kept.T)
        return near

    return encode


def signs(tokens: FloatArray) -> FloatArray:
    return decompress(compress(tokens), tokens.shape[1])


ROTATION = np.linalg.qr(np.random.default_rng(0).normal(size=(384, 384)))[0].astype(np.float32)


def interval(difference: FloatArray) -> tuple[float, float]:
    """95 % bootstrap interval of a mean, over queries."""
    rng = np.random.default_rng(0)
    means = [difference[rng.integers(0, len(difference), len(difference))].mean() for _ in range(2000)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def show(name: str, task: Task, formats: dict[str, tuple[int, Encoder]]) -> None:
    sizes = [len(tokens) for tokens in task.tokens]
    dense = evaluate(task, np.zeros_like)[1]
    print(f"{name}: {len(task.tokens)} chunks of {np.mean(sizes):.0f} tokens, {len(task.gold)} questions")
    print(f"{'':24s} bytes/token  MaxSim   mixed   mixed - exact (95 %)       score correlation")
    print(f"{'cosine alone':24s} {'':11s} {'':7s} {dense.mean():.4f}")
    exact = evaluate(task, lambda tokens: tokens)
    for label, (size, encode) in formats.items():
        alone, mixed, scores = evaluate(task, encode)
        low, high = interval(mixed - exact[1])
        together = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(scores, exact[2], strict=True)])
        change = f"{(mixed - exact[1]).mean():+.4f} [{low:+.4f}, {high:+.4f}]"
        print(f"{label:24s} {size:11d}  {alone.mean():.4f}  {mixed.mean():.4f}  {change:26s} {together:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--report", action="store_true", help="also measure the chosen format on qa/xquad")
    arguments = parser.parse_args()
    store.ensure("all-MiniLM-L6-v2")
    task = load("clapnq", 110)
    exact: tuple[int, Encoder] = (1536, lambda tokens: tokens)
    formats: dict[str, tuple[int, Encoder]] = {
        "float32": exact,
        "int8": (388, quantised(8)),
        "int4": (196, quantised(4)),
        "2 bits, rotated": (100, two_bit),
        "signs, rotated (chosen)": (48, signs),
        "PCA 128, int8": (132, projected(task, 128)),
        "PCA 48, int8": (52, projected(task, 48)),
    }
    show("clapnq", task, formats)
    if arguments.report:
        show("xquad", load("xquad", None), {"float32": exact, "signs, rotated (chosen)": (48, signs)})


if __name__ == "__main__":
    main()
