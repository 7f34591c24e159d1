"""ragmortem, reference-assisted: question, passages and candidates with cosine scores, answer, corpus,
expected answer.

Questions without an answer are judged by its corpus-aware mode without a reference. Its encoder is the
all-MiniLM-L6-v2 that firstfault pulled, given as a path: FIRSTFAULT_MINILM.
"""

from __future__ import annotations

import os
from typing import Any

import ragmortem.retrieval as retrieval
from bundles import Bundle, Labels, abstains, chunk_texts, main
from ragmortem import Chunk, diagnose

_load = retrieval.get_sentence_transformer
retrieval.get_sentence_transformer = lambda name="", *a, **k: _load(os.environ["FIRSTFAULT_MINILM"])
ABSTENTION = "I do not have sufficient information to answer this question."
"""In words that it knows."""
REFERENCE = os.environ.get("RAGMORTEM_REFERENCE", "1") == "1"


class Stored:
    """The corpus; embedded only when it is searched."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.chunks = chunks
        self._retriever: Any = None

    def retrieve(self, query: str, k: int = 3) -> Any:
        self._retriever = self._retriever or retrieval.CorpusRetriever(corpus=self.chunks)
        return self._retriever.retrieve(query, k)


def _said(trace: dict[str, Any]) -> str:
    """The better input: an abstention that it recognises it blames on the generator, whatever was retrieved,
    so that only questions without an answer get one in words that it knows."""
    if abstains(trace):
        return "The sources do not say." if trace["answerable"] else ABSTENTION
    return str(trace["raw"])


def label(bundle: Bundle) -> Labels:
    labels: Labels = {}
    chunks = [
        Chunk(id=chunk["id"], text=text, source=document["id"])
        for document, chunk, text in chunk_texts(bundle)
    ]
    corpus: Any = Stored(chunks)
    for trace in bundle["traces"]:
        hits = [
            {
                "id": hit["chunk"],
                "text": hit["text"],
                "score": max(hit["arms"].get("dense", {}).get("score", 0.0), 0.0),
            }
            for hit in trace["hits"]
        ]
        packed = {
            passage["chunk"].rsplit(":", 1)[0] + ":" + passage["chunk"].rsplit(":", 1)[1]
            for passage in trace["passages"]
        }
        retrieved = [hit for hit in hits if hit["id"] in packed] or hits[: len(trace["passages"])]
        result = diagnose(
            query=trace["question"],
            retrieved_chunks=retrieved,
            candidate_chunks=hits,
            context="\n".join(passage["text"] for passage in trace["passages"]),
            answer=_said(trace),
            corpus=corpus,
            mode="corpus_aware",
            top_k=len(retrieved),
            reference_answer=trace["expected"] if trace["answerable"] and REFERENCE else None,
        )
        kind = result.failure_type.value
        labels[trace["case"]] = None if kind == "no_failure" else kind
    return labels


main(label)
