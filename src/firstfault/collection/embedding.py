"""Texts in, what the embedding cache holds of them out: computed here, or on the workers of a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from firstfault.bulk import Crew, spreads
from firstfault.collection.changes import Vectors
from firstfault.config import EmbedderConfig, Settings
from firstfault.errors import MismatchError
from firstfault.models.embedder import Embedder
from firstfault.models.opening import open_embedder

PART = 32
"""Texts that a worker embeds at a time: a second or less of work, of which little is lost with a worker."""

Vectorise = Callable[[Sequence[str], Sequence[str]], list[Vectors]]
"""Texts, and for each the id of a document that it is in; gives what to store of each, in their order."""


def vectors_of(embedder: Embedder, texts: Sequence[str]) -> list[Vectors]:
    """What to store of each text, in their order; token vectors compressed."""
    from firstfault.models.tokenvectors import compress

    found: dict[int, Vectors] = {}
    for done in embedder.stream(texts, tokens=embedder.late_interaction) if texts else ():
        for embedding in done:
            found[embedding.position] = Vectors(
                dense=embedding.vector,
                tokens=None if embedding.tokens is None else compress(embedding.tokens),
                truncated=embedding.truncated,
            )
    return [found[position] for position in range(len(texts))]


@contextmanager
def vectoriser(settings: Settings, embedder: Embedder) -> Iterator[Vectorise]:
    """What embeds the texts of one ingest. Workers open the embedder of the settings, each once."""
    if not spreads(settings.bulk):
        yield lambda texts, _: vectors_of(embedder, texts)
        return
    with Crew(settings.bulk, partial(_opened, settings.embedder, embedder.fingerprint), vectors_of) as crew:
        yield partial(_spread, crew)


def _spread(
    crew: Crew[Embedder, Sequence[str], list[Vectors]], texts: Sequence[str], documents: Sequence[str]
) -> list[Vectors]:
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]), reverse=True)  # equal lengths together
    parts = [order[start : start + PART] for start in range(0, len(order), PART)]

    def name(position: int) -> str:
        ids = list(dict.fromkeys(documents[at] for at in parts[position]))
        more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
        return f"Embedding {', '.join(ids[:3])}{more}"

    found: dict[int, Vectors] = {}
    for position, vectors in crew.map_unordered([[texts[at] for at in part] for part in parts], name):
        found.update(zip(parts[position], vectors, strict=True))
    return [found[at] for at in range(len(texts))]


@contextmanager
def _opened(settings: EmbedderConfig, fingerprint: str) -> Iterator[Embedder]:
    """The embedder in a worker, which must be the one that asked for it."""
    embedder = open_embedder(settings)
    if embedder.fingerprint != fingerprint:
        raise MismatchError(
            f"A worker has another {settings.model} ({embedder.fingerprint[:12]}) than this process "
            f"({fingerprint[:12]}).",
            hint="Have the same model on every node: firstfault models pull.",
        )
    yield embedder
