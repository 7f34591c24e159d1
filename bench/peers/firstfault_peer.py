"""Firstfault by default: ingested by its command line, searched by the function behind `search`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.peers import measure
from bench.peers.corpus import Passage

from firstfault.answer import Application
from firstfault.cli import app as command_line
from firstfault.config import load
from firstfault.models.onnx_embedder import OnnxEmbedder


class Firstfault:
    name = "Firstfault"
    packages = ("firstfault", "qdrant-edge-py", "onnxruntime", "tokenizers")
    persists = "SQLite catalog and Qdrant segments"
    notes = (
        "Default configuration, reranking included. The cold start is the command `firstfault search`.",
        "Ingestion is the command in this process, its own loading of the model included.",
    )

    def __init__(self, model: Path) -> None:
        self.model = model
        """Not used: Firstfault keeps the same weights, checked by sha256, in its own cache."""

    def prepare(self) -> None:
        """Have the model pulled before the clock starts."""
        with Application(load()) as application:
            application.embedder.embed(["warm"])

    def ingest(self, documents: Sequence[Passage], home: Path) -> None:
        source = home.with_suffix(".jsonl")
        with source.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in documents)
        command_line(["--home", str(home), "ingest", str(source)], standalone_mode=False)
        self.open(home)

    def open(self, home: Path) -> None:
        self.application = Application(load(home))

    def search(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        return _documents(self.application.search(query, where=_filter(where)))[:k]

    def lexical(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str] | None:
        return self._arm("bm25", query, k, where)

    def dense(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        return self._arm("dense", query, k, where)

    def embed(self, query: str) -> object:
        return self.application.embedder.embed([query], "query")

    def record_embedded(self, seen: list[str]) -> None:
        for name in ("embed", "embed_tokens", "stream"):
            setattr(OnnxEmbedder, name, _recording(getattr(OnnxEmbedder, name), seen))

    def close(self) -> None:
        self.application.close()

    def _arm(self, arm: str, query: str, k: int, where: dict[str, str] | None) -> list[str]:
        hits = [hit for hit in self.application.search(query, where=_filter(where)) if arm in hit.arms]
        return _documents(sorted(hits, key=lambda hit: hit.arms[arm].rank))[:k]


def _documents(hits: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(hit.chunk.document_id for hit in hits))


def _recording(original: Any, seen: list[str]) -> Any:
    def call(self: OnnxEmbedder, texts: Sequence[str], *arguments: Any, **options: Any) -> Any:
        seen.extend(texts)
        found: Iterator[Any] | Any = original(self, texts, *arguments, **options)
        return found

    return call


def _filter(where: dict[str, str] | None) -> str | None:
    if not where:
        return None
    return " and ".join(f'{name} = "{value}"' for name, value in where.items())


if __name__ == "__main__":
    measure.main(Firstfault)
