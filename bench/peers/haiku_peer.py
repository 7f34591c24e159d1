"""haiku.rag (slim): LanceDB hybrid search through the HaikuRAG client, with MiniLM run by onnxruntime."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from bench.peers import measure
from bench.peers.corpus import Passage
from docling_core.types.doc.document import DoclingDocument
from docling_core.types.doc.labels import DocItemLabel
from haiku.rag.client import HaikuRAG
from haiku.rag.client.documents import DocumentImport
from haiku.rag.config import AppConfig
from haiku.rag.embeddings import EmbedderWrapper
from haiku.rag.store import engine
from tokenizers import Tokenizer

BATCH = 500


class OnnxEmbedder(EmbedderWrapper):
    """all-MiniLM-L6-v2 in this process: mean over tokens, unit length, 256 word pieces at most."""

    def __init__(self, model: Path) -> None:
        super().__init__(None, 384)
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.enable_truncation(256)
        self.tokenizer.enable_padding()
        self.session = onnxruntime.InferenceSession(
            str(model / "model.onnx"), providers=["CPUExecutionProvider"]
        )
        self.seen: list[str] | None = None

    def vectors(self, texts: list[str]) -> list[list[float]]:
        encoded = self.tokenizer.encode_batch(texts)
        ids = np.array([one.ids for one in encoded], dtype=np.int64)  # (texts, tokens)
        mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
        tokens = self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]  # (texts, tokens, 384)
        pooled = (tokens * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).tolist()

    async def _embed_query(self, text: str) -> list[float]:
        return self.vectors([text])[0]

    async def _embed_documents(self, texts: list[str]) -> list[list[float]]:
        if self.seen is not None:
            self.seen.extend(texts)
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # as sentence-transformers does
        result: list[list[float]] = [[] for _ in texts]
        for start in range(0, len(order), 32):
            batch = order[start : start + 32]
            for at, vector in zip(batch, self.vectors([texts[at] for at in batch]), strict=True):
                result[at] = vector
        return result


class Haiku:
    name = "haiku.rag"
    packages = ("haiku.rag-slim", "lancedb", "docling-core", "onnxruntime", "tokenizers")
    persists = "LanceDB folder"
    notes = (
        "haiku.rag-slim on Python 3.12: it needs 3.12 or newer, and the full package brings torch.",
        "Without docling's converter the text enters through the documented import_documents() as one "
        "paragraph, in batches of 500, chunked by haiku.rag's own default chunker at 256 tokens.",
        "The embedder is an in-process EmbedderWrapper over onnxruntime (fp32, the same weights), put in the "
        "place of get_embedder; the quick start would call a server (Ollama).",
        "Metadata is one JSON string, so a filter on a field is a LIKE and cannot know an unknown field; a "
        "filter on an unknown column is refused by name (tried: ValueError, with the columns there are).",
        "No reranker, and no vector index: create-index is a step of its own, search is exact without it.",
    )

    def __init__(self, model: Path) -> None:
        self.embedder = OnnxEmbedder(model)
        engine.get_embedder = lambda config=None: self.embedder
        self.config = AppConfig.model_validate(
            {
                "embeddings": {
                    "model": {"provider": "sentence-transformers", "name": model.name, "vector_dim": 384}
                },
                "processing": {"chunking_tokenizer": str(model)},
            }
        )
        self.runner = asyncio.Runner()

    def prepare(self) -> None:
        """Load the model: the constructor has done it."""

    def ingest(self, documents: Sequence[Passage], home: Path) -> None:
        self.client = HaikuRAG(home / "haiku.rag.lancedb", config=self.config, create=True)
        self.runner.run(self._ingest(documents))

    def open(self, home: Path) -> None:
        self.client = HaikuRAG(home / "haiku.rag.lancedb", config=self.config)
        self.runner.run(self.client.__aenter__())

    def search(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        return self._search(query, k, "hybrid", where)

    def lexical(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str] | None:
        return self._search(query, k, "fts", where)

    def dense(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        return self._search(query, k, "vector", where)

    def embed(self, query: str) -> object:
        return self.runner.run(self.embedder.embed_query(query))

    def record_embedded(self, seen: list[str]) -> None:
        self.embedder.seen = seen

    def close(self) -> None:
        self.runner.run(self.client.__aexit__(None, None, None))
        self.runner.close()

    def _search(self, query: str, k: int, kind: str, where: dict[str, str] | None) -> list[str]:
        found = self.runner.run(self.client.search(query, limit=k, search_type=kind, filter=_filter(where)))
        return [one.document_uri.removeprefix("passage://") for one in found]

    async def _ingest(self, documents: Sequence[Passage]) -> None:
        await self.client.__aenter__()
        for start in range(0, len(documents), BATCH):
            imports = []
            for one in documents[start : start + BATCH]:
                parsed = DoclingDocument(name=one.id)
                parsed.add_text(label=DocItemLabel.TEXT, text=one.text)
                imports.append(
                    DocumentImport(
                        docling_document=parsed,
                        chunks=await self.client.chunk(parsed),
                        uri=f"passage://{one.id}",
                        title=one.title,
                        metadata=dict(one.metadata),
                    )
                )
            await self.client.import_documents(imports)


def _filter(where: dict[str, str] | None) -> str | None:
    """Metadata is one JSON string in haiku.rag, so its documented filter on a field is a LIKE."""
    if not where:
        return None
    return " AND ".join(f"""metadata LIKE '%"{name}": "{value}"%'""" for name, value in where.items())


if __name__ == "__main__":
    measure.main(Haiku)
