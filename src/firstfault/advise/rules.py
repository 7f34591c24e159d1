"""The rules of the advice: `rules.toml` in; questions, weighed rules and risks out, checked when read."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from firstfault.errors import InputError, did_you_mean

SHIPPED = Path(__file__).with_name("rules.toml")

Side = Literal["retrieval", "tuning"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Band(_Table):
    """A range of numbers that count as one answer."""

    name: str
    below: float | None = None
    """Exclusive upper end; None = everything above the band before."""


class Question(_Table):
    """Something that matters for the choice."""

    key: str
    ask: str
    options: dict[str, str] = Field(default_factory=dict)
    """Answer → what it means; empty where a number is asked for."""
    bands: tuple[Band, ...] = ()
    most: float = float("inf")
    """The largest number that is an answer."""
    worse_only: bool = False
    """Whether a measurement counts only where it is worse than the answer: later among the options."""

    def values(self) -> tuple[str, ...]:
        """Every answer that a rule can ask for: options, or bands of numbers."""
        return tuple(self.options) or tuple(band.name for band in self.bands)

    def option(self, value: str | float) -> str:
        """The option or the band of an answer.

        Raises:
            InputError: it is none of the options, or no number where one is asked for.
        """
        if self.options:
            if value in self.options:
                return str(value)
            raise InputError(
                f"{self.key} = {value!r} is no answer to: {self.ask}",
                hint=f"Answer one of: {', '.join(self.options)}.",
            )
        number = self.number(value)
        return next(band.name for band in self.bands if band.below is None or number < band.below)

    def number(self, value: str | float) -> float:
        """An answer as a number, from 0 to the largest that makes sense.

        Raises:
            InputError: it is none.
        """
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= self.most or number == float("inf"):
            limit = f"from 0 to {self.most:g}" if self.most < float("inf") else "0 or more"
            raise InputError(
                f"{self.key} = {value!r} is no answer to: {self.ask}",
                hint=f"Answer with a number, {limit}.",
            )
        return number


When = Mapping[str, tuple[str, ...]]
"""Question → the answers of which one must have been given; all questions must agree."""


class Rule(_Table):
    """What certain answers mean for either side."""

    when: dict[str, tuple[str, ...]]
    text: str
    retrieval: int = 0
    tuning: int = 0
    blocks: Side | None = None


class Risk(_Table):
    """What can go wrong with a side, by causes of the playbook."""

    side: Literal["retrieval", "tuning", "both", "any"]
    when: dict[str, tuple[str, ...]]
    causes: tuple[str, ...]
    text: str


class Limits(_Table):
    """Where measurements turn into answers; explained in `rules.toml`."""

    initial_hours: float
    least_days: float
    settled_days: float
    weekly: float
    monthly: float
    least_requests: int
    mixed_documents: float
    poor_documents: float
    format_often: float
    mixed_examples: float
    poor_examples: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything that advice is derived from."""

    questions: Mapping[str, Question]
    rules: tuple[Rule, ...]
    risks: tuple[Risk, ...]
    needed: Mapping[str, int]
    """Side → the weight from which on it is wanted."""
    measured: Limits

    def question(self, key: str) -> Question:
        """The question with a key.

        Raises:
            InputError: there is none.
        """
        if key not in self.questions:
            known = f"Known: {', '.join(self.questions)}."
            raise InputError(
                f"Nothing is asked by the name '{key}'.", hint=did_you_mean(key, self.questions, known)
            )
        return self.questions[key]


@cache
def shipped() -> Rules:
    """The rules that come with the package."""
    tables = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    questions = [Question.model_validate(table) for table in tables["question"]]
    return Rules(
        questions={question.key: question for question in questions},
        rules=tuple(Rule.model_validate(table) for table in tables["rule"]),
        risks=tuple(Risk.model_validate(table) for table in tables["risk"]),
        needed=tables["needed"],
        measured=Limits.model_validate(tables["measured"]),
    )


def holds(when: When, options: Mapping[str, str]) -> bool:
    """Whether every question that `when` names was answered with one of its answers."""
    return all(options.get(key) in values for key, values in when.items())
