"""A small town's by-laws as a corpus, cases about them, and an endpoint that answers as it is told."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.listening import listening

import firstfault
from firstfault.answer import Application
from firstfault.collection.database import connect
from firstfault.diagnose import diagnose_run
from firstfault.evaluate import RunStore, evaluate
from firstfault.models import store
from firstfault.types import Case, Diagnosis, EvidenceUnit

FACTS = {
    "dogs": ("Dogs in parks", "Dogs must be kept on a lead of at most two metres in Elm Park.", "two metres"),
    "market": ("Weekly market", "The weekly market on Mill Square opens at seven in the morning.", "seven"),
    "waste": (
        "Garden waste",
        "Garden waste is collected every second Thursday from April to October.",
        "Thursday",
    ),
    "parking": ("Resident parking", "A resident parking permit costs 48 euros a year.", "48 euros"),
    "noise": (
        "Quiet hours",
        "Lawn mowers may not be used between one and three in the afternoon.",
        "one and three",
    ),
    "trees": ("Felling trees", "Felling a tree with a trunk wider than 60 centimetres needs a permit.", "60"),
    "library": ("Town library", "The town library lends books for four weeks at a time.", "four weeks"),
    "pool": ("Swimming pool", "Children under six swim free of charge at the Lido.", "six"),
    "snow": (
        "Clearing snow",
        "House owners clear snow from the pavement before half past seven.",
        "half past seven",
    ),
    "fire": (
        "Bonfires",
        "Bonfires are allowed only with written consent of the fire brigade.",
        "fire brigade",
    ),
    "bees": ("Keeping bees", "Beehives stand at least ten metres away from the next footpath.", "ten metres"),
    "flags": (
        "Flags",
        "The town hall flies the county flag on the first Sunday of May.",
        "first Sunday of May",
    ),
}
FILLER = (
    "This section is part of the by-laws and was adopted by the council. Questions are answered by the "
    "office on the ground floor. Infringements are reported to the warden, who keeps a record of them."
)
QUESTIONS = {
    "dogs": "How long may the lead of a dog be in Elm Park?",
    "market": "When does the weekly market on Mill Square open?",
    "waste": "On which day is garden waste collected?",
    "parking": "What does a resident parking permit cost a year?",
    "noise": "Between which hours may lawn mowers not be used?",
    "trees": "How wide may a trunk be before felling the tree needs a permit?",
    "library": "For how long does the town library lend books?",
    "pool": "Up to which age do children swim free of charge at the Lido?",
    "snow": "By when must house owners clear snow from the pavement?",
    "fire": "Whose consent do bonfires need?",
    "bees": "How far away from a footpath must beehives stand?",
    "flags": "When does the town hall fly the county flag?",
}
CASES = tuple(
    Case(
        id=name,
        question=QUESTIONS[name],
        answer=answer,
        answerable=True,
        evidence=(EvidenceUnit(document=f"{name}.md", quote=fact),),
    )
    for name, (_, fact, answer) in FACTS.items()
)
UNANSWERABLE = tuple(
    Case(id=f"none-{number}", question=question, answerable=False)
    for number, question in enumerate(
        (
            "Who composed the hymn of the town?",
            "What does a boat licence cost?",
            "How tall is the church tower?",
        )
    )
)


def document(name: str, fact: str | None = None) -> str:
    """The text of a section, perhaps with another fact."""
    title, usual, _ = FACTS[name]
    return f"# {title}\n\n{FILLER} {fact or usual}\n"


def write(folder: Path, changed: Mapping[str, str] | None = None, without: Sequence[str] = ()) -> Path:
    """All sections as files, some changed or left out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FACTS:
        if name not in without:
            text = (changed or {}).get(name) or document(name)
            (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every section as a file and a home with all of them ingested; copy it to break it."""
    store.ensure("all-MiniLM-L6-v2")
    place = tmp_path_factory.mktemp("town")
    with firstfault.open(place / "home", create=True) as app:
        app.ingest([write(place / "laws")])
    return place


@pytest.fixture
def home(town: Path, tmp_path: Path) -> Path:
    """A copy of the town's home."""
    return Path(shutil.copytree(town / "home", tmp_path / "home"))


@pytest.fixture
def laws(town: Path) -> Iterator[Path]:
    """The folder that the town's home was made from; whatever a test writes there is undone."""
    yield town / "laws"
    write(town / "laws")


@contextmanager
def opened(home: Path, **settings: str) -> Iterator[Application]:
    """The application of a home, extractive unless told otherwise; `section__key` → value."""
    changes = {name.replace("__", "."): value for name, value in settings.items()}
    with firstfault.open(home, settings={"generator.kind": "extractive", **changes}) as app:
        yield app


def diagnosed(app: Application, cases: Sequence[Case], *, generation: bool = False) -> Diagnosis:
    """Run the cases and diagnose the run."""
    run = evaluate(app, cases, generation=generation)
    with closing(RunStore(connect(app.config.home))) as runs:
        results = list(runs.results(run.id).values())
    return diagnose_run(app, run, results)


def named(found: Diagnosis) -> tuple[str, str] | None:
    """Stage and cause of the primary fault."""
    return (found.primary.stage, found.primary.cause) if found.primary else None


@dataclass(frozen=True)
class Prompt:
    """What the endpoint was asked."""

    question: str
    passages: tuple[tuple[int, str], ...]
    """Number and text."""

    def holding(self, fact: str) -> int | None:
        """The number of the passage that holds a fact."""
        return next((number for number, text in self.passages if fact in text), None)


Speaker = Callable[[Prompt], str]


def oracle(prompt: Prompt) -> str:
    """The right answer with the right citation, or the abstention."""
    for name, question in QUESTIONS.items():
        fact = FACTS[name][1]
        number = prompt.holding(fact)
        if question == prompt.question and number is not None:
            return f"{fact} [{number}]"
    return "The sources do not say."


@dataclass
class Endpoint:
    """An OpenAI-compatible server on the loopback that says what `speak` returns."""

    speak: Speaker = oracle
    url: str = ""
    prompts: list[Prompt] = field(default_factory=list)

    def settings(self) -> dict[str, str]:
        """What an application needs to ask it."""
        return {"generator__kind": "openai", "generator__base_url": self.url, "generator__model": "told"}


_PASSAGE = re.compile(r'<passage number="(\d+)"[^>]*>\n(.*?)\n</passage>', re.DOTALL)


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = body["messages"][-1]["content"]
            prompt = Prompt(
                question=content.rpartition("Question: ")[2].strip(),
                passages=tuple((int(number), text) for number, text in _PASSAGE.findall(content)),
            )
            endpoint.prompts.append(prompt)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for text, reason in ((endpoint.speak(prompt), None), ("", "stop")):
                choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
                chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "told"}
                self.wfile.write(f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    told = Endpoint()
    with listening(_handler(told)) as address:
        told.url = f"{address}/v1"
        yield told
