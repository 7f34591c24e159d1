"""A small application as files on disk: its documents, its cases, and what a model should know to answer
them.

In: a random generator. Out: a `World`. Nothing here knows about faults.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from typing import Any

from bench.situations.texts import CATALOGUES, Attribute, Catalogue
from bench.situations.topics import CODE_ASKS, CODE_PARTS, CODE_STATES, TOPICS


@dataclass(frozen=True)
class Fact:
    """One thing that a document says and a case may ask for."""

    document: str
    quote: str
    """As it stands in the document; also the right answer."""
    reworded: str
    wrong: str
    """The same sentence with another value."""
    value: str


@dataclass(frozen=True)
class Page:
    """A document before it is written down."""

    id: str
    title: str
    sentences: tuple[str, ...]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


@dataclass(frozen=True)
class Question:
    """A case: facts that answer it, none when the documents do not say."""

    id: str
    text: str
    facts: tuple[Fact, ...]
    invented: str = ""
    """What a model that makes things up would say."""
    where: str | None = None

    def row(self, *, terse: bool) -> dict[str, Any]:
        """As it stands in the file of cases; `terse`: the expected answer is the value alone."""
        row: dict[str, Any] = {"id": self.id, "question": self.text, "answerable": bool(self.facts)}
        if self.facts:
            row["answer"] = self.expected(terse=terse)
            row["evidence"] = [{"document": fact.document, "quote": fact.quote} for fact in self.facts]
        if self.where:
            row["where"] = self.where
        return row

    def expected(self, *, terse: bool) -> str:
        """The expected answer; several facts are always told in full."""
        if terse and len(self.facts) == 1:
            return self.facts[0].value
        return " ".join(fact.quote for fact in self.facts)


@dataclass(frozen=True)
class World:
    """Documents and questions on one subject."""

    subject: str
    pages: tuple[Page, ...]
    questions: tuple[Question, ...]
    format: str
    """`md`, `txt`, `html` or `jsonl`."""

    def with_pages(self, pages: list[Page]) -> World:
        return replace(self, pages=tuple(pages))

    def page(self, document: str) -> Page:
        return next(page for page in self.pages if page.id == document)

    def files(self) -> dict[str, str]:
        """Path → text."""
        if self.format == "jsonl":
            rows = [
                {
                    "id": p.id,
                    "title": p.title,
                    "text": p.text,
                    **({"metadata": p.metadata} if p.metadata else {}),
                }
                for p in self.pages
            ]
            return {"documents.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)}
        return {page.id: _written(page, self.format) for page in self.pages}


def _written(page: Page, kind: str) -> str:
    half = max(1, len(page.sentences) // 2)
    first, second = " ".join(page.sentences[:half]), " ".join(page.sentences[half:])
    if kind == "html":
        return (
            f"<!doctype html><html><head><title>{page.title}</title></head><body><main><h1>{page.title}</h1>"
            f"<p>{first}</p><p>{second}</p></main></body></html>"
        )
    if kind == "md":
        return f"# {page.title}\n\n{first}\n\n{second}\n"
    return f"{page.title}\n\n{first}\n\n{second}\n"


def slug(name: str, kind: str) -> str:
    plain = "".join(c if c.isalnum() else "-" for c in name.lower().removeprefix("the ")).strip("-")
    return plain if kind == "jsonl" else f"{plain}.{kind}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def catalogue(
    rng: random.Random,
    *,
    documents: tuple[int, int] = (8, 16),
    cases: tuple[int, int] = (6, 10),
    unanswerable: int = 0,
    facts: int = 1,
    kind: str | None = None,
    attributes: int = 5,
    subject: int | None = None,
) -> World:
    """A catalogue: one document an entity, its questions about single attributes of single entities.

    With `facts` > 1 a question asks about so many entities at once.
    """
    chosen = CATALOGUES[subject % len(CATALOGUES)] if subject is not None else rng.choice(CATALOGUES)
    kind = kind or rng.choice(["md", "txt", "html", "jsonl"])
    count = min(rng.randint(*documents), len(chosen.entities))
    entities = rng.sample(chosen.entities, count)
    used = rng.sample(chosen.attributes, min(attributes, len(chosen.attributes)))
    values = {id(attribute): _values(rng, attribute, 2 * count) for attribute in used}
    pages: list[Page] = []
    facts_of: dict[tuple[str, int], Fact] = {}
    for row, entity in enumerate(entities):
        document = slug(entity, kind)
        sentences = [
            rng.choice(chosen.openings).format(e=entity).replace("\n\n", " ").removeprefix(f"# {entity} ")
        ]
        order = list(range(len(used)))
        rng.shuffle(order)
        for position in order:
            attribute = used[position]
            value, other = values[id(attribute)][row], values[id(attribute)][count + row]
            state = rng.choice(attribute.states)
            quote = capital(state.format(e=entity, v=value))
            facts_of[entity, position] = Fact(
                document,
                quote,
                capital(attribute.reworded.format(e=entity, v=value)),
                capital(state.format(e=entity, v=other)),
                value,
            )
            sentences.append(quote)
        sentences += rng.sample(chosen.fillers, rng.randint(1, 3))
        pages.append(Page(document, capital(entity), tuple(sentences)))
    wanted = rng.randint(*cases)
    slots = [(entity, position) for entity in entities for position in range(len(used))]
    rng.shuffle(slots)
    questions: list[Question] = []
    for number in range(wanted - unanswerable):
        entity, position = slots[number]
        found: tuple[Fact, ...] = (facts_of[entity, position],)
        if facts > 1:
            others = rng.sample([e for e in entities if e != entity], facts - 1)
            found += tuple(facts_of[other, position] for other in others)
            asked = _joint(used[position], [entity, *others])
        else:
            asked = rng.choice(used[position].asks).format(e=entity)
        questions.append(Question(f"q{number + 1}", asked, found, _aside(chosen, entity)))
    absent = [a for a in chosen.attributes if a not in used]
    for number in range(unanswerable):
        entity = entities[number % count]
        if absent and rng.random() < 0.6:
            attribute = rng.choice(absent)
            asked, value = rng.choice(attribute.asks).format(e=entity), rng.choice(attribute.values)
            invented = capital(rng.choice(attribute.states).format(e=entity, v=value))
        else:
            asked = chosen.unknown[number % len(chosen.unknown)].format(e=entity)
            invented = _aside(chosen, entity)
        if asked in {q.text for q in questions}:
            asked = chosen.unknown[number % len(chosen.unknown)].format(e=entities[-1 - number % count])
        questions.append(Question(f"u{number + 1}", asked, (), invented))
    rng.shuffle(questions)
    return World(chosen.name, tuple(pages), tuple(questions), kind)


def _values(rng: random.Random, attribute: Attribute, count: int) -> list[str]:
    """The first half true, distinct where there are enough; the second half wrong, each unlike its twin."""
    values = list(attribute.values)
    rng.shuffle(values)
    half, size = count // 2, len(values)
    shift = half if size >= count else max(1, size // 2)
    return [values[i % size] for i in range(half)] + [values[(i + shift) % size] for i in range(half)]


def _joint(attribute: Attribute, entities: list[str]) -> str:
    """A question about several entities at once."""
    asked = attribute.asks[0].format(e="{e}")
    return asked.replace("{e}", f"{', '.join(entities[:-1])} and {entities[-1]}")


def _aside(chosen: Catalogue, entity: str) -> str:
    """Something plausible that none of the documents says, as a model would say it from memory."""
    stories = {
        "dishwashers": "The {e} is assembled in Slovenia and comes in white, black and brushed aluminium.",
        "airlines": "{e} was founded by two retired pilots and flies a fleet of Embraer jets.",
        "software": "{e} is written in Rust and was released under the Apache licence by a start-up in Oslo.",
        "medicines": "{e} is made by a laboratory in Denmark and has a light taste of mint.",
        "bylaws": "{e} has been governed by mayor Helena Brandt since the last election.",
        "libraries": "The {e} was designed by the architect Ines Valdez and has a bronze roof.",
        "offices": "The {e} office is next to the central station and has a gym on the top floor.",
        "ferries": "The ship of {e} was built in Gdansk and is driven by two electric motors.",
        "trails": "{e} was first walked by monks and is known for its golden eagles.",
        "insurance": "{e} is underwritten in Dublin and has won an award for its telephone service.",
        "courses": "{e} is taught by Professor Lindqvist in the old observatory.",
        "plants": "{e} was bred by a monastery in Umbria and is rich in vitamin C.",
    }
    return capital(stories[chosen.name].format(e=entity))


def help_centre(
    rng: random.Random, *, documents: tuple[int, int] = (24, 34), cases: tuple[int, int] = (7, 10)
) -> World:
    """Pages on topics of their own; the questions share few words with them."""
    kind = rng.choice(["md", "txt", "jsonl"])
    chosen = rng.sample(TOPICS, min(rng.randint(*documents), len(TOPICS)))
    pages: list[Page] = []
    questions: list[Question] = []
    for number, topic in enumerate(chosen):
        value, other = rng.sample(topic.values, 2)
        document = slug(topic.title, kind)
        quote = topic.state.format(v=value)
        pages.append(Page(document, topic.title, (topic.before, quote, topic.after)))
        fact = Fact(document, quote, quote, topic.state.format(v=other), value)
        questions.append(
            Question(
                f"q{number + 1}", topic.lay, (fact,), "Our staff at the desk will gladly explain this to you."
            )
        )
    rng.shuffle(questions)
    rng.shuffle(pages)
    return World("help centre", tuple(pages), tuple(questions[: rng.randint(*cases)]), kind)


def error_codes(
    rng: random.Random, *, documents: tuple[int, int] = (34, 40), cases: tuple[int, int] = (7, 10)
) -> World:
    """A page an error code, all much alike but for the code."""
    kind = rng.choice(["md", "txt", "jsonl"])
    letter = rng.choice("EFHXQZ")
    codes = [f"{letter}{number}" for number in rng.sample(range(41_370, 41_460), rng.randint(*documents))]
    seconds = rng.sample(range(2, 120), len(codes))
    pages: list[Page] = []
    questions: list[Question] = []
    state = rng.choice(CODE_STATES)
    for number, (code, time) in enumerate(zip(codes, seconds, strict=True)):
        part = CODE_PARTS[number % 4]
        quote = state.format(c=code, p=part, v=f"{time} seconds")
        document = slug(f"fault {code}", kind)
        pages.append(
            Page(
                document,
                "Fault messages",
                (quote, "Call the service when the message comes back within a day."),
            )
        )
        fact = Fact(
            document, quote, quote, state.format(c=code, p=part, v=f"{time + 121} seconds"), f"{time} seconds"
        )
        questions.append(Question(f"q{number + 1}", rng.choice(CODE_ASKS).format(c=code), (fact,)))
    rng.shuffle(questions)
    return World("error codes", tuple(pages), tuple(questions[: rng.randint(*cases)]), kind)
