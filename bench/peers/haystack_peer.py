"""Haystack 3: in-memory store, BM25 and embedding retriever, reciprocal rank fusion in a DocumentJoiner."""

from collections.abc import Sequence
from pathlib import Path

from bench.peers import measure
from bench.peers.corpus import Passage
from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)


class Haystack:
    name = "Haystack"
    packages = ("haystack-ai", "sentence-transformers-haystack", "sentence-transformers", "torch")
    persists = "InMemoryDocumentStore.save_to_disk (one JSON file, read whole)"
    notes = (
        "The hybrid tutorial ends in a cross-encoder from a model hub; without one the joiner must rank, "
        "so join_mode is reciprocal_rank_fusion instead of concatenate.",
    )

    def __init__(self, model: Path) -> None:
        self.model = str(model)
        self.document_embedder = SentenceTransformersDocumentEmbedder(model=self.model, progress_bar=False)
        self.text_embedder = SentenceTransformersTextEmbedder(model=self.model, progress_bar=False)

    def prepare(self) -> None:
        self.document_embedder.warm_up()

    def ingest(self, documents: Sequence[Passage], home: Path) -> None:
        store = InMemoryDocumentStore()
        indexing = Pipeline()
        indexing.add_component(
            "splitter", DocumentSplitter(split_by="word", split_length=512, split_overlap=32)
        )
        indexing.add_component("embedder", self.document_embedder)
        indexing.add_component("writer", DocumentWriter(store))
        indexing.connect("splitter", "embedder")
        indexing.connect("embedder", "writer")
        indexing.run(
            {
                "splitter": {
                    "documents": [
                        Document(id=one.id, content=one.text, meta={**one.metadata, "title": one.title})
                        for one in documents
                    ]
                }
            }
        )
        store.save_to_disk(str(home / "store.json"))
        self._connect(store)

    def open(self, home: Path) -> None:
        self._connect(InMemoryDocumentStore.load_from_disk(str(home / "store.json")))

    def search(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        filters = _filters(where)
        found = self.pipeline.run(
            {
                "text_embedder": {"text": query},
                "embedding_retriever": {"top_k": k, "filters": filters},
                "bm25_retriever": {"query": query, "top_k": k, "filters": filters},
                "joiner": {"top_k": k},
            }
        )
        return [one.meta["source_id"] for one in found["joiner"]["documents"]]

    def lexical(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str] | None:
        found = InMemoryBM25Retriever(self.store).run(query=query, top_k=k, filters=_filters(where))
        return [one.meta["source_id"] for one in found["documents"]]

    def dense(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        retriever = InMemoryEmbeddingRetriever(self.store)
        vector = self.text_embedder.run(text=query)["embedding"]
        found = retriever.run(query_embedding=vector, top_k=k, filters=_filters(where))
        return [one.meta["source_id"] for one in found["documents"]]

    def embed(self, query: str) -> object:
        return self.text_embedder.run(text=query)["embedding"]

    def record_embedded(self, seen: list[str]) -> None:
        backend = self.document_embedder.embedding_backend
        original = backend.embed

        def embed(data: list[str], *args: object, **options: object) -> object:
            seen.extend(data)
            return original(data, *args, **options)

        backend.embed = embed

    def close(self) -> None:
        self.store.shutdown()

    def _connect(self, store: InMemoryDocumentStore) -> None:
        self.store = store
        self.pipeline = Pipeline()
        self.pipeline.add_component("text_embedder", self.text_embedder)
        self.pipeline.add_component("embedding_retriever", InMemoryEmbeddingRetriever(store))
        self.pipeline.add_component("bm25_retriever", InMemoryBM25Retriever(store))
        self.pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion"))
        self.pipeline.connect("text_embedder", "embedding_retriever")
        self.pipeline.connect("bm25_retriever", "joiner")
        self.pipeline.connect("embedding_retriever", "joiner")
        self.pipeline.warm_up()


def _filters(where: dict[str, str] | None) -> dict[str, object] | None:
    if not where:
        return None
    conditions = [
        {"field": f"meta.{name}", "operator": "==", "value": value} for name, value in where.items()
    ]
    return {"operator": "AND", "conditions": conditions}


if __name__ == "__main__":
    measure.main(Haystack)
