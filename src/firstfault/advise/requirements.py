"""What matters for the choice, and how it is known: answers and measurements in, facts out."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from firstfault.advise.rules import Rules
from firstfault.errors import InputError

Origin = Literal["answer", "measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One answer to one question."""

    key: str
    """Of the question."""
    option: str
    """The option, or the band that the number falls into."""
    value: str | float
    """As it was answered or measured."""
    origin: Origin
    detail: str
    """Where it comes from: a flag, a file, or what was measured."""
    overrules: str | None = None
    """The answer that a measurement replaced, where they differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found about a question in the home or in a file of examples."""

    key: str
    value: str | float | None
    """None when it could not be measured; `detail` says why."""
    detail: str


def read_requirements(path: Path) -> dict[str, str | float]:
    """The answers of a TOML file: `key = value`, at the top or in a table `[advise]`.

    Raises:
        InputError: the file is missing or malformed.
    """
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}.", hint="Correct that line.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", hint="Check the path.") from error
    table = table.get("advise", table)
    for key, value in table.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InputError(f"{path}: {key} = {value!r} is no answer.", hint="Write text or a number.")
    return table


def facts(
    rules: Rules, answers: Mapping[str, tuple[str | float, str]], measured: Iterable[Measured] = ()
) -> dict[str, Fact]:
    """One fact a question that is answered or measured, in the order of the questions.

    `answers` are key → (value, where it was said). What was measured takes the place of what was said.

    Raises:
        InputError: an answer fits no question.
    """
    found: dict[str, Fact] = {}
    for key, (value, place) in answers.items():
        question = rules.question(key)
        kept = value if question.options else question.number(value)
        option = question.option(value)
        found[key] = Fact(key=key, option=option, value=kept, origin="answer", detail=place)
    for one in measured:
        if one.value is None:
            continue
        question = rules.question(one.key)
        option = question.option(one.value)
        said = found.get(one.key)
        values = question.values()
        if question.worse_only and said and values.index(option) <= values.index(said.option):
            continue
        found[one.key] = Fact(
            key=one.key,
            option=option,
            value=one.value,
            origin="measured",
            detail=one.detail,
            overrules=str(said.value) if said is not None and said.option != option else None,
        )
    return {key: found[key] for key in rules.questions if key in found}
