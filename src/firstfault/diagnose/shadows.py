"""Shadows: the documents of an open collection, cut, embedded or indexed another way, beside it.

In: an application and settings. Out: an application over the shadow. No source is read: the catalog holds
the texts. The live collection is not touched.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from firstfault.collection.shadow import drop, shadow_name, shadows
from firstfault.config import Settings
from firstfault.diagnose.patches import Patch, patched
from firstfault.diagnose.playbook import Repair
from firstfault.types import ChunkedDocument, Document

if TYPE_CHECKING:
    from firstfault.answer import Application
    from firstfault.ingest import Chunker

BATCH_DOCUMENTS = 64
"""Documents that are cut together."""

SIBLING = "shadow"
"""Folder of the home for shadows with vectors of their own, which must not share the embedding cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A closed or open collection beside the live one."""

    home: Path
    """Of the live collection, or a folder in it."""
    collection: str


class Shadows:
    """Builds shadows of the collection of one application, and drops them."""

    def __init__(self, app: "Application") -> None:
        self._app = app
        self._open: dict[str, tuple[Shadow, Application]] = {}
        sweep(app.config.home, app.collection.name)

    def build(
        self,
        settings: Settings,
        patch: Patch,
        repair: Repair | None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> "tuple[Shadow, Application]":
        """The shadow for the settings of a run with a patch, made once; `progress` counts documents.

        Raises:
            ConfigError: documents cannot be cut with these settings, e.g. longer than the embedder reads.
        """
        from firstfault.ingest import Chunker

        key = hashlib.sha256(repr((sorted(patch.items()), repair)).encode()).hexdigest()[:8]
        if key not in self._open:
            live = self._app.collection
            home = self._app.config.home / SIBLING / key if repair == "reembed" else self._app.config.home
            name = live.name if repair == "reembed" else shadow_name(live.name, key)
            app = self._app.sibling(patched(settings, patch), collection=name, home=home)
            try:
                chunker = Chunker(app.settings.chunking, app.embedder) if recuts(patch, repair) else None
                total = live.info().documents
                for done, _ in enumerate(app.collection.add_all(self._documents(chunker)), start=1):
                    if progress:
                        progress(done, total)
            except BaseException:
                app.close()
                raise
            shadow = Shadow(home=home, collection=name)
            self._open[key] = shadow, app
        return self._open[key]

    def close(self, *, keep: Shadow | None = None) -> None:
        """Close every shadow, and drop all but the one to keep."""
        for shadow, app in self._open.values():
            app.close()
            if shadow != keep:
                discard(shadow)
        self._open.clear()

    def _documents(self, chunker: "Chunker | None") -> Iterator[ChunkedDocument]:
        """Every live document, cut by the chunker, or as it is cut now."""
        live = self._app.collection
        batch: list[Document] = []
        for row in live.documents():
            document = live.document(row.id)
            if chunker is None:
                spans = tuple((chunk.start, chunk.end) for _, chunk in live.chunks_of(row.id))
                yield ChunkedDocument(document=_revised(document, "copy"), spans=spans)
                continue
            batch.append(_revised(document, chunker.fingerprint))
            if len(batch) == BATCH_DOCUMENTS:
                yield from chunker.chunk_all(batch)
                batch = []
        if chunker is not None and batch:
            yield from chunker.chunk_all(batch)


def recuts(patch: Patch, repair: Repair | None) -> bool:
    """Whether a change cuts documents anew; otherwise chunks stay as they are."""
    return repair == "rechunk" or any(name.startswith(("chunking.", "embedder.")) for name in patch)


def discard(shadow: Shadow) -> None:
    """Delete a closed shadow."""
    if SIBLING in shadow.home.parts and shadow.home.parent.name == SIBLING:
        shutil.rmtree(shadow.home, ignore_errors=True)
    else:
        drop(shadow.home, shadow.collection)


def sweep(home: Path, collection: str) -> None:
    """Delete what a killed process left of shadows."""
    for name in shadows(home, collection):
        drop(home, name)
    shutil.rmtree(home / SIBLING, ignore_errors=True)


def _revised(document: Document, fingerprint: str) -> Document:
    """The document under a revision of its own, so that ids of old and new chunks differ."""
    said = f"{document.revision}\n{fingerprint}"
    return replace(document, revision=hashlib.sha256(said.encode()).hexdigest())
