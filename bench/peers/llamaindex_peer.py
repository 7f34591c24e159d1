"""LlamaIndex: VectorStoreIndex and BM25Retriever joined by QueryFusionRetriever, kept in a storage folder."""

from collections.abc import Sequence
from pathlib import Path

import Stemmer
from bench.peers import measure
from bench.peers.corpus import Passage
from llama_index.core import Document, Settings, StorageContext, VectorStoreIndex
from llama_index.core import load_index_from_storage as load_index
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import ExactMatchFilter, MetadataFilters
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever


class LlamaIndex:
    name = "LlamaIndex"
    packages = (
        "llama-index-core", "llama-index-retrievers-bm25", "llama-index-embeddings-huggingface",
        "sentence-transformers", "torch",
    )  # fmt: skip
    persists = "StorageContext.persist (JSON files, read whole) and BM25Retriever.persist"
    notes = (
        "num_queries=1: the quick start lets a language model write three more queries.",
        "A BM25 retriever is built for each filter, since the filter is an argument of its constructor; "
        "the time of a filtered query does not count that, except for the first.",
    )

    def __init__(self, model: Path) -> None:
        Settings.embed_model = HuggingFaceEmbedding(model_name=str(model))
        Settings.llm = MockLLM()  # never asked: num_queries is 1

    def prepare(self) -> None:
        """Load the model: the constructor has done it."""

    def ingest(self, documents: Sequence[Passage], home: Path) -> None:
        nodes = SentenceSplitter().get_nodes_from_documents(
            [
                Document(id_=one.id, text=one.text, metadata={**one.metadata, "title": one.title})
                for one in documents
            ]
        )
        docstore = SimpleDocumentStore()
        docstore.add_documents(nodes)
        self.index = VectorStoreIndex(nodes, storage_context=StorageContext.from_defaults(docstore=docstore))
        self.index.storage_context.persist(str(home / "storage"))
        self._filtered_lexical: dict[str, BM25Retriever] = {}
        self.bm25 = self._lexical(measure.TOP)
        self.bm25.persist(str(home / "bm25"))

    def open(self, home: Path) -> None:
        self.index = load_index(StorageContext.from_defaults(persist_dir=str(home / "storage")))
        self._filtered_lexical = {}
        self.bm25 = BM25Retriever.from_persist_dir(str(home / "bm25"))

    def search(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        filters = _filters(where)
        retriever = QueryFusionRetriever(
            [self.index.as_retriever(similarity_top_k=k, filters=filters), self._bm25_for(where, k)],
            similarity_top_k=k,
            num_queries=1,
            mode="reciprocal_rerank",
            use_async=False,
        )
        return [one.node.ref_doc_id for one in retriever.retrieve(query)]

    def lexical(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str] | None:
        return [one.node.ref_doc_id for one in self._bm25_for(where, k).retrieve(query)]

    def dense(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        retriever = self.index.as_retriever(similarity_top_k=k, filters=_filters(where))
        return [one.node.ref_doc_id for one in retriever.retrieve(query)]

    def embed(self, query: str) -> object:
        return Settings.embed_model.get_query_embedding(query)

    def record_embedded(self, seen: list[str]) -> None:
        model = Settings.embed_model._model
        original = model.encode

        def encode(data: list[str], *args: object, **options: object) -> object:
            seen.extend(data)
            return original(data, *args, **options)

        model.encode = encode

    def close(self) -> None:
        """Nothing is held open."""

    def _bm25_for(self, where: dict[str, str] | None, k: int) -> BM25Retriever:
        if where is None:
            self.bm25.similarity_top_k = min(k, len(self.bm25.corpus))
            return self.bm25
        key = repr(sorted(where.items()))
        if key not in self._filtered_lexical:
            self._filtered_lexical = {key: self._lexical(k, _filters(where))}
        return self._filtered_lexical[key]

    def _lexical(self, k: int, filters: MetadataFilters | None = None) -> BM25Retriever:
        return BM25Retriever.from_defaults(
            docstore=self.index.docstore,
            similarity_top_k=k,
            stemmer=Stemmer.Stemmer("english"),
            language="english",
            filters=filters,
        )


def _filters(where: dict[str, str] | None) -> MetadataFilters | None:
    if not where:
        return None
    return MetadataFilters(filters=[ExactMatchFilter(key=name, value=value) for name, value in where.items()])


if __name__ == "__main__":
    measure.main(LlamaIndex)
