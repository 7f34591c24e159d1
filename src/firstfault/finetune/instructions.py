"""Instruction items: chat prompts whose answers a program can check; part of the ability battery.

They are answered through the runtime that serves, since what suffers first from tuning is the chat itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

AXIS = "instructions"
MAX_TOKENS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """A prompt, and what its answer must be like."""

    id: str
    prompt: str
    holds: Callable[[str], bool]


def instructions() -> Iterator[Instruction]:
    """Every item, in order."""
    for number, (prompt, holds) in enumerate(_ITEMS):
        yield Instruction(id=f"instruction-{number}", prompt=prompt, holds=holds)


def _mentions(*words: str) -> Callable[[str], bool]:
    """Plain text that names one of the words: an answer in JSON does not count."""
    return lambda said: _plain(said) and any(word in said.lower() for word in words)


def _plain(said: str) -> bool:
    return bool(said.strip()) and said.strip()[0] not in "{["


def _sentence(said: str) -> bool:
    return _plain(said) and len(said.split()) >= 5


def _about(word: str) -> Callable[[str], bool]:
    return lambda said: _sentence(said) and word in said.lower()


def _list(said: str) -> bool:
    lines = [line for line in said.splitlines() if line.strip()]
    return _plain(said) and (len(lines) >= 3 or said.count(",") >= 2)


_ITEMS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("What is the capital of France?", _mentions("paris")),
    ("What is the capital of Italy?", _mentions("rome")),
    ("What colour is grass?", _mentions("green")),
    ("How many days are in a week?", _mentions("seven", "7")),
    ("How many legs does a spider have?", _mentions("eight", "8")),
    ("Which planet do we live on?", _mentions("earth")),
    ("What do bees make?", _mentions("honey")),
    ("What is 2 plus 2?", _mentions("4", "four")),
    ("Who wrote Romeo and Juliet?", _mentions("shakespeare")),
    ("What is frozen water called?", _mentions("ice")),
    ("Write one sentence about the sea.", _about("sea")),
    ("Write one sentence about a dog.", _about("dog")),
    ("Write one sentence about winter.", _about("winter")),
    ("Write one sentence about music.", _about("music")),
    ("Explain why people sleep.", _about("sleep")),
    ("Explain what a bridge is for.", _about("bridge")),
    ("Explain what rain is.", _about("rain")),
    ("Explain how plants grow.", _about("plant")),
    ("List three fruits.", _list),
    ("List three colours.", _list),
    ("List three animals.", _list),
    ("List four countries in Europe.", _list),
    ("Tell me a short story about a cat.", _about("cat")),
    ("Greet a new colleague in two sentences.", _sentence),
)
