"""A small application with a few cases, and a workshop on it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import firstfault
from firstfault.config import Config, load
from firstfault.drill import Workshop
from firstfault.models import store
from firstfault.types import Case, EvidenceUnit

FACTS = {
    "pump": "The red pump delivers 40 litres of water a minute and was built in 1987 by Kessler.",
    "bridge": "The bridge over the Aller is 312 metres long and was opened to trains in 1904.",
    "library": "The town library lends 18000 books a month and is open until nine in the evening.",
    "orchard": "The orchard behind the mill has 64 apple trees, most of them of an old Danish variety.",
    "ferry": "The ferry to Norsund leaves every 25 minutes and carries at most 80 passengers.",
    "school": "The village school was founded in 1921 and has room for 150 pupils.",
    "tower": "The radio tower on the Kahleberg is 210 metres high and was painted white in 1996.",
    "bakery": "The bakery in the market hall bakes 900 loaves of rye bread every morning.",
}
QUESTIONS = {
    "pump": "How many litres of water does the red pump deliver?",
    "bridge": "How long is the bridge over the Aller?",
    "library": "How many books does the town library lend?",
    "orchard": "How many apple trees stand in the orchard behind the mill?",
    "ferry": "How often does the ferry to Norsund leave?",
    "school": "When was the village school founded?",
    "tower": "How high is the radio tower on the Kahleberg?",
    "bakery": "How many loaves of rye bread does the bakery bake?",
}
CASES = (
    *(
        Case(
            id=name,
            question=QUESTIONS[name],
            answer=fact,
            evidence=(EvidenceUnit(document=name, quote=fact),),
        )
        for name, fact in FACTS.items()
    ),
    Case(id="mayor", question="Who was elected mayor of the village last spring?", answerable=False),
)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an application; tests may only read it."""
    store.pull()
    folder, home = tmp_path_factory.mktemp("town"), tmp_path_factory.mktemp("live") / "home"
    lines = [
        json.dumps({"id": name, "title": name.title(), "text": f"The {name}. {fact} More is not known."})
        for name, fact in FACTS.items()
    ]
    file = folder / "town.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    with firstfault.open(home, create=True, settings={"generator.kind": "extractive"}) as app:
        app.ingest([file])
    return home


@pytest.fixture(scope="session")
def config(live: Path) -> Config:
    return load(live, environment={}, overrides={"generator.kind": "extractive", "search.top_k": "3"})


@pytest.fixture(scope="session")
def workshop(config: Config) -> Iterator[Workshop]:
    with Workshop(config, CASES) as found:
        yield found
