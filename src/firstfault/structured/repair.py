"""Repair: a text that fails its schema in, the value that it plainly means out, or nothing.

Repair changes how a value is written, never what it says: quotes around a number go, a missing name is not
made up, and what was cut off is not completed.
"""

import copy
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from firstfault.structured.pointer import pointer
from firstfault.structured.read import Reading, read, without_value
from firstfault.structured.schema import Schema
from firstfault.types import FormatProblem

MOST_MENDS = 50
"""Values of one output that are mended."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a text is worth under a schema."""

    value: Any
    """None when nothing could be read."""
    problems: tuple[FormatProblem, ...]
    """What is wrong with the text as it stands; empty = plain JSON that satisfies the schema."""
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What repair made of a text."""

    value: Any
    text: str
    """The value as plain JSON."""
    problems: tuple[FormatProblem, ...]
    """What is still wrong with it; empty = it satisfies the schema."""
    mends: tuple[str, ...]
    """What was changed: `rule at /path`."""


def examine(text: str, schema: Schema) -> Examined:
    """Read a text and hold it against its schema; of several values in it the first that fits counts.

    A value of another type in the midst of prose, `[1]` where an object is asked for, is a part of the prose.
    """
    readings = read(text)
    judged = [(one, schema.problems(one.value) if one.whole and not one.doubtful else ()) for one in readings]
    fitting = [pair for pair in judged if pair[0].whole and not pair[0].doubtful and not pair[1]]
    reading, broken = (fitting or judged)[0]
    if _beside(reading, broken):
        reading, broken = without_value(text), ()
    return Examined(value=reading.value, problems=(*reading.problems, *broken), reading=reading)


def mend(text: str, schema: Schema) -> Mended | None:
    """The value that a text plainly means; None when it cannot be read, or reads in several ways."""
    readings = [one for one in read(text) if not one.doubtful]
    mended = [(one, _mended(one, schema)) for one in readings]
    made = [found for one, found in mended if not _beside(one, found.problems)]
    valid = {one.text: one for one in made if not one.problems}
    if len(valid) == 1:
        return next(iter(valid.values()))
    return made[0] if made and not valid else None


def _beside(reading: Reading, broken: Sequence[FormatProblem]) -> bool:
    """Whether a value is only a part of the prose around it: it is of another type than the schema's."""
    another = any(one.rule == "type" and not one.path for one in broken)
    return another and any(one.rule == "text_around" for one in reading.problems)


def _mended(reading: Reading, schema: Schema) -> Mended:
    mends = [f"{problem.rule} at {problem.path or 'the whole'}" for problem in reading.problems]
    value = reading.value
    problems = schema.problems(value)
    while problems and len(mends) < MOST_MENDS:
        step = _step(value, schema)
        if step is None:
            break
        value, name = step
        mends.append(name)
        problems = schema.problems(value)
    text = json.dumps(value, ensure_ascii=False)
    return Mended(value=value, text=text, problems=problems, mends=tuple(mends))


def _step(value: Any, schema: Schema) -> tuple[Any, str] | None:
    """The value with one error mended; None when none can be."""
    errors = list(schema.validator.iter_errors(value))
    for error in _leaves(errors):
        path = tuple(error.absolute_path)
        seen = _at(value, path)
        for other in _rewritten(seen, error.validator, error.validator_value):
            changed = _replaced(value, path, other)
            if len(list(schema.validator.iter_errors(changed))) < len(errors):
                return changed, f"{error.validator} at {pointer(path) or 'the whole'}"
        if seen is None and path and isinstance(path[-1], str) and error.validator in {"type", "enum"}:
            changed = _replaced(
                value, path[:-1], {k: v for k, v in _at(value, path[:-1]).items() if k != path[-1]}
            )
            if len(list(schema.validator.iter_errors(changed))) < len(errors):
                return changed, f"null at {pointer(path)}, left out"
    return None


def _leaves(errors: Sequence[Any]) -> Iterator[Any]:
    """Errors, and below alternatives the errors of each branch."""
    for error in errors:
        yield error
        if error.context:
            yield from _leaves(error.context)


def _rewritten(value: Any, rule: str, wanted: Any) -> Iterator[Any]:
    """Other ways to write a scalar that may be what the rule wants."""
    if rule in {"enum", "const"}:
        members = wanted if rule == "enum" else [wanted]
        same = [member for member in members if _word(member) == _word(value) != ""]
        if len(same) == 1:
            yield same[0]
    if rule != "type":
        return
    types = {wanted} if isinstance(wanted, str) else set(wanted)
    if isinstance(value, str):
        yield from _from_text(value.strip(), types)
    elif isinstance(value, bool):
        if "string" in types:
            yield "true" if value else "false"
    elif isinstance(value, int | float):
        if "integer" in types and isinstance(value, float) and value.is_integer():
            yield int(value)
        if "string" in types:
            yield json.dumps(value)


def _from_text(text: str, types: set[str]) -> Iterator[Any]:
    """What a text in quotes means as a value of one of these types."""
    try:
        value = json.loads(text.lower() if text.lower() in {"true", "false", "null"} else text)
    except (ValueError, RecursionError):
        return
    if isinstance(value, float) and not math.isfinite(value):
        return
    names = {
        bool: {"boolean"},
        type(None): {"null"},
        int: {"integer", "number"},
        float: {"integer", "number"} if isinstance(value, float) and value.is_integer() else {"number"},
        list: {"array"},
        dict: {"object"},
    }
    if types & names.get(type(value), set()):
        yield int(value) if isinstance(value, float) and "number" not in types else value


def _word(value: Any) -> str:
    """A scalar as a word, for members of an enumeration that differ in case or type only."""
    if isinstance(value, str):
        return value.strip().casefold()
    return json.dumps(value).casefold() if isinstance(value, bool | int | float) or value is None else ""


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _replaced(value: Any, path: Path, other: Any) -> Any:
    if not path:
        return other
    made = copy.deepcopy(value)
    parent = _at(made, path[:-1])
    parent[path[-1]] = other
    return made
