"""Candidates for missing edge cases: a schema, a value that is there and an edge case in, a valid value out.

A candidate is a valid value that was changed in one place, so it stays as real as the data. It is a proposal
for somebody who knows the task: only its form is certain.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from firstfault.structured.coverage import LONG, EdgeCase, observed, static
from firstfault.structured.evidence import applying, of_item, of_key
from firstfault.structured.schema import Schema

DEEPEST = 6
"""Levels of nesting of a made-up value."""

BEYOND_ASCII = "Zoë, 東京, Ω ≈ 3 €"
SPECIAL = 'He said: "C:\\temp"\nand left.'

FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:30:00Z",
    "time": "12:30:00Z",
    "duration": "P1DT2H",
    "email": "ada@example.org",
    "uri": "https://example.org/a",
    "uri-reference": "/a",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
"""A text for each format."""


class _NoSampleError(Exception):
    """No value can be made up, for instance for a pattern."""


def candidate(case: EdgeCase, schema: Schema, values: Sequence[Any]) -> Any:
    """A valid value that shows an edge case, made from one of the values or made up; None = there is none."""
    for base in (*values, *_made_up(schema)):
        for changed in _changes(base, (schema.document,), case.path.split("/")[1:], case.kind, schema):
            if schema.is_valid(changed) and case in observed(changed, schema):
                return changed
    return None


def sample(schema: Schema) -> Any:
    """A valid value with every property that the schema names; None when none can be made up."""
    return next((value for value in _made_up(schema) if schema.is_valid(value)), None)


def _made_up(schema: Schema) -> Iterator[Any]:
    for full in (True, False):
        try:
            yield _sample((schema.document,), schema, 0, full=full)
        except _NoSampleError:
            continue


def _changes(
    value: Any, schemas: tuple[Any, ...], path: list[str], kind: str, schema: Schema
) -> Iterator[Any]:
    """Copies of a value with the place at a path changed to show a kind."""
    node = list(applying(value, schemas, schema))
    if not path:
        yield from _shown(value, node, kind, schema)
        return
    head, *rest = path
    if isinstance(value, dict):
        if not rest and kind == "absent":
            yield {key: child for key, child in value.items() if key != head}
            return
        keys = list(value) if head == "*" else [head]
        for key in keys[:3]:
            inner = tuple(of_key(key, node))
            try:
                child = value[key] if key in value else _sample(inner, schema, 1, full=False)
            except _NoSampleError:
                continue
            if not rest and kind == "present":
                yield {**value, key: child}
                continue
            for changed in _changes(child, inner, rest, kind, schema):
                yield {**value, key: changed}
    elif isinstance(value, list) and head == "*":
        inner = tuple(of_item(0, node))
        try:
            items = value or [_sample(inner, schema, 1, full=False)]
        except _NoSampleError:
            return
        for changed in _changes(items[0], inner, rest, kind, schema):
            yield [changed, *items[1:]]


def _shown(value: Any, node: list[Mapping[str, Any]], kind: str, schema: Schema) -> Iterator[Any]:
    """Values that show a kind in place of one."""
    if kind.startswith("member: "):
        yield json.loads(kind.removeprefix("member: "))
    elif kind.startswith("alternative "):
        branches = [branch for one in node for branch in (*one.get("anyOf", ()), *one.get("oneOf", ()))]
        number = int(kind.removeprefix("alternative "))
        try:
            yield _sample((branches[number - 1],), schema, 1, full=True)
        except (IndexError, _NoSampleError):
            return
    elif kind == "nested":
        try:
            yield _sample((dict(node[0]),), schema, 0, full=True)
        except (IndexError, _NoSampleError):
            return
    elif kind in {"one item", "several items", "empty"}:
        yield from _sized(value, node, kind, schema)
    else:
        yield from _scalars(value, node, kind)


def _sized(value: Any, node: list[Mapping[str, Any]], kind: str, schema: Schema) -> Iterator[Any]:
    if kind == "empty":
        yield {} if isinstance(value, dict) else []
    elif isinstance(value, list):
        try:
            item = value[0] if value else _sample(tuple(of_item(0, node)), schema, 1, full=False)
        except _NoSampleError:
            return
        yield [item] if kind == "one item" else [item, copy.deepcopy(item), copy.deepcopy(item)]
        if kind == "several items":
            yield [item, copy.deepcopy(item)]
    elif isinstance(value, dict):
        try:
            yield {
                key: _sample(tuple(of_key(key, node)), schema, 1, full=False) for key in ("first", "second")
            }
        except _NoSampleError:
            return


def _scalars(value: Any, node: list[Mapping[str, Any]], kind: str) -> Iterator[Any]:
    text = value if isinstance(value, str) and value else "text"
    most = next((one["maxLength"] for one in node if isinstance(one.get("maxLength"), int)), 2 * LONG)
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 1
    table: dict[str, tuple[Any, ...]] = {
        "null": (None,),
        "true": (True,),
        "false": (False,),
        "beyond ASCII": (BEYOND_ASCII[:most], "Zoë"[:most], "é"),
        "quotes and line breaks": (SPECIAL[:most], '"'),
        "long text": ((f"{text} " * (most // (len(text) + 1) + 1))[:most].strip(), "x" * most),
        "empty text": ("",),
        "zero": (0,),
        "negative": (-abs(number) or -1, -1),
        "fraction": (number + 0.5, 0.5, 0.25),
    }
    yield from table.get(kind, ())


def _sample(schemas: tuple[Any, ...], schema: Schema, depth: int, *, full: bool) -> Any:
    """A value for the subschemas of a place, as far as they say what it is."""
    if depth > DEEPEST:
        raise _NoSampleError
    node = static(schemas, schema)
    merged: dict[str, Any] = {}
    for one in node:
        for key, value in one.items():
            merged[key] = {**merged[key], **value} if key == "properties" and key in merged else value
    for keyword in ("const", "default"):
        if keyword in merged:
            return merged[keyword]
    for keyword in ("enum", "examples"):
        if isinstance(merged.get(keyword), list) and merged[keyword]:
            return merged[keyword][0]
    branches = [*merged.get("anyOf", ()), *merged.get("oneOf", ())]
    if branches and "properties" not in merged:
        for branch in branches:
            try:
                return _sample((branch,), schema, depth + 1, full=full)
            except _NoSampleError:
                continue
        raise _NoSampleError
    return _of_kind(merged, node, schema, depth, full=full)


def _of_kind(
    merged: Mapping[str, Any], node: list[Mapping[str, Any]], schema: Schema, depth: int, *, full: bool
) -> Any:
    kind = merged.get("type", "object" if "properties" in merged else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        required = {name for one in node for name in one.get("required", ())}
        made = {}
        for name in dict.fromkeys((*merged.get("properties", {}), *sorted(required))):
            if name not in required and not (full and depth < 3):
                continue
            try:
                made[name] = _sample(tuple(of_key(name, node)), schema, depth + 1, full=full)
            except _NoSampleError:
                if name in required:
                    raise
        return made
    if kind == "array":
        least = max(int(merged.get("minItems", 0)), 1 if full else 0)
        return [_sample(tuple(of_item(i, node)), schema, depth + 1, full=full) for i in range(least)]
    if kind in {"integer", "number"}:
        lowest = merged.get("minimum", merged.get("exclusiveMinimum", 0))
        step = merged.get("multipleOf", 1)
        lowest = lowest if isinstance(lowest, int | float) and not isinstance(lowest, bool) else 0
        return step * (int(lowest // step) + 1)
    if kind == "string":
        return _text(merged)
    return {"boolean": True, "null": None}.get(str(kind))


def _text(merged: Mapping[str, Any]) -> str:
    import re

    text = FORMATS.get(str(merged.get("format")), "text")
    least, most = int(merged.get("minLength", 0)), int(merged.get("maxLength", LONG))
    if len(text) < least:
        text = (text + " ") * (least // len(text) + 1)
    text = text[: max(most, least)]
    pattern = merged.get("pattern")
    if isinstance(pattern, str):
        try:
            fits = [t for t in (text, "a", "A1", "1", "ABC", "2024-01-31", "abc-1") if re.search(pattern, t)]
        except re.error as error:
            raise _NoSampleError from error
        if not fits:
            raise _NoSampleError
        return fits[0]
    return text
