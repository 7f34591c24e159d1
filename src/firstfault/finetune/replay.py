"""Replay: a base model in; general examples that keep it what it is, in its own words, out.

The answers are the base model's own, and so is plain text that it goes on with from a few words (self-
distillation), so training on them asks for no change. They are generated once per base model and kept in the
home. None of them is an item of the ability battery.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

from firstfault.collection.adapters import FOLDER
from firstfault.finetune.base import Base, load_model, load_tokenizer
from firstfault.finetune.data import Row, read_dataset, record, write_dataset
from firstfault.finetune.extra import load
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


OPENINGS = (
    "The bridge across the river",
    "In the winter of that year,",
    "Most people who live near the coast",
    "The first thing she noticed was",
    "A battery stores energy by",
    "The committee met on Tuesday to",
    "When the train finally arrived,",
    "Bread is made from",
    "The museum holds a collection of",
    "He had never learned to",
    "Because the soil was dry,",
    "The new law requires that",
    "Birds migrate in order to",
    "At the end of the street there is",
    "Doctors recommend that",
    "The orchestra began to play",
    "According to the report,",
    "Iron is heated until",
    "My grandmother used to say that",
    "The price of grain",
    "Two ships left the harbour",
    "The software was written to",
    "Children under the age of ten",
    "Mountains form when",
)
"""Of plain text."""
LONGEST_TEXT = 72
"""Tokens of a plain text."""
SEED = 0


def questions() -> Iterator[str]:
    """What the base model is asked."""
    for form in FORMS:
        yield from (form.format(topic=topic) for topic in TOPICS)
    yield from QUESTIONS


def replay_rows(
    base: Base, home: Path, *, progress: Callable[[int, int], None] | None = None
) -> tuple[Row, ...]:
    """General questions with the base model's answers, and plain text of its own; made at the first call."""
    asked = list(questions())
    total = len(asked) + len(OPENINGS)

    def tell(done: int) -> None:
        if progress:
            progress(done, total)

    name = base.digest or hashlib.sha256(base.folder.encode()).hexdigest()
    answered = _answers(base, home / FOLDER / "replay" / f"{name}.jsonl", asked, tell)
    told = _texts(base, home / FOLDER / "replay" / f"{name}.text.jsonl", lambda n: tell(len(asked) + n))
    return (*answered, *told)


def _answers(base: Base, file: Path, asked: Sequence[str], tell: Callable[[int], None]) -> list[Row]:
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
                tell(len(known))
    return [row for question in asked if (row := known[question]).target.strip()]


def _texts(base: Base, file: Path, tell: Callable[[int], None]) -> list[Row]:
    """Plain text, drawn from the base model as it is: its own distribution, not only what is likeliest."""
    if file.exists():
        return list(read_dataset(file, plain=True).rows)
    torch, tokenizer, model = load("torch"), load_tokenizer(base), load_model(base).eval()
    rows = []
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        for number, opening in enumerate(OPENINGS, start=1):
            given = torch.tensor([tokenizer(opening, add_special_tokens=False)["input_ids"]])
            with torch.inference_mode():
                made = model.generate(
                    input_ids=given.to(model.device),
                    attention_mask=torch.ones_like(given).to(model.device),
                    max_new_tokens=LONGEST_TEXT - given.shape[1],
                    do_sample=True,
                    temperature=1.0,
                    top_k=0,
                    top_p=1.0,
                    pad_token_id=tokenizer.pad_token_id or 0,
                )
            text = tokenizer.decode(made[0], skip_special_tokens=True)
            rows.append(Row(place="replay", messages=(Message(role="assistant", content=text),)))
            tell(number)
    write_dataset(rows, file)
    return rows


def _opened(file: Path) -> TextIO:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.open("a", encoding="utf-8")


def _answered(writer: Writer, question: str) -> Row:
    turns = (Message(role="user", content=question),)
    answer = Message(role="assistant", content=writer.write(turns, max_tokens=LONGEST).strip())
    return Row(place="replay", messages=(*turns, answer))
