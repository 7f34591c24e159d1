"""A real catalog and a real index in a temporary home; the embedder hashes words, so no model is needed."""

import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from firstfault.collection import Acknowledged, Collection
from firstfault.config import Settings
from firstfault.types import ChunkedDocument, Document, Metadata

ROOT = Path(__file__).resolve().parents[2]

_SPEC = importlib.util.spec_from_file_location("bench_hashed", ROOT / "bench" / "hashed.py")
assert _SPEC is not None
assert _SPEC.loader is not None
hashed = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hashed)

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")

OpenCollection = Callable[..., Collection]


def document(
    name: str, *chunks: str, metadata: Metadata | None = None, source: str | None = None
) -> ChunkedDocument:
    """A document that consists of these chunks, in this order."""
    text = "\n".join(chunks)
    starts = [sum(len(chunk) + 1 for chunk in chunks[:at]) for at in range(len(chunks))]
    made_from = f"{text}{sorted((metadata or {}).items())}"
    return ChunkedDocument(
        document=Document(
            id=name,
            title=name.title(),
            text=text,
            source=source or f"{name}.txt",
            revision=hashlib.sha256(made_from.encode()).hexdigest(),
            metadata=metadata or {},
        ),
        spans=tuple((start, start + len(chunk)) for start, chunk in zip(starts, chunks, strict=True)),
    )


def add(collection: Collection, *documents: ChunkedDocument) -> list[Acknowledged]:
    return list(collection.add_all(documents))


def names(collection: Collection, keys: Iterable[int], version: int | None = None) -> list[str]:
    """The document of each key, in order."""
    return [chunk.document_id for chunk in collection.fetch(list(keys), version=version).values()]


@pytest.fixture
def embedder() -> Any:
    return hashed.HashedEmbedder(dimension=32)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def open_collection(home: Path, embedder: Any) -> Iterator[OpenCollection]:
    """Opens the collection of the home; whatever is still open is closed at the end."""
    opened: list[Collection] = []

    def open_(**options: Any) -> Collection:
        collection = Collection.open(home, **{"settings": Settings(), "embedder": embedder, **options})
        opened.append(collection)
        return collection

    yield open_
    for collection in opened:
        collection.close()


@pytest.fixture
def collection(open_collection: OpenCollection) -> Collection:
    return open_collection()
