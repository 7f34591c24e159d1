"""A home with a few documents, and traces made by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import DOCUMENTS
from tests.made import make_home

import firstfault
from firstfault.answer import Application
from firstfault.models import store
from firstfault.types import Case, EvidenceUnit
from firstfault.verify import LocalVerifier

CASES = (
    Case(
        id="gcd",
        question="What does math.gcd return?",
        answer="the greatest common divisor",
        evidence=(
            EvidenceUnit(document="gcd.md", quote="returns the greatest common divisor of the specified"),
        ),
    ),
    Case(
        id="copy",
        question="Which function copies a file and preserves its metadata?",
        answer="shutil.copy2",
        evidence=(EvidenceUnit(document="copy.md"),),
    ),
    Case(id="cup", question="Who won the football world cup in 2022?", answerable=False),
    Case(
        id="lost",
        question="What does the green pump cost?",
        answer="12 euros",
        evidence=(EvidenceUnit(document="green.txt", quote="It costs 12 euros."),),
    ),
    Case(id="plain", question="Who is turtle graphics for?"),
)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the documents ingested."""
    store.pull()
    return make_home(tmp_path_factory.mktemp("evaluated"), DOCUMENTS)


@pytest.fixture
def app(home: Path) -> Iterator[Application]:
    """The application of that home, with the extractive generator."""
    with firstfault.open(home, settings={"generator.kind": "extractive"}) as application:
        yield application


@pytest.fixture(scope="session")
def verifier() -> LocalVerifier:
    return LocalVerifier()
