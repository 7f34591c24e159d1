"""A small corpus whose answers stand at the end of long passages, and cases about it."""

from firstfault.answer import Application
from firstfault.collection.database import connect
from firstfault.evaluate import RunStore, evaluate
from firstfault.types import Case, CaseResult, EvidenceUnit, Run

PLACES = (
    "Arosa Bergen Cluj Davos Evora Faro Genoa Huelva Ivrea Jaca Kotor Lugano Murcia Nantes Ohrid Parma"
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
