"""A throw-away copy of an application, and the hands that faults work with.

In: a home, its settings, cases. Out: a copy under a temporary folder whose documents, settings, questions and
endpoints can be broken. The home itself is only read, through SQLite's backup, which also serves a home that
another process is using; its index is never copied but built anew from the copied catalog.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from firstfault.answer import Application
from firstfault.config import Config, Settings
from firstfault.drill.proxy import Plan, Planned
from firstfault.errors import InputError
from firstfault.evaluate.evidence import find
from firstfault.types import Case, Document, Metadata

if TYPE_CHECKING:
    from firstfault.collection import Collection
    from firstfault.models.embedder import Embedder


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """One copy, while it is being broken and run."""

    home: Path
    settings: Settings
    """Of the application as it is; `overrides` change them."""
    cases: tuple[Case, ...]
    seed: int
    collection: str = "default"
    plan: Plan
    """Of the proxy that the copy's endpoints point to."""
    proxy_url: str
    embedder: "Embedder | None" = None
    """The embedder that runs in this process, already open; None when the copy's is behind an endpoint."""
    overrides: dict[str, str] = field(default_factory=dict)

    def application(self, *, create: bool = False) -> Application:
        """The copy as it is now, opened. Close it before the next change."""
        config = Config(home=self.home, settings=self.settings.override(self.overrides), origins={})
        app = Application(config, collection=self.collection, create=create)
        if self.embedder is not None:
            app.embedder = self.embedder
        return app

    def random(self, purpose: str) -> Random:
        """A generator of its own for each purpose, the same for equal seeds."""
        return Random(f"{self.seed} {purpose}")

    def chosen(self, share: float, purpose: str) -> list[Case]:
        """A share of the cases that have gold quotes, at least one, in the order of the cases.

        Raises:
            InputError: no case has a quote.
        """
        having = [
            case
            for case in self.cases
            if case.answerable is not False and any(unit.quote for unit in case.evidence)
        ]
        if not having:
            raise InputError(
                "No case quotes its evidence, so no fault can be placed.",
                hint='Give cases with evidence: [{"document": ID, "quote": WORDS}].',
            )
        ids = {case.id for case in self.random(purpose).sample(having, max(1, round(share * len(having))))}
        return [case for case in having if case.id in ids]

    def documents_of(self, cases: Iterable[Case]) -> list[str]:
        """Ids of the documents that hold the evidence, each once."""
        return list(dict.fromkeys(unit.document for case in cases for unit in case.evidence))

    def quotes_of(self, cases: Iterable[Case]) -> dict[str, list[str]]:
        """Document id → the quotes in it."""
        found: dict[str, list[str]] = {}
        for case in cases:
            for unit in case.evidence:
                if unit.quote:
                    found.setdefault(unit.document, []).append(unit.quote)
        return found

    def change_cases(self, ids: Iterable[str], change: Callable[[Case], Case]) -> None:
        """Replace some of the cases."""
        wanted = set(ids)
        self.cases = tuple(change(case) if case.id in wanted else case for case in self.cases)

    def set(self, **changes: object) -> None:
        """Change settings: `section__key=value`."""
        self.overrides |= {name.replace("__", "."): str(value) for name, value in changes.items()}

    def play(self, name: str, rate: float = 1.0, *, delay_s: float = 0.0) -> None:
        """Have the proxy play one more fault."""
        self.plan.faults = (*self.plan.faults, Planned(name=name, rate=rate, delay_s=delay_s))

    def retire(self, ids: Sequence[str]) -> None:
        """Take documents out of the corpus."""
        with self.application(create=True) as app:
            app.collection.retire(ids)

    def rewrite(self, ids: Sequence[str], change: Callable[[Document], Document]) -> None:
        """Ingest changed documents in the place of the old ones."""
        with self.application(create=True) as app:
            ingest(app, [change(document) for document in stored(app.collection, ids)])

    def add(self, documents: Sequence[Document]) -> None:
        """Ingest further documents."""
        with self.application(create=True) as app:
            ingest(app, documents)

    def reingest(self) -> None:
        """Ingest every document again, as after a change of the chunking."""
        with self.application(create=True) as app:
            ingest(app, stored(app.collection, None))

    def move(self, **changes: object) -> None:
        """Build the collection anew under other settings, from the documents that are live now."""
        with self.application() as app:
            documents = stored(app.collection, None)
        shutil.rmtree(self.home)
        self.set(**changes)
        with self.application(create=True) as app:
            ingest(app, documents)


def stored(collection: "Collection", ids: Sequence[str] | None) -> list[Document]:
    """Live documents with their text, as they can be ingested again; None = all. Absent ones are left out."""
    live = {row.id for row in collection.documents()}
    return [collection.document(id_) for id_ in (sorted(live) if ids is None else ids) if id_ in live]


def ingest(app: Application, documents: Iterable[Document]) -> None:
    """Ingest documents made in Python."""
    from firstfault.ingest import Chunker, ingest_documents

    ingest_documents(app.collection, documents, chunker=Chunker(app.settings.chunking, app.embedder))


def replaced(document: Document, text: str) -> Document:
    """The document with another text."""
    return replace(document, text=text)


def labelled(document: Document, metadata: Metadata) -> Document:
    """The document with further metadata."""
    return replace(document, metadata={**document.metadata, **metadata})


def edit_quotes(text: str, quotes: Sequence[str], edit: Callable[[str], str]) -> str:
    """The text with every place of the quotes changed."""
    places = sorted({place for quote in quotes for place in find(quote, text)}, reverse=True)
    done = len(text) + 1
    for start, end in places:
        if end <= done:
            text = text[:start] + edit(text[start:end]) + text[end:]
            done = start
    return text


def by_document(cases: Sequence[Case]) -> Mapping[str, list[Case]]:
    """Document id → the cases whose evidence it holds."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        for unit in case.evidence:
            found.setdefault(unit.document, []).append(case)
    return found
