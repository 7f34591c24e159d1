"""Training data: a JSONL file in any of the usual layouts in, conversations out.

Chat JSONL (`{"messages": [{"role", "content"}, ...]}`) is canonical; prompt and completion, Alpaca and
ShareGPT are converted. What a row has beside its conversation stays with it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firstfault.errors import InputError
from firstfault.files import read_text, write_rows
from firstfault.types import Message

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}
"""What layouts call the speakers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One training example."""

    place: str
    """`file:line`."""
    messages: tuple[Message, ...]
    """Ends with the assistant turn that is learnt. That turn alone is plain text, which only replay holds."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Everything else of the row, e.g. `group` or `source`."""

    @property
    def prompt(self) -> str:
        """Every turn before the last, as one text."""
        return "\n".join(message.content for message in self.messages[:-1])

    @property
    def question(self) -> str:
        """The last user turn."""
        return next((m.content for m in reversed(self.messages[:-1]) if m.role == "user"), "")

    @property
    def target(self) -> str:
        """What the model is to write."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A line that no layout fits."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A file of examples."""

    path: Path
    rows: tuple[Row, ...]
    unreadable: tuple[Unreadable, ...]
    layouts: Mapping[str, int]
    """Layout → rows that had it."""

    @property
    def digest(self) -> str:
        """SHA-256 over the conversations, whatever layout they came in; equal digests teach the same."""
        return digest(self.rows)


def digest(rows: Iterable[Row]) -> str:
    """SHA-256 over conversations in order, hex."""
    made = hashlib.sha256()
    for row in rows:
        made.update(json.dumps([[m.role, m.content] for m in row.messages]).encode())
    return made.hexdigest()


def read_dataset(path: Path, *, plain: bool = False) -> Dataset:
    """The examples of a JSONL file (`.jsonl`, `.jsonl.gz`) or of a JSON list.

    Lines that fit no layout are kept with a reason. With `plain`, `{"text": …}` is a layout as well.

    Raises:
        InputError: the file is missing, not UTF-8, or holds no line at all.
    """
    rows: list[Row] = []
    unreadable: list[Unreadable] = []
    layouts: dict[str, int] = {}
    for place, text in _records(path):
        try:
            record = json.loads(text) if isinstance(text, str) else text
            layout, row = convert(record, place, plain=plain)
        except (ValueError, RecursionError) as error:
            unreadable.append(Unreadable(place=place, reason=str(error)))
            continue
        layouts[layout] = layouts.get(layout, 0) + 1
        rows.append(row)
    if not rows and not unreadable:
        raise InputError(f"{path} holds no examples.", hint="Give JSONL, one example a line.")
    return Dataset(path=path, rows=tuple(rows), unreadable=tuple(unreadable), layouts=layouts)


def write_dataset(rows: Iterable[Row], path: Path) -> int:
    """Write conversations as chat JSONL; returns how many.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.", hint="Check the path.") from error
    return write_rows(path, map(record, rows))


def record(row: Row) -> dict[str, Any]:
    """A row as a line of chat JSONL, or of plain text."""
    if len(row.messages) == 1:
        return {"text": row.target, **row.extra}
    return {"messages": [{"role": m.role, "content": m.content} for m in row.messages], **row.extra}


def convert(value: Any, place: str = "", *, plain: bool = False) -> tuple[str, Row]:
    """The layout of a record, and the conversation that it holds.

    Raises:
        ValueError: no layout fits, or the conversation cannot be learnt from; the text says why.
    """
    if not isinstance(value, dict):
        raise ValueError("the line is not a JSON object")  # noqa: TRY004 - a reason, collected with others
    if plain and isinstance(value.get("text"), str):
        text = Message(role="assistant", content=value["text"])
        extra = {name: kept for name, kept in value.items() if name != "text"}
        return "text", Row(place=place, messages=(text,), extra=extra)
    for name, keys, read in LAYOUTS:
        if set(keys) <= value.keys():
            used, turns = read(value)
            row = Row(place=place, messages=turns, extra={k: v for k, v in value.items() if k not in used})
            _require_learnable(turns)
            return name, row
    tried = "; ".join(f"{name} ({', '.join(keys)})" for name, keys, _ in LAYOUTS)
    raise ValueError(f"no layout fits the keys {', '.join(value) or 'of an empty object'}; tried: {tried}")


def _require_learnable(turns: tuple[Message, ...]) -> None:
    if not turns or turns[-1].role != "assistant":
        raise ValueError("the conversation does not end with an assistant turn")
    if all(turn.role != "user" for turn in turns):
        raise ValueError("the conversation has no user turn")
    if any(turn.role == "system" for turn in turns[1:]):
        raise ValueError("a system turn stands behind other turns")


def _chat(value: Mapping[str, Any], *, key: str, role: str, content: str) -> tuple[Message, ...]:
    turns = value[key]
    if not isinstance(turns, list):
        raise ValueError(f"{key} is not a list")  # noqa: TRY004
    made = []
    for number, turn in enumerate(turns):
        if not (isinstance(turn, dict) and isinstance(turn.get(content), str)):
            raise ValueError(f"{key}[{number}] has no text under {content}")  # noqa: TRY004
        speaker: Any = ROLES.get(str(turn.get(role)))
        if speaker is None:
            raise ValueError(f"{key}[{number}] has an unknown {role}: {turn.get(role)!r}")
        made.append(Message(role=speaker, content=turn[content]))
    return tuple(made)


def _messages(value: Mapping[str, Any]) -> "Converted":
    return {"messages"}, _chat(value, key="messages", role="role", content="content")


def _sharegpt(value: Mapping[str, Any]) -> "Converted":
    return {"conversations"}, _chat(value, key="conversations", role="from", content="value")


def _alpaca(value: Mapping[str, Any]) -> "Converted":
    instruction, given = _text(value, "instruction"), value.get("input") or ""
    question = f"{instruction}\n\n{given}" if given else instruction
    return {"instruction", "input", "output", "system"}, _turns(value, question, _text(value, "output"))


def _pair(asked: str, said: str) -> "Callable[[Mapping[str, Any]], Converted]":
    def read(value: Mapping[str, Any]) -> "Converted":
        return {asked, said, "system"}, _turns(value, _text(value, asked), _text(value, said))

    return read


def _turns(value: Mapping[str, Any], question: str, answer: str) -> tuple[Message, ...]:
    system = value.get("system")
    first = (Message(role="system", content=system),) if isinstance(system, str) and system else ()
    return (*first, Message(role="user", content=question), Message(role="assistant", content=answer))


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value[key]
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


Converted = tuple[set[str], tuple[Message, ...]]
"""The keys that were used, and the conversation."""

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("input", "output"),
    ("query", "response"),
)

LAYOUTS: tuple[tuple[str, tuple[str, ...], Callable[[Mapping[str, Any]], Converted]], ...] = (
    ("messages", ("messages",), _messages),
    ("sharegpt", ("conversations",), _sharegpt),
    ("alpaca", ("instruction", "output"), _alpaca),
    *((f"{asked}/{said}", (asked, said), _pair(asked, said)) for asked, said in PAIRS),
)
"""Name, keys that show it, reader; the first that fits counts."""


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """`file:line` and the text of each line; of a JSON list the elements."""
    text = read_text(path)
    if text.lstrip().startswith("["):
        try:
            values = json.loads(text)
        except ValueError as error:
            raise InputError(f"{path} is no JSON list: {error}.", hint="Give JSONL instead.") from error
        yield from ((f"{path}:{number}", value) for number, value in enumerate(values, start=1))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", line
