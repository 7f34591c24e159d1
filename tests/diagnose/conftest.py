"""A small real application whose answers stand at the end of long passages, and ways to break it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import firstfault
from firstfault.answer import Application
from firstfault.collection.database import connect
from firstfault.evaluate import RunStore, evaluate
from firstfault.models import store
from firstfault.types import Case, CaseResult, EvidenceUnit, Run

PLACES = (
    "Arosa Bergen Cluj Davos Evora Faro Genoa Huelva Ivrea Jaca Kotor Lugano Murcia Nantes Ohrid Parma "
    "Quimper Riga Split Turku Udine Varna"
).split()

FILLER = (
    "Visitors climb a narrow path between pines and reach the dome after a quarter of an hour. The walls are "
    "of grey stone and the roof was renewed twice. In summer the doors stay open until midnight, in winter "
    "they close at dusk. A small museum shows old maps, clocks and letters of the founders. "
)


def text_of(place: str, number: int) -> str:
    return f"The observatory of {place} stands on a hill above the town. {FILLER}" + answer_of(place, number)


def answer_of(place: str, number: int) -> str:
    return (
        f"The telescope of the {place} observatory, a gift of the ship owners and fishermen of the province, "
        f"has a mirror of {number} centimetres."
    )


CASES = tuple(
    Case(
        id=f"case-{place}",
        question=f"How large is the mirror of the telescope of the {place} observatory?",
        answer=f"{40 + number} centimetres",
        evidence=(EvidenceUnit(document=f"{place}.txt", quote=answer_of(place, 40 + number)),),
    )
    for number, place in enumerate(PLACES)
)


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("observatories")
    for number, place in enumerate(PLACES):
        (folder / f"{place}.txt").write_text(text_of(place, 40 + number), encoding="utf-8")
    return folder


Broken = Callable[..., Application]


@pytest.fixture
def broken(tmp_path: Path, documents: Path) -> Iterator[Broken]:
    """Opens a new application with these settings over the documents."""
    store.pull()
    opened: list[Application] = []

    def make(**settings: str) -> Application:
        values = {"generator.kind": "extractive"} | {
            name.replace("__", "."): value for name, value in settings.items()
        }
        app = firstfault.open(tmp_path / "home", settings=values, create=True)
        opened.append(app)
        app.ingest([documents])
        return app

    yield make
    for app in opened:
        if "_closed" not in vars(app.collection):  # a test may close it itself
            app.close()


def run_cases(
    app: Application, cases: tuple[Case, ...] = CASES, *, generation: bool = False
) -> tuple[Run, list[CaseResult]]:
    """Evaluate and read the results back."""
    run = evaluate(app, cases, source="cases.jsonl", generation=generation)
    runs = RunStore(connect(app.config.home))
    try:
        return run, list(runs.results(run.id).values())
    finally:
        runs.close()
