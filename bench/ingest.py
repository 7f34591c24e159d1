"""What ingest costs beside the embedder, what an unchanged corpus costs, and what chunking is worth.

    python -m bench.ingest [throughput|chunking] [documents]

`throughput` ingests documents of the standard library: the raw embedder on the same chunks and the ingest
take turns in one run. `chunking` compares semantic with recursive chunking by exact dense search: how
much of the gold evidence stands whole in the chunks found. The long texts of `clapnq8` are eight passages
of clapnq each, run together without a paragraph break; those of `wice` are whole web pages.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.corpus import data_folder
from bench.ranking import mean
from firstfault.collection import Collection
from firstfault.config import ChunkingConfig, Settings
from firstfault.ingest import Chunker, ingest
from firstfault.ingest.stdlib import stdlib_documents
from firstfault.models import store
from firstfault.models.embedder import FloatArray
from firstfault.models.onnx_embedder import OnnxEmbedder
from firstfault.types import Document

SEED = 7


def throughput(count: int = 400) -> None:
    settings = Settings()
    store.ensure(settings.embedder.model)
    embedder = OnnxEmbedder(settings.embedder.model)
    chunker = Chunker(settings.chunking, embedder)
    documents = list(stdlib_documents())
    documents = random.Random(SEED).sample(documents, min(count, len(documents)))
    started = time.perf_counter()
    chunked = chunker.chunk_all(documents)
    cutting = time.perf_counter() - started
    texts = [item.document.text[start:end] for item in chunked for start, end in item.spans]
    tokens = sum(embedder.count_tokens(texts))
    print(f"{len(documents)} documents, {len(texts)} chunks, {tokens:,} tokens")
    embedder.embed(texts[:32])  # warm
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        with corpus.open("w", encoding="utf-8") as out:
            for item in documents:
                out.write(json.dumps({"id": item.id, "title": item.title, "text": item.text}) + "\n")
        ratios = []
        for turn in range(3):
            raw, raw_cpu = _timed(lambda: [None for _ in embedder.stream(texts, tokens=True)])
            home = Path(folder) / f"home{turn}"
            with Collection.open(home, settings=settings, embedder=embedder) as collection:
                first, first_cpu = _timed(lambda: ingest(collection, [corpus], chunker=chunker))
                again, _ = _timed(lambda: ingest(collection, [corpus], chunker=chunker))
            ratios.append(raw / first)
            print(
                f"raw embedder {raw:6.2f} s ({raw_cpu:6.2f} CPU-s)"
                f"   ingest {first:6.2f} s ({first_cpu:6.2f} CPU-s)"
                f"   throughput {raw / first:.1%} (by CPU {raw_cpu / first_cpu:.1%})"
                f"   unchanged {again:.3f} s = {first / again:,.0f} x faster"
            )
    print(f"throughput against the raw embedder: {mean(ratios):.1%}; chunking alone: {cutting:.2f} s")


def chunking() -> None:
    store.ensure("all-MiniLM-L6-v2")
    embedder = OnnxEmbedder("all-MiniLM-L6-v2")
    print(
        f"{'texts':<9}{'chunking':<11}{'chunks':>7}{'tokens':>8}{'top 1':>9}{'top 5':>9}{'1000 tokens':>13}"
    )
    for name in ("clapnq", "clapnq8", "wice"):
        for kind in ("recursive", "semantic"):
            config = ChunkingConfig.model_validate({"kind": kind})
            print(
                f"{name:<9}{kind:<11}{_found(_task(name), Chunker(config, embedder), embedder)}", flush=True
            )


@dataclass(frozen=True, slots=True)
class Task:
    texts: dict[str, str]
    questions: list[tuple[str, list[tuple[str, int, int]]]]
    """Question and its gold evidence: text, start, end."""


def _found(task: Task, chunker: Chunker, embedder: OnnxEmbedder) -> str:
    documents = [
        Document(id=name, title=name, text=text, source=name, revision="")
        for name, text in task.texts.items()
    ]
    spans = [
        (item.document.id, start, end) for item in chunker.chunk_all(documents) for start, end in item.spans
    ]
    pieces = [task.texts[name][start:end] for name, start, end in spans]
    vectors = embedder.embed(pieces)
    sizes = np.array(embedder.count_tokens(pieces))
    scores: FloatArray = embedder.embed([question for question, _ in task.questions], "query") @ vectors.T
    top1: list[float] = []
    top5: list[float] = []
    budget: list[float] = []
    for (_, evidence), row in zip(task.questions, scores, strict=True):
        order = np.argsort(-row, kind="stable")
        within = order[np.cumsum(sizes[order]) <= 1000]
        for shares, chosen in ((top1, order[:1]), (top5, order[:5]), (budget, within)):
            whole = [
                any(
                    spans[key][0] == name and spans[key][1] <= start and end <= spans[key][2]
                    for key in chosen
                )
                for name, start, end in evidence
            ]
            shares.append(sum(whole) / len(whole))
    return f"{len(spans):>7}{sizes.mean():>8.0f}{mean(top1):>9.4f}{mean(top5):>9.4f}{mean(budget):>13.4f}"


def _task(name: str) -> Task:
    return _wice() if name == "wice" else _clapnq(together=8 if name == "clapnq8" else 1)


def _clapnq(together: int) -> Task:
    passages = {row["id"]: row["text"].strip() for row in _rows("qa/clapnq/documents")}
    names = list(passages)
    random.Random(SEED).shuffle(names)
    texts: dict[str, str] = {}
    offsets: dict[str, tuple[str, int]] = {}
    for first in range(0, len(names), together):
        group = f"group-{first}"
        texts[group] = ""
        for name in names[first : first + together]:
            offsets[name] = (group, len(texts[group]))
            texts[group] += passages[name] + " "
    questions = []
    for case in _rows("qa/clapnq/cases"):
        evidence = []
        for item in case["evidence"]:
            group, offset = offsets[item["document"]]
            start = passages[item["document"]].find(item["quote"].strip())
            if start >= 0:
                evidence.append((group, offset + start, offset + start + len(item["quote"].strip())))
        if evidence:
            questions.append((case["question"], evidence))
    return Task(texts, questions)


def _wice() -> Task:
    texts: dict[str, str] = {}
    questions = []
    for row in _rows("faithfulness/wice_dev"):
        text, offsets = "", []
        for sentence in row["context"]:
            offsets.append((len(text), len(text) + len(sentence)))
            text += sentence + ("\n\n" if len(sentence) < 60 else " ")
        name = f"page-{row['group']}"
        supporting = row["supporting"][0] if row["supporting"] else []
        if texts.setdefault(name, text) == text and row["label"] == 1 and supporting:
            questions.append((row["claim"], [(name, *offsets[number]) for number in supporting]))
    return Task(texts, questions)


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(data_folder() / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _timed(work: Any) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    if sys.argv[1:2] == ["chunking"]:
        chunking()
    else:
        throughput(*map(int, sys.argv[2:3]))
