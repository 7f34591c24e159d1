"""What a test needs and does not care about: records with every field filled, and a home with documents."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import firstfault
from firstfault.models import store
from firstfault.types import CaseResult, Trace


def make_trace(**fields: Any) -> Trace:
    """A request of which nothing is known but what is given."""
    unknown: dict[str, Any] = {
        "id": "t",
        "at": "2026-01-01T00:00:00.000+00:00",
        "collection": "default",
        "question": "?",
        "where": None,
        "corpus_version": 1,
        "settings": {},
        "fingerprint": "f",
        "embedder": "e",
        "verifier": "v",
    }
    return Trace(**{**unknown, **fields})


def make_result(**fields: Any) -> CaseResult:
    """What came of a case of which nothing is known but what is given; `scores` must be."""
    unknown: dict[str, Any] = {
        "case_id": "1",
        "question": "?",
        "trace_id": None,
        "answer": None,
        "abstained": None,
        "evidence": (),
        "timings_ms": {},
    }
    return CaseResult(**{**unknown, **fields})


def make_home(place: Path, documents: Mapping[str, str], settings: Mapping[str, str] | None = None) -> Path:
    """A home with the documents, file name → text, ingested."""
    store.ensure("all-MiniLM-L6-v2")
    folder = place / "documents"
    folder.mkdir(parents=True)
    for name, text in documents.items():
        (folder / name).write_text(text, encoding="utf-8")
    with firstfault.open(place / "home", settings=settings, create=True) as app:
        app.ingest([folder])
    return place / "home"
