"""An application on a small collection with the real embedder."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstfault.answer import Application
from firstfault.config import load
from firstfault.models import store
from firstfault.types import ChunkedDocument, Document

SUBJECTS = ("pump", "valve", "motor", "sensor", "boiler", "filter")
FACTS = (
    "The {0} must be inspected every {1} months by a certified engineer.",
    "When the {0} fails, error code E{1} is shown on the display.",
    "A spare {0} costs {1} euros and is delivered within a week.",
    "The warranty of the {0} ends after {1} years of use.",
    "Never open the {0} while it is under {1} bars of pressure.",
)


def documents() -> list[ChunkedDocument]:
    """Thirty short documents that share many words; the last one says what another says."""
    texts = [
        fact.format(subject, 3 + 7 * row + column)
        for row, subject in enumerate(SUBJECTS)
        for column, fact in enumerate(FACTS)
    ]
    texts[-1] = texts[0]
    return [
        ChunkedDocument(
            document=Document(
                id=f"d{number:02}",
                title=f"Note {number}",
                text=text,
                source="test",
                revision=f"{number:064}",
                metadata={"even": number % 2 == 0, "n": number, "root": math.isqrt(number)},
            ),
            spans=((0, len(text)),),
        )
        for number, text in enumerate(texts)
    ]


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    store.pull()
    with Application(load(tmp_path / "home", environment={}), create=True) as opened:
        list(opened.collection.add_all(documents()))
        yield opened
