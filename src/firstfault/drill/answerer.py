"""A healthy generator for drills without a language model: a chat model that knows where the answer stands.

In: the messages of a prompt, and the cases with their gold evidence. Out: what a careful model would say.

It is an oracle, and no measure of any model: it knows the gold quotes. But it answers from the prompt alone.
It reads the passages in their order and, for each gold quote, repeats the first sentence that says the same
thing, be it the right one or a wrong version of it, followed by the number of the passage. Where none does,
it abstains in the words it was asked to use. Two weaknesses that language models have, it has too, because
the faults of packing work through them:

- of more than `READS` passages it overlooks those in the middle (lost in the middle, Liu et al. 2023), and
  answers from what it did see;
- it obeys an instruction of the form `reply only with "..."` wherever it stands.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstfault.answer.prompt import ABSTENTION
from firstfault.evaluate.evidence import find
from firstfault.types import Case
from firstfault.verify import split_claims

READS = 10
"""Passages that are read however they are ordered."""
READS_FIRST, READS_LAST = 3, 2
"""Of more passages than that, these many at the beginning and at the end are read."""
MOST_SENTENCES = 2
SAYS_THE_SAME = 0.6
"""Share of a quote's words that a sentence must hold to be taken for a version of it."""

_PASSAGE = re.compile(r'<passage number="(\d+)" title="(.*?)">\n(.*?)\n</passage>', re.DOTALL)
_QUESTION = re.compile(r"(?:\A|\n)Question: (.*)\Z", re.DOTALL)
_ORDER = re.compile(r"reply only with [\"“]([^\"”\n]+)[\"”]", re.IGNORECASE)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a chat model said."""

    text: str
    finish_reason: str = "stop"


class Answerer:
    """Answers the prompts of `ask` for the cases that it knows."""

    model = "drill-answerer"

    def __init__(self, cases: Iterable[Case]) -> None:
        self._cases: Mapping[str, Case] = {_key(case.question): case for case in cases}

    def chat(self, request: Mapping[str, Any]) -> Reply:
        """The reply to a request of the chat completions API."""
        asked = question_of(request["messages"])
        prompt = next((said for said in _said_by_user(request["messages"]) if _PASSAGE.search(said)), "")
        limit = int(request.get("max_tokens") or request.get("max_completion_tokens") or 256)
        case = self._cases.get(_key(asked))
        passages = [(int(number), text) for number, _, text in _PASSAGE.findall(prompt)]
        order = next((found[1] for _, text in passages if (found := _ORDER.search(text))), None)
        said = [(1, order)] if order is not None else _answers(case, passages) if case else []
        schema = case.schema if case and case.schema else _schema(request)
        if schema is not None and (said or case is None):
            return _within(json.dumps(fill(schema, said)), limit)
        if order is not None:
            return _within(order, limit)
        return _within(" ".join(f"{text} [{number}]" for number, text in said) or ABSTENTION, limit)

    def models(self) -> list[str]:
        """The one model that is served."""
        return [self.model]


def fill(schema: Mapping[str, Any], said: Sequence[tuple[int, str]]) -> Any:
    """A value that satisfies a plain JSON schema, its texts being the answer."""
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if "enum" in schema:
        value = schema["enum"][0]
    elif kind == "object":
        value = {name: fill(part, said) for name, part in schema.get("properties", {}).items()}
    elif kind == "array":
        items = schema.get("items", {})
        value = [fill(items, [one]) for one in said] or [fill(items, said)] * schema.get("minItems", 0)
    elif kind in ("integer", "number"):
        value = said[0][0] if said else schema.get("minimum", 0)
    elif kind == "string":
        value = " ".join(f"{text} [{number}]" for number, text in said) or ABSTENTION
    else:
        value = bool(said) if kind == "boolean" else None
    return value


def _answers(case: Case, passages: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Passage number and sentence, for each gold quote that a passage holds or seems to hold."""
    if case.answerable is False:
        return []
    seen = passages
    if len(passages) > READS:
        seen = [*passages[:READS_FIRST], *passages[-READS_LAST:]]
    said: list[tuple[int, str]] = []
    for unit in case.evidence:
        quote = unit.quote or case.answer
        found = next((hit for n, text in seen if (hit := _version(quote, n, text))), None) if quote else None
        if found and found not in said:
            said.append(found)
    if not said and len(seen) < len(passages):
        said = [_nearest(case.question, seen)]
    return said[:MOST_SENTENCES]


def _version(quote: str, number: int, text: str) -> tuple[int, str] | None:
    """The sentence of a passage that says what the quote says, word for word or nearly."""
    spans = split_claims(text)
    for start, end in find(quote, text)[:1]:
        around = [span for span in spans if span[0] < end and start < span[1]] or [(start, end)]
        return number, " ".join(text[around[0][0] : around[-1][1]].split())
    wanted = set(_WORD.findall(quote.lower()))
    sentences = [" ".join(text[start:end].split()) for start, end in spans]
    shares = [len(wanted & set(_WORD.findall(one.lower()))) / max(1, len(wanted)) for one in sentences]
    best = max(range(len(shares)), key=lambda i: (shares[i], -i), default=None)
    if best is None or shares[best] < SAYS_THE_SAME:
        return None
    return number, sentences[best]


def _nearest(question: str, passages: Sequence[tuple[int, str]]) -> tuple[int, str]:
    """The sentence that shares the most words with the question."""
    asked = set(_WORD.findall(question.lower()))
    found = [
        (len(asked & set(_WORD.findall(text[start:end].lower()))), number, " ".join(text[start:end].split()))
        for number, text in passages
        for start, end in split_claims(text)
    ]
    _, number, sentence = max(found, key=lambda one: one[0])
    return number, sentence


def question_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The question of a prompt, also when a correction follows it; in prompts of another make, the last
    paragraph of what the user says.
    """
    said = _said_by_user(messages)
    found = next((match for text in said if (match := _QUESTION.search(text))), None)
    return (found[1] if found else said[-1].rsplit("\n\n", 1)[-1] if said else "").strip()


def _said_by_user(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(message.get("content", "")) for message in messages if message.get("role") == "user"]


def _schema(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON schema that the reply was asked to satisfy."""
    wanted = request.get("response_format") or {}
    schema: Mapping[str, Any] | None = (wanted.get("json_schema") or {}).get("schema")
    return schema


def _within(text: str, limit: int) -> Reply:
    """The text, cut after as many tokens as were allowed; four tokens are taken for three words."""
    words = text.split(" ")
    most = max(1, limit * 3 // 4)
    if len(words) <= most:
        return Reply(text=text)
    return Reply(text=" ".join(words[:most]), finish_reason="length")


def _key(question: str) -> str:
    return " ".join(_WORD.findall(question.lower()))
