"""Replay: a base model in; general examples that keep it what it is, in its own words, out.

The answers are the base model's own (self-distillation), so training on them asks for no change. They are
generated once per base model and kept in the home. None of them is an item of the ability battery.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

from firstfault.collection.adapters import FOLDER
from firstfault.finetune.base import Base
from firstfault.finetune.data import Row, read_dataset, record
from firstfault.finetune.generate import Writer, base_writer
from firstfault.types import Message

LONGEST = 48
"""Tokens of an answer."""

TOPICS = (
    "a lighthouse",
    "learning to swim",
    "growing tomatoes",
    "a rainy afternoon",
    "saving money",
    "a lost umbrella",
    "a good night's sleep",
    "public transport",
)
FORMS = (
    "Write one sentence about {topic}.",
    "Explain {topic} to a child in two sentences.",
    "Give me three short tips about {topic}, as a list.",
    "Is {topic} worth writing about? Answer yes or no, then say why.",
)
QUESTIONS = (
    "What is 12 plus 7?",
    "What is 20 minus 6?",
    "Name two animals that live in the sea.",
    "What is the capital of Norway?",
    "Translate 'good morning' into French.",
    "Write the word 'harbour' backwards.",
    "Which is heavier, a feather or a brick?",
    "Repeat after me: the quick brown fox.",
)


def questions() -> Iterator[str]:
    """What the base model is asked."""
    for form in FORMS:
        yield from (form.format(topic=topic) for topic in TOPICS)
    yield from QUESTIONS


def replay_rows(
    base: Base, home: Path, *, progress: Callable[[int, int], None] | None = None
) -> tuple[Row, ...]:
    """General questions with the base model's own answers; generated at the first call."""
    known_as = base.digest or hashlib.sha256(base.folder.encode()).hexdigest()
    file = home / FOLDER / "replay" / f"{known_as}.jsonl"
    asked = list(questions())
    with _opened(file) as answers:
        known = {row.question: row for row in read_dataset(file).rows} if file.stat().st_size else {}
        missing = [question for question in asked if question not in known]
        with base_writer(base) if missing else nullcontext() as writer:
            for question in missing:
                assert writer is not None
                row = _answered(writer, question)
                answers.write(json.dumps(record(row), ensure_ascii=False) + "\n")
                answers.flush()
                known[question] = row
                if progress:
                    progress(len(known), len(asked))
    return tuple(row for question in asked if (row := known[question]).target.strip())


def _opened(file: Path) -> TextIO:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.open("a", encoding="utf-8")


def _answered(writer: Writer, question: str) -> Row:
    turns = (Message(role="user", content=question),)
    answer = Message(role="assistant", content=writer.write(turns, max_tokens=LONGEST).strip())
    return Row(place="replay", messages=(*turns, answer))
