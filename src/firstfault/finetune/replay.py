"""Replay: a base model in; general examples that keep it what it is, in its own words, out.

The answers are the base model's own (self-distillation), so training on them asks for no change. They are
generated once per base model and kept in the home. None of them is an item of the ability battery.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from firstfault.collection.adapters import FOLDER
from firstfault.finetune.base import Base
from firstfault.finetune.data import Row, read_dataset, record
from firstfault.types import Message

LONGEST = 64
"""Tokens of an answer."""

TOPICS = (
    "a lighthouse",
    "learning to swim",
    "the history of chess",
    "growing tomatoes",
    "a rainy afternoon",
    "how a bicycle stays upright",
    "saving money",
    "the seasons",
    "a lost umbrella",
    "working in a team",
    "volcanoes",
    "a good night's sleep",
    "paper boats",
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
    file = home / FOLDER / "replay" / f"{base.digest or 'base'}.jsonl"
    if not file.exists():
        rows = list(_answered(base, progress))
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".new")
        lines = [json.dumps(record(row), ensure_ascii=False) for row in rows]
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        temporary.replace(file)
    return read_dataset(file).rows


def _answered(base: Base, progress: Callable[[int, int], None] | None) -> Iterator[Row]:
    from firstfault.finetune.generate import Writer

    asked = list(questions())
    with Writer(base) as writer:
        for number, question in enumerate(asked):
            turns = (Message(role="user", content=question),)
            written = writer.write(turns, max_tokens=LONGEST)
            if written.strip():
                answer = Message(role="assistant", content=written.strip())
                yield Row(place=f"replay:{number}", messages=(*turns, answer))
            if progress:
                progress(number + 1, len(asked))
