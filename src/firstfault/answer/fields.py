"""Structured answers, verified: a valid value and the context in, an answer with a verdict a field out.

Each field that states something is split, held against every passage and cited like free text. Marks such as
`[2]` in a text are checked and taken out. The policy never makes a value that breaks the schema.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from firstfault.answer.cite import MARK, Checked, Policy, check, cite
from firstfault.answer.prompt import ABSTENTION
from firstfault.structured import Schema
from firstfault.structured.evidence import MOST_FIELDS, Field, Path, fields
from firstfault.structured.pointer import pointer
from firstfault.trace import OpenSpan
from firstfault.types import Answer, Citation, Claim, Context, Support
from firstfault.verify import Verifier

WHOLE_WORDS = 8
"""A field of at most so many words is verified whole: a name is no two sentences because of a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldAnswer:
    """An answer with the value that it shows."""

    answer: Answer
    value: Any
    """None when the policy withheld it."""


def verify_fields(
    value: Any,
    schema: Schema,
    context: Context,
    *,
    verifier: Verifier,
    span: OpenSpan,
    policy: Policy,
    raw: str,
) -> FieldAnswer:
    """Verify every field that states something, apply the policy, and write the answer."""
    stating = [field for field in fields(value, schema) if field.states]
    if len(stating) > MOST_FIELDS:
        span.event("fields_not_verified", number=len(stating) - MOST_FIELDS, limit=MOST_FIELDS)
    checked = {field.path: _check(field, context, verifier, span) for field in stating[:MOST_FIELDS]}
    value = _without_marks(value, stating, schema, span)
    failing = [path for path, found in checked.items() if any(_fails(one) for one in found)]
    removed: list[Claim] = []
    if policy == "abstain" and failing:
        gone = tuple(_claim(path, one) for path, found in checked.items() for one in found)
        answer = Answer(text=ABSTENTION, abstained=True, claims=(), citations=(), removed=gone, raw=raw)
        return FieldAnswer(answer=answer, value=None)
    if policy == "strip":
        for path in reversed(failing):  # from the end: positions in lists before it stay
            outcome = _stripped(value, path, checked[path], schema)
            if outcome is None:
                span.event("unsupported_field_kept", path=pointer(path))
                continue
            value, kept = outcome
            removed += [_claim(path, one) for one in checked[path] if _fails(one)]
            checked = _moved(checked, path, kept)
    return FieldAnswer(answer=_write(value, checked, tuple(removed), raw), value=value)


def _check(field: Field, context: Context, verifier: Verifier, span: OpenSpan) -> list[Checked]:
    """The sentences of a field, or the field as one claim, each with its verdict and sources."""
    if isinstance(field.value, bool):
        reason = f"{json.dumps(field.value)} is nothing that a passage could say word for word"
        support = Support(name="support", status="unknown", reason=reason, label="unknown", score=None)
        return [Checked(start=0, end=0, text=json.dumps(field.value), support=support)]
    text = str(field.value)
    whole = bool(field.marked) and len(text.split()) <= WHOLE_WORDS
    return check(
        text,
        context,
        verifier=verifier,
        span=span,
        spans=[(0, len(text))] if whole else None,
        marks_asked=False,
    )


def _fails(one: Checked) -> bool:
    return one.support.label == "unsupported"


def _claim(path: Path, one: Checked) -> Claim:
    return Claim(
        text=one.text, start=one.start, end=one.end, citations=(), verdict=one.support, path=pointer(path)
    )


def _without_marks(value: Any, stating: list[Field], schema: Schema, span: OpenSpan) -> Any:
    """Texts without the citation marks that were checked, as far as the schema can do without them."""
    for field in stating:
        if not isinstance(field.value, str) or not MARK.search(field.value):
            continue
        text = re.sub(r"\s+([.!?])", r"\1", MARK.sub("", field.value)).strip()
        changed = _with(value, field.path, text)
        if text and schema.is_valid(changed):
            value = changed
            span.event("citation_marks_taken_out", path=field.pointer)
    return value


def _stripped(
    value: Any, path: Path, found: list[Checked], schema: Schema
) -> tuple[Any, list[Checked] | None] | None:
    """The value without what is not supported at a path, if the schema allows one; and what is left there."""
    kept = [one for one in found if not _fails(one)]
    if kept:
        changed = _with(value, path, " ".join(one.text for one in kept))
        if schema.is_valid(changed):
            return changed, kept
    changed = _with(value, path, None)
    if schema.is_valid(changed):
        return changed, []
    if path:
        changed = _removed(value, path)
        if schema.is_valid(changed):
            return changed, None
    return None


def _moved(
    checked: Mapping[Path, list[Checked]], path: Path, kept: list[Checked] | None
) -> dict[Path, list[Checked]]:
    """What was checked, without a path; items of a list that stood behind a removed one move up."""
    made: dict[Path, list[Checked]] = {}
    for other, found in checked.items():
        if other == path:
            if kept:
                made[other] = kept
            continue
        made[_place(other, path) if kept is None else other] = found
    return made


def _place(path: Path, gone: Path) -> Path:
    """Where a path leads after another one was taken out: items behind it in the same list move up."""
    depth = len(gone) - 1
    last = gone[depth]
    if path[:depth] != gone[:depth] or len(path) <= depth or not isinstance(last, int):
        return path
    position = path[depth]
    moves = isinstance(position, int) and position > last
    return (*path[:depth], int(position) - 1, *path[depth + 1 :]) if moves else path


def _write(value: Any, checked: Mapping[Path, list[Checked]], removed: tuple[Claim, ...], raw: str) -> Answer:
    """The value as JSON text, its claims with their places in it, and the numbered citations."""
    text, places = written(value)
    citations: dict[tuple[str, int, int, str], Citation] = {}
    claims: list[Claim] = []
    for path, found in checked.items():
        start, end = places[path]
        for one in found:
            numbers = tuple(cite(passage, support, citations) for passage, support in one.sources)
            claims.append(replace(_claim(path, one), start=start, end=end, citations=numbers))
    return Answer(
        text=text,
        abstained=False,
        claims=tuple(claims),
        citations=tuple(citations.values()),
        removed=removed,
        raw=raw,
    )


def written(value: Any) -> tuple[str, dict[Path, tuple[int, int]]]:
    """A value as indented JSON, and where each scalar stands in the text."""
    pieces: list[str] = []
    places: dict[Path, tuple[int, int]] = {}
    length = 0

    def put(piece: str) -> None:
        nonlocal length
        pieces.append(piece)
        length += len(piece)

    def walk(one: Any, path: Path, indent: str) -> None:
        if isinstance(one, dict | list) and one:
            named = one.items() if isinstance(one, dict) else enumerate(one)
            put("{" if isinstance(one, dict) else "[")
            for position, (key, child) in enumerate(named):
                put(f"{',' if position else ''}\n{indent}  ")
                if isinstance(key, str):
                    put(f"{json.dumps(key, ensure_ascii=False)}: ")
                walk(child, (*path, key), f"{indent}  ")
            put(f"\n{indent}{'}' if isinstance(one, dict) else ']'}")
            return
        start = length
        put(json.dumps(one, ensure_ascii=False))
        places[path] = (start, length)

    walk(value, (), "")
    return "".join(pieces), places


def _with(value: Any, path: Path, other: Any) -> Any:
    """A copy of the value with another one at a path."""
    if not path:
        return other
    head, *rest = path
    made: Any = dict(value) if isinstance(value, dict) else list(value)
    made[head] = _with(made[head], tuple(rest), other)
    return made


def _removed(value: Any, path: Path) -> Any:
    """A copy of the value without what stands at a path."""
    head, *rest = path
    made: Any = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        made[head] = _removed(made[head], tuple(rest))
    else:
        del made[head]
    return made
