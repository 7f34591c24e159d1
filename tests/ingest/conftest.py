import pytest

from firstfault.config import ChunkingConfig
from firstfault.ingest import Chunker
from firstfault.models import store
from firstfault.models.onnx_embedder import OnnxEmbedder


@pytest.fixture(scope="session")
def embedder() -> OnnxEmbedder:
    store.ensure("all-MiniLM-L6-v2")
    return OnnxEmbedder(threads=1)


@pytest.fixture(scope="session")
def chunker(embedder: OnnxEmbedder) -> Chunker:
    return Chunker(ChunkingConfig(), embedder)
