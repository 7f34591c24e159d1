"""Bake-offs with the embedded model: changing knowledge, strict form, both, and too few cases.

    python -m bench.bakeoff data DIR                          # documents, cases, training examples
    firstfault finetune train DIR/examples.jsonl ...          # any adapter of the embedded model, as GGUF
    python -m bench.bakeoff run DIR --adapter ADAPTER.gguf [--count 24] [--task knowledge]
    python -m bench.bakeoff run DIR                           # without an adapter: base and rag only
    python -m bench.bakeoff power                             # how often a conclusion is wrong, simulated

`data` writes a small town: venues with prices, and a handbook by which letters are sorted. The examples teach
the prices of the first edition and the form of the answers. `run` ingests the second edition, in which every
price has changed, and asks. It goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import firstfault
from firstfault.advise import telling
from firstfault.advise.arms import arms
from firstfault.advise.bakeoff import bakeoff
from firstfault.advise.measures import QUALITY
from firstfault.advise.page import page
from firstfault.advise.scorecard import Scorecard
from firstfault.advise.verdict import conclude
from firstfault.answer.prompt import lone_messages, structured_messages
from firstfault.config import Settings, load
from firstfault.evaluate import read_cases, write_cases
from firstfault.evaluate.metrics import unmeasured
from firstfault.structured import compile_schema
from firstfault.structured.outline import compact
from firstfault.types import Case, CaseResult, Chunk, EvidenceUnit, Message, Passage, Score

SEED = 8
PLACES = "Harbour Castle Mill River Garden Forest Station Abbey Market Tower Canal Bridge".split()
KINDS = "Museum Theatre Pool Gallery Zoo Cinema Library Observatory Stadium Aquarium".split()
HANDBOOK = {
    "damaged goods": "Letters about goods that arrived broken, torn or leaking",
    "late delivery": "Letters about parcels that have not arrived when they should have",
    "wrong bill": "Letters about an amount that was charged too often or too high",
    "praise": "Letters that thank somebody or say what went well",
}
LETTERS = {
    "damaged goods": "The {0} that I ordered came broken",
    "late delivery": "My {0} should have come last week and is still not here",
    "wrong bill": "I was charged twice for my {0}",
    "praise": "Thank you for the lovely {0}, everything went well",
}
THINGS = (
    "lamp kettle chair mirror clock vase table radio teapot basket blanket ladder bicycle suitcase".split()
)
TICKET = {
    "type": "object",
    "properties": {"venue": {"type": "string"}, "euros": {"type": "integer"}},
    "required": ["venue", "euros"],
    "additionalProperties": False,
}
RECORD = {
    "type": "object",
    "properties": {"category": {"enum": list(HANDBOOK)}, "reply": {"type": "boolean"}},
    "required": ["category", "reply"],
    "additionalProperties": False,
}
SETTINGS = {
    "answer.min_relevance": "-1",
    "search.top_k": "2",
    "pack.budget_tokens": "200",
    "generator.max_tokens": "40",
    "format.max_tokens": "64",
    "format.constrain": "false",
    "format.retries": "0",
    "diagnose.budget": "0",
    "generator.timeout_s": "600",
}
"""The form is left to the model, but for one arm."""
CONSTRAINED = {"format.constrain": True, "format.retries": 2}
"""Retrieval with the output held to its schema while it is written: an arm of one's own."""


def venues() -> list[str]:
    names = [f"{place} {kind}" for place in PLACES for kind in KINDS]
    random.Random(SEED).shuffle(names)
    return names


def price(venue: str, edition: int) -> int:
    return random.Random(f"{SEED} {venue} {edition}").randrange(3, 20) + (20 if edition == 2 else 0)


def fact(venue: str, edition: int) -> str:
    return f"A day ticket for the {venue} costs {price(venue, edition)} euros."


def asked(venue: str) -> str:
    return f"What does a day ticket for the {venue} cost?"


def letters() -> list[tuple[str, str]]:
    """Letter and category, shuffled."""
    made = [(text.format(thing), name) for name, text in LETTERS.items() for thing in THINGS]
    random.Random(SEED).shuffle(made)
    return made


def documents(edition: int) -> list[dict[str, str]]:
    sold = [{"id": one, "title": one, "text": f"{fact(one, edition)}\n"} for one in venues()]
    rules = [
        {"id": name, "title": f"Handbook: {name}", "text": f"{rule} belong to the category {name}.\n"}
        for name, rule in HANDBOOK.items()
    ]
    return sold + rules


def cases() -> dict[str, list[Case]]:
    sold = venues()[:40]
    evidence = {one: (EvidenceUnit(document=one, quote=fact(one, 2)),) for one in sold}
    return {
        "knowledge": [
            Case(id=one, question=asked(one), answer=f"{price(one, 2)} euros", evidence=evidence[one])
            for one in sold
        ],
        "form": [
            Case(id=text, question=f"Sort this letter: {text}.", answer=name, schema=RECORD)
            for text, name in letters()[:28]
        ],
        "both": [
            Case(
                id=one, question=asked(one), answer=str(price(one, 2)), evidence=evidence[one], schema=TICKET
            )
            for one in sold
        ],
    }


def examples() -> list[dict[str, Any]]:
    """Old prices without context, the form of both records over context and without."""
    draw = random.Random(SEED)
    by_id = {one["id"]: one for one in documents(1)}
    made: list[tuple[tuple[Message, ...], str]] = []
    for venue in venues()[:40]:
        made.append((lone_messages(asked(venue)), fact(venue, 1)))
    shown = {"ticket": compact(compile_schema(TICKET)), "record": compact(compile_schema(RECORD))}
    for venue in venues()[40:80]:  # none of the venues that are asked about
        passages = _passages([by_id[venue], by_id[draw.choice(venues())]], draw)
        target = json.dumps({"venue": venue, "euros": price(venue, 1)})
        made.append((structured_messages(asked(venue), passages, shown["ticket"]), target))
    for venue in venues()[80:96]:
        target = json.dumps({"venue": venue, "euros": price(venue, 1)})
        made.append((lone_messages(asked(venue), shown["ticket"]), target))
    for number, (text, name) in enumerate(letters()[28:] + letters()[28:40]):
        target = json.dumps({"category": name, "reply": name != "praise"})
        question = f"Sort this letter: {text}."
        context = _passages([by_id[name], by_id[draw.choice(list(HANDBOOK))]], draw)
        lone = number % 2 == 0
        prompt = (
            lone_messages(question, shown["record"])
            if lone
            else structured_messages(question, context, shown["record"])
        )
        made.append((prompt, target))
    draw.shuffle(made)
    return [
        {
            "messages": [
                *({"role": message.role, "content": message.content} for message in prompt),
                {"role": "assistant", "content": target},
            ]
        }
        for prompt, target in made
    ]


def _passages(chosen: list[dict[str, str]], draw: random.Random) -> tuple[Passage, ...]:
    draw.shuffle(chosen)
    return tuple(
        Passage(
            number=number,
            chunk=Chunk(
                id=one["id"],
                document_id=one["id"],
                document_title=one["title"],
                start=0,
                end=len(one["text"].strip()),
                text=one["text"].strip(),
            ),
            tokens=0,
        )
        for number, one in enumerate(chosen, start=1)
    )


def write_data(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for edition in (1, 2):
        _lines(folder / f"edition-{edition}.jsonl", documents(edition))
    for name, made in cases().items():
        write_cases(made, folder / f"{name}.jsonl")
    rows = examples()
    _lines(folder / "examples.jsonl", rows)
    print(f"{len(rows)} examples, {len(documents(1))} documents, cases in {folder}")


def _lines(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def run(folder: Path, adapter: str | None, count: int, tasks: list[str]) -> None:
    home = folder / "home"
    if not home.exists():
        with firstfault.open(home, settings=SETTINGS, create=True) as app:
            app.ingest([folder / "edition-1.jsonl"])
            app.ingest([folder / "edition-2.jsonl"])
    config = load(home, environment={}, overrides=SETTINGS)
    for task in tasks:
        found = read_cases(folder / ("both.jsonl" if task == "few" else f"{task}.jsonl"))
        found = found[: 5 if task == "few" else count]
        began = time.perf_counter()
        own = {} if task == "knowledge" else {"constrained": CONSTRAINED}
        settings = config.settings.model_copy(
            update={"bakeoff": config.settings.bakeoff.model_copy(update={"arms": own})}
        )
        card = bakeoff(config, found, arms(settings, adapter=adapter), source=task)
        (folder / f"{task}.html").write_text(page(card), encoding="utf-8")
        _told(task, card, time.perf_counter() - began)


def _told(task: str, card: Scorecard, seconds: float) -> None:
    print(f"\n{task}: {card.total} cases × {len(card.arms)} arms, {seconds:,.0f} s")
    rows = (QUALITY, "answer_correctness", "format_validity", "hallucination_rate", "latency_total_p50_ms")
    for name in rows:
        values = telling.cells(name, card.arms)
        if values is not None:
            told = "  ".join(f"{arm.name} {value}" for arm, value in zip(card.arms, values, strict=True))
            print(f"  {telling.LABELS[name]}: {told}")
    print(f"  front: {', '.join(arm.name for arm in card.arms if arm.on_front)}")
    for arm in card.arms:
        print(f"  {arm.name}: {'; '.join(telling.faults(arm))}")
    for line in telling.duels(card):
        print(f"  {line}")
    for name, differences in card.differences.items():
        for one in differences:
            if one.name in ("answer_correctness", "format_validity"):
                print(f"  {name} against {card.against}: {telling.difference(one)}: {one.verdict}")
    print(f"  {telling.headline(card)}. {card.conclusion.summary} {' '.join(telling.established(card))}")


def power(rounds: int) -> None:
    """Conclusions over simulated arms whose true quality is known: how often they are right, wrong, open."""
    draw = random.Random(SEED)
    chosen = arms(Settings(), adapter="a.gguf")
    for label, truth, right in (
        ("all arms alike", (0.6, 0.6, 0.6, 0.6), {"base"}),
        ("retrieval matters", (0.2, 0.7, 0.2, 0.7), {"rag"}),
        ("form matters", (0.1, 0.1, 0.85, 0.85), {"tuned"}),
        ("both matter", (0.05, 0.3, 0.3, 0.8), {"hybrid"}),
    ):
        for n in (5, 20, 100, 400, 1600):
            outcomes: Counter[str] = Counter()
            for _ in range(rounds):
                hard = [draw.random() for _ in range(n)]
                made = {
                    arm.name: _drawn([_passes(draw, one, share) for one in hard])
                    for arm, share in zip(chosen, truth, strict=True)
                }
                found = conclude(chosen, made, margin=0.05).recommended
                outcomes["open" if found is None else "right" if found in right else "wrong"] += 1
            shares = ", ".join(f"{name} {outcomes[name] / rounds:.3f}" for name in ("right", "open", "wrong"))
            print(f"{label:<20} {n:>4} cases: {shares}")


def _passes(draw: random.Random, hard: float, share: float) -> bool:
    """Whether an arm of this quality gets a case right; four in five times the case's hardness decides."""
    return (hard if draw.random() < 0.8 else draw.random()) < share


def _drawn(values: list[bool]) -> list[CaseResult]:
    return [
        CaseResult(
            case_id=str(number),
            question="?",
            trace_id=None,
            answer=None,
            abstained=None,
            evidence=(),
            scores={**unmeasured("-"), QUALITY: Score(value=float(value))},
            timings_ms={},
        )
        for number, value in enumerate(values)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    data = commands.add_parser("data")
    data.add_argument("folder", type=Path)
    running = commands.add_parser("run")
    running.add_argument("folder", type=Path)
    running.add_argument("--adapter")
    running.add_argument("--count", type=int, default=24)
    running.add_argument("--task", action="append", choices=["knowledge", "form", "both", "few"])
    simulated = commands.add_parser("power")
    simulated.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    if given.command == "data":
        write_data(given.folder)
    elif given.command == "power":
        power(given.rounds)
    else:
        run(given.folder, given.adapter, given.count, given.task or ["knowledge", "form", "both", "few"])


if __name__ == "__main__":
    main()
