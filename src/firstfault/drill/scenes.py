"""Scenes: the healthy applications that faults are injected into.

Each is the user's own application, prepared so that a kind of fault can matter at all: a filter can only
exclude evidence where requests filter. A scene by itself must be diagnosed as healthy; controls check that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from firstfault.drill.sandbox import Sandbox, by_document, labelled, replaced
from firstfault.evaluate.evidence import find
from firstfault.types import Document

CODE_LETTERS = "QXZVKJ"

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "sources": {"type": "array", "items": {"type": "integer"}}},
    "required": ["answer", "sources"],
    "additionalProperties": False,
}
"""What the cases of the scene `structured` ask for, unless they have a schema of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A healthy application that faults are injected into."""

    name: str
    summary: str
    prepare: Callable[[Sandbox], None]


def _plain(_sandbox: Sandbox) -> None:
    pass


def _vectors(sandbox: Sandbox) -> None:
    sandbox.set(search__dense_weight=1, search__rerank="none")


def _endpoint(sandbox: Sandbox) -> None:
    sandbox.embedder = None
    sandbox.move(
        embedder__kind="openai",
        embedder__model="drill-embedder",
        embedder__base_url=sandbox.proxy_url,
        search__rerank="none",
    )


def _filtered(sandbox: Sandbox) -> None:
    """Evidence is public and of 2020 or later; requests ask for that."""
    sandbox.rewrite(
        sandbox.documents_of(sandbox.cases),
        lambda document: labelled(document, {"audience": "public", "year": 2020 + len(document.id) % 5}),
    )
    sandbox.change_cases(
        [case.id for case in sandbox.cases if case.where is None and case.evidence],
        lambda case: replace(case, where='audience = "public" and year >= 2020'),
    )


def _codes(sandbox: Sandbox) -> None:
    """Passages carry a reference, and questions name only that: BM25 finds it, vectors hardly do."""
    wanted = [case for case in sandbox.cases if any(unit.quote for unit in case.evidence)]
    codes = {
        case.id: "".join(sandbox.random(case.id).sample(CODE_LETTERS, 3)) + str(7000 + 13 * number)
        for number, case in enumerate(wanted)
    }
    held = by_document(wanted)

    def mark(document: Document) -> Document:
        quotes = {
            case.id: [unit.quote for unit in case.evidence if unit.quote and unit.document == document.id]
            for case in held[document.id]
        }
        text = document.text
        for start, id_ in places(text, quotes):
            text = f"{text[:start]}({codes[id_]}) {text[start:]}"
        return replaced(document, text)

    sandbox.set(answer__min_relevance=-1)  # a question that is only a number is near no passage
    sandbox.rewrite(list(held), mark)
    sandbox.change_cases(codes, lambda case: replace(case, question=f"What does {codes[case.id]} say?"))


def places(text: str, quotes: Mapping[str, Sequence[str]]) -> list[tuple[int, str]]:
    """Where each key's quotes begin in a text, last first. Inside another quote that one's beginning
    is taken, so that what is inserted there tears none.
    """
    found = {key: [span for one in given for span in find(one, text)] for key, given in quotes.items()}
    spans = sorted({span for given in found.values() for span in given})

    def outside(start: int) -> int:
        around = [begin for begin, end in spans if begin < start < end]
        return outside(min(around)) if around else start

    starts = {(outside(start), key) for key, given in found.items() for start, _ in given}
    return sorted(starts, reverse=True)


def _structured(sandbox: Sandbox) -> None:
    sandbox.change_cases(
        [case.id for case in sandbox.cases if case.schema is None],
        lambda case: replace(case, schema=SCHEMA),
    )


SCENES: Mapping[str, Scene] = {
    scene.name: scene
    for scene in (
        Scene(name="plain", summary="the application as it is", prepare=_plain),
        Scene(name="vectors", summary="ranked by vectors alone", prepare=_vectors),
        Scene(name="endpoint", summary="with its embedder behind an endpoint", prepare=_endpoint),
        Scene(name="filtered", summary="with metadata, and requests that filter on it", prepare=_filtered),
        Scene(name="codes", summary="asked by reference numbers", prepare=_codes),
        Scene(name="structured", summary="asked for JSON", prepare=_structured),
    )
}
"""By name."""
