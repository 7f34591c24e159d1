"""The situations: seventeen ways for a small application to be, twelve of them broken in one way each.

In: a name and a seed. Out: a `Situation`: files, settings, cases, and how the models behind it behave.
Whatever is broken is broken by configuration, by data, or by what an endpoint answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from bench.situations.endpoint import Clerk
from bench.situations.texts import CATALOGUES, counted
from bench.situations.world import (
    Fact,
    Page,
    Question,
    World,
    capital,
    catalogue,
    error_codes,
    help_centre,
    slug,
)


@dataclass
class Situation:
    """An application, and what is wrong with it."""

    name: str
    seed: int
    stage: str | None
    """None = nothing is wrong."""
    cause: str | None
    world: World
    """As it is ingested."""
    clerk: Clerk
    settings: dict[str, Any] = field(default_factory=dict)
    later: World | None = None
    """What stands on the disk after the ingest."""
    embedding: str | None = None
    """What the embedding endpoint serves while documents are ingested; None = the embedded model."""
    embedding_later: str | None = None
    """What it serves afterwards."""
    reranker: str | None = None
    """Tokenizer of the cross-encoder: `characters` or `function_words`."""
    terse: bool = False
    """Whether the expected answers are values, or whole sentences."""
    healthy: tuple[World, dict[str, Any]] | None = None
    """The same without the fault: documents, and settings to change. For checking that the fault shows."""

    @property
    def id(self) -> str:
        return f"{self.name}-{self.seed:02d}"


def _settings(rng: random.Random, **more: Any) -> dict[str, Any]:
    """Sound settings, not always the same."""
    return {
        "search.top_k": rng.choice([3, 4, 5, 6]),
        "search.fusion": rng.choice(["minmax", "minmax", "rrf"]),
        "chunking.kind": rng.choice(["semantic", "recursive"]),
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def _clerk(world: World, manner: str = "right", seed: int = 0, **more: Any) -> Clerk:
    return Clerk({question.text: question for question in world.questions}, manner=manner, seed=seed, **more)


def _affected(rng: random.Random, world: World, least: float = 0.5) -> set[str]:
    """Documents that some questions need: at least a share of them."""
    needed = sorted({fact.document for question in world.questions for fact in question.facts})
    rng.shuffle(needed)
    return set(needed[: max(2, round(len(needed) * rng.uniform(least, 1.0)))])


def missing_document(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(10, 16), subject=seed)
    gone = _affected(rng, world)
    broken = world.with_pages([page for page in world.pages if page.id not in gone])
    settings = _settings(rng)
    return Situation(
        "missing_document",
        seed,
        "corpus",
        "missing_document",
        broken,
        _clerk(world, seed=seed),
        settings,
        healthy=(world, {}),
    )


def stale_document(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(9, 16), subject=seed + 3)
    old, clerk = _with_old_facts(rng, world, seed)
    settings = _settings(rng)
    later = world if seed % 5 < 3 else None
    return Situation(
        "stale_document",
        seed,
        "corpus",
        "stale_document",
        old,
        clerk,
        settings,
        later=later,
        healthy=(world, {}),
    )


def _with_old_facts(rng: random.Random, world: World, seed: int) -> tuple[World, Clerk]:
    changed = _affected(rng, world)
    facts = [fact for q in world.questions for fact in q.facts if fact.document in changed]
    pages = []
    for page in world.pages:
        swap = {fact.quote: fact.wrong for fact in facts if fact.document == page.id}
        pages.append(replace(page, sentences=tuple(swap.get(s, s) for s in page.sentences)))
    outdated = {
        q.id: tuple(replace(fact, quote=fact.wrong) for fact in q.facts if fact.document in changed)
        for q in world.questions
    }
    return world.with_pages(pages), _clerk(world, seed=seed, outdated=outdated)


_THINGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "deposit that has to be left is {v}",
        "How high is the deposit for {e}?",
        counted("{n} euros", 20, 400, 10),
    ),
    (
        "largest group that is let in is {v}",
        "How large may a group be for {e}?",
        counted("{n} persons", 5, 90, 3),
    ),
    (
        "time until an objection is answered is {v}",
        "How long does it take until an objection about {e} is answered?",
        counted("{n} days", 4, 80, 3),
    ),
    (
        "contribution that is asked of members is {v}",
        "What do members contribute for {e}?",
        counted("{n} crowns", 110, 990, 20),
    ),
    (
        "interval between two inspections is {v}",
        "What is the interval between two inspections of {e}?",
        counted("{n} weeks", 3, 60, 2),
    ),
)
_ASIDES = (
    "whose rules were last revised by the committee in spring after a long consultation with users and staff",
    "about which there has been much discussion in the newspapers and at several public meetings of late",
    "for which the earlier arrangements had been criticised as unclear "
    "by nearly everyone who had to work with them",
    "as the person in charge explained at length in a letter to all those who had written in with questions",
    "which was looked at again by an outside expert after the complaints that had come in over the summer",
    "where a transitional arrangement had been in force for years "
    "before the present one was finally agreed upon",
)


def split_evidence(rng: random.Random, seed: int) -> Situation:
    chosen = CATALOGUES[(seed + 5) % len(CATALOGUES)]
    kind = rng.choice(["md", "txt", "jsonl"])
    entities = rng.sample(chosen.entities, rng.randint(10, 14))
    things = rng.sample(_THINGS, 3)
    aside = rng.choice(_ASIDES)
    pages: list[Page] = []
    questions: list[Question] = []
    for entity in entities:
        document = slug(entity, kind)
        sentences = [rng.choice(chosen.openings).format(e=entity).split("\n\n")[-1]]
        for thing, asks, values in things:
            value, other = rng.sample(values, 2)
            quote = f"In the case of {entity}, {aside}, the {thing.format(v=value)}."
            wrong = f"In the case of {entity}, {aside}, the {thing.format(v=other)}."
            fact = Fact(document, quote, quote, wrong, value)
            questions.append(Question(f"q{len(questions) + 1}", asks.format(e=entity), (fact,)))
            sentences.append(quote)
        sentences.append(rng.choice(chosen.fillers))
        pages.append(Page(document, capital(entity), tuple(sentences)))
    rng.shuffle(questions)
    world = World(chosen.name, tuple(pages), tuple(questions[: rng.randint(7, 10)]), kind)
    settings = _settings(rng, chunking__max_tokens=rng.choice([16, 18, 20]), chunking__overlap_tokens=0)
    settings["search.top_k"] = rng.choice([3, 4])
    return Situation(
        "split_evidence",
        seed,
        "chunk",
        "split_evidence",
        world,
        _clerk(world, seed=seed),
        settings,
        healthy=(world, {"chunking.max_tokens": 220, "chunking.overlap_tokens": 30}),
    )


def filter_excludes_evidence(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(9, 15), subject=seed + 7, kind="jsonl")
    hidden = _affected(rng, world)
    field_, right, wrong, where = (
        ("audience", "public", "internal", 'audience = "public"'),
        ("year", 2025, 2015, "year >= 2024"),
        ("language", "en", "xx", 'language in ("en", "en-GB")'),
        ("published", True, False, "published = true"),
        ("region", "north", "south", 'region = "north" and not archived = true'),
    )[seed % 5]
    extra: dict[str, Any] = {"archived": False} if field_ == "region" else {}
    sound = world.with_pages([replace(p, metadata={field_: right, **extra}) for p in world.pages])
    broken = world.with_pages(
        [replace(p, metadata={field_: wrong if p.id in hidden else right, **extra}) for p in world.pages]
    )
    questions = tuple(replace(question, where=where) for question in world.questions)
    broken, sound = replace(broken, questions=questions), replace(sound, questions=questions)
    return Situation(
        "filter_excludes_evidence",
        seed,
        "filter",
        "filter_excludes_evidence",
        broken,
        _clerk(broken, seed=seed),
        _settings(rng),
        healthy=(sound, {}),
    )


def embedder_mismatch(rng: random.Random, seed: int) -> Situation:
    world = help_centre(rng)
    settings = _settings(
        rng, search__candidates=rng.choice([4, 5, 6]), search__dense_weight=rng.choice([0.5, 0.6, 0.7])
    )
    settings["search.top_k"] = rng.choice([3, 4])
    if seed % 2:
        settings["answer.min_relevance"] = -1.0
    return Situation(
        "embedder_mismatch",
        seed,
        "embed",
        "embedder_mismatch",
        world,
        _clerk(world, seed=seed),
        settings,
        embedding="plain",
        embedding_later=f"rotated:{seed + 11}",
        healthy=(world, {}),
    )


def weak_embedding(rng: random.Random, seed: int) -> Situation:
    world = help_centre(rng)
    settings = _settings(
        rng, search__candidates=rng.choice([4, 5, 6]), search__dense_weight=rng.choice([0.5, 0.6, 0.7])
    )
    settings["search.top_k"] = rng.choice([3, 4])
    settings["answer.min_relevance"] = -1.0
    distortion = (f"biased:{seed}", "few:3", "first_words:1")[seed % 3]
    return Situation(
        "weak_embedding",
        seed,
        "embed",
        "weak_embedding",
        world,
        _clerk(world, seed=seed),
        settings,
        embedding=distortion,
        embedding_later=distortion,
        healthy=(world, {}),
    )


def fusion_weights(rng: random.Random, seed: int) -> Situation:
    lexical = seed % 2 == 0
    world = help_centre(rng) if lexical else error_codes(rng)
    settings = _settings(
        rng, search__candidates=40, search__rerank="none", search__dense_weight=0.0 if lexical else 1.0
    )
    settings["search.top_k"] = 2
    settings["search.fusion"] = "minmax"
    return Situation(
        "fusion_weights",
        seed,
        "fuse",
        "fusion_weights",
        world,
        _clerk(world, seed=seed),
        settings,
        healthy=(world, {"search.dense_weight": 0.6 if lexical else 0.2}),
    )


def reranker_demotes(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(10, 13), attributes=3, subject=seed + 2)
    chosen = next(c for c in CATALOGUES if c.name == world.subject)
    long = []
    for number, name in enumerate(
        rng.sample(
            [
                "Annual report",
                "Minutes of the meeting",
                "Letters to the editor",
                "Press review",
                "History",
                "Glossary and remarks",
            ],
            5,
        )
    ):
        sentences = [f"{name} of the past year, number {number + 1}."]
        for _ in range(5):
            sentences += rng.sample(chosen.fillers, len(chosen.fillers))
        long.append(Page(slug(name, world.format), name, tuple(sentences[: rng.randint(9, 14)])))
    world = world.with_pages([*world.pages, *long])
    settings = _settings(rng, search__rerank="cross", search__rerank_weight=rng.choice([4.0, 6.0, 10.0]))
    settings["search.top_k"] = rng.choice([2, 3])
    return Situation(
        "reranker_demotes",
        seed,
        "rerank",
        "reranker_demotes",
        world,
        _clerk(world, seed=seed),
        settings,
        reranker=("characters", "function_words")[seed % 2],
        healthy=(world, {"search.rerank": "none"}),
    )


def context_truncated(rng: random.Random, seed: int) -> Situation:
    if seed % 3 == 0:  # the answer stands in several documents, the budget has room for one
        world = catalogue(rng, documents=(8, 12), facts=2, attributes=6, subject=seed + 1, cases=(6, 8))
        settings = _settings(rng, pack__budget_tokens=rng.choice([150, 170]), search__top_k=6)
        repaired: dict[str, Any] = {"pack.budget_tokens": 1500}
    elif seed % 3 == 1:  # the budget cuts every document short
        world = catalogue(rng, documents=(8, 14), attributes=6, subject=seed + 1)
        settings = _settings(rng, pack__budget_tokens=rng.choice([64, 70, 76]))
        repaired = {"pack.budget_tokens": 1500}
    else:  # so does a small context window
        world = catalogue(rng, documents=(8, 14), attributes=6, subject=seed + 1)
        settings = _settings(rng, generator__context_window=rng.choice([480, 500]))
        repaired = {"generator.context_window": 8192}
    return Situation(
        "context_truncated",
        seed,
        "pack",
        "context_truncated",
        world,
        _clerk(world, seed=seed),
        settings,
        healthy=(world, repaired),
    )


def conflicting_sources(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(8, 12), subject=seed + 4)
    affected = _affected(rng, world)
    outdated: dict[str, tuple[Fact, ...]] = {}
    archive: list[Page] = []
    label = rng.choice(["2016 edition", "old version", "draft", "superseded", "as of 2018"])
    for page in world.pages:
        if page.id not in affected:
            continue
        document = f"archive-{page.id}"
        swap = {}
        for question in world.questions:
            for fact in question.facts:
                if fact.document == page.id:
                    swap[fact.quote] = fact.wrong
                    outdated[question.id] = (replace(fact, document=document, quote=fact.wrong),)
        sentences = tuple(swap.get(s, s) for s in page.sentences)
        archive.append(Page(document, f"{page.title} ({label})", sentences))
    both = world.with_pages([*world.pages, *archive])
    settings = _settings(rng)
    settings["search.top_k"] = rng.choice([4, 5, 6])
    return Situation(
        "conflicting_sources",
        seed,
        "pack",
        "conflicting_sources",
        both,
        _clerk(world, seed=seed, outdated=outdated),
        settings,
        healthy=(world, {}),
    )


def noise(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(14, 17), subject=seed + 6)
    settings = _settings(rng, pack__budget_tokens=6000)
    settings["search.top_k"] = rng.choice([12, 13, 14])
    clerk = _clerk(world, "drowns", seed, share=0.9, drowns_above=rng.choice([6, 8]))
    return Situation(
        "noise", seed, "pack", "noise", world, clerk, settings, healthy=(world, {"search.top_k": 4})
    )


def _generator_fault(
    name: str, stage: str, cause: str, manner: str, **more: Any
) -> Callable[[random.Random, int], Situation]:
    def build(rng: random.Random, seed: int) -> Situation:
        unanswerable = rng.randint(3, 5) if manner == "invents" else rng.choice([0, 0, 1])
        world = catalogue(
            rng, documents=(8, 14), cases=(8, 11), unanswerable=unanswerable, subject=seed + len(name)
        )
        settings = _settings(rng)
        given = dict(more)
        if manner == "abstains":
            given["abstention"] = _ABSTENTIONS[seed % len(_ABSTENTIONS)]
        share = 1.0 if manner == "invents" else rng.uniform(0.6, 1.0)
        clerk = _clerk(world, manner, seed, share=share, **given)
        return Situation(name, seed, stage, cause, world, clerk, settings, healthy=(world, {}))

    build.__name__ = name
    return build


_ABSTENTIONS = (
    "The sources do not say.",
    "The passages do not contain the answer.",
    "The sources do not say.",
    "The documents do not mention this.",
    "I could not find this in the documents provided.",
)


def healthy(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(8, 17), cases=(6, 12), unanswerable=rng.choice([0, 0, 1]), subject=seed)
    return Situation("healthy", seed, None, None, world, _clerk(world, seed=seed), _settings(rng))


def right_abstention(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(8, 15), cases=(8, 11), unanswerable=rng.randint(3, 5), subject=seed + 5)
    clerk = _clerk(world, seed=seed, abstention=_ABSTENTIONS[seed % len(_ABSTENTIONS)])
    return Situation("right_abstention", seed, None, None, world, clerk, _settings(rng))


def right_reworded(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(8, 15), cases=(7, 11), subject=seed + 8)
    return Situation(
        "right_reworded", seed, None, None, world, _clerk(world, "rewords", seed), _settings(rng)
    )


def right_and_long(rng: random.Random, seed: int) -> Situation:
    world = catalogue(rng, documents=(8, 14), cases=(6, 9), facts=1 + seed % 2, subject=seed + 10)
    clerk = _clerk(world, "tells_more", seed)
    settings = _settings(rng, search__top_k=6, generator__max_tokens=400, pack__budget_tokens=1400)
    return Situation("right_and_long", seed, None, None, world, clerk, settings)


def right_but_unusual(rng: random.Random, seed: int) -> Situation:
    """Said twice in the corpus, or in an unusual form."""
    world = catalogue(rng, documents=(8, 12), cases=(6, 10), subject=seed + 9)
    manner = "formats"
    if seed % 2:
        manner = "right"
        copies = []
        for page in world.pages:
            said = [f.quote for q in world.questions for f in q.facts if f.document == page.id]
            if said:
                opening = f"Answers to what is often asked about {page.title}."
                copies.append(Page(f"faq-{page.id}", f"Questions on {page.title}", (opening, *said)))
        world = world.with_pages([*world.pages, *copies])
    return Situation(
        "right_but_unusual", seed, None, None, world, _clerk(world, manner, seed // 2), _settings(rng)
    )


Build = Callable[[random.Random, int], Situation]

FAULTS: dict[str, Build] = {
    "missing_document": missing_document,
    "split_evidence": split_evidence,
    "filter_excludes_evidence": filter_excludes_evidence,
    "embedder_mismatch": embedder_mismatch,
    "fusion_weights": fusion_weights,
    "reranker_demotes": reranker_demotes,
    "context_truncated": context_truncated,
    "conflicting_sources": conflicting_sources,
    "contradicts_context": _generator_fault(
        "contradicts_context", "generate", "contradicts_context", "contradicts"
    ),
    "wrong_abstention": _generator_fault("wrong_abstention", "generate", "wrong_abstention", "abstains"),
    "should_have_abstained": _generator_fault(
        "should_have_abstained", "generate", "should_have_abstained", "invents"
    ),
    "misattributed_citation": _generator_fault(
        "misattributed_citation", "cite", "misattributed_citation", "misattributes"
    ),
}
"""The twelve of the table."""

MORE_FAULTS: dict[str, Build] = {
    "stale_document": stale_document,
    "weak_embedding": weak_embedding,
    "noise": noise,
    "ignored_context": _generator_fault("ignored_context", "generate", "ignored_context", "ignores"),
    "fabricated_citation": _generator_fault(
        "fabricated_citation", "cite", "fabricated_citation", "fabricates"
    ),
    "missing_citation": _generator_fault("missing_citation", "cite", "missing_citation", "omits"),
}
"""Six more, counted apart."""

CONTROLS: dict[str, Build] = {
    "healthy": healthy,
    "right_abstention": right_abstention,
    "right_reworded": right_reworded,
    "right_and_long": right_and_long,
    "right_but_unusual": right_but_unusual,
}
"""Nothing is wrong."""

ALL = {**FAULTS, **MORE_FAULTS, **CONTROLS}


def build(name: str, seed: int) -> Situation:
    """The situation of this name and seed; the same each time."""
    situation = ALL[name](random.Random(f"{name}/{seed}"), seed)
    return replace(situation, terse=seed % 4 in (1, 2))
