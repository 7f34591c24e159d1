"""How a schema is shown to a model: the schema in, the shortest text that says all of it out; or an outline.

The outline names fields, types and choices to a depth; it is for schemas that do not fit the prompt.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from firstfault.structured.decoding import plain
from firstfault.structured.schema import Schema

DEEPEST = 4
MOST_LINES = 60
MOST_CHOICES = 8

_SILENT = frozenset({"$schema", "$id", "id", "$comment", "title", "examples"})
"""Keywords that tell a writer nothing."""


def compact(schema: Schema) -> str:
    """The whole schema in one line, without what tells a writer nothing."""
    return json.dumps(_without(plain(schema)), ensure_ascii=False, separators=(",", ":"))


def outline(schema: Schema) -> str:
    """Fields, types and choices, one a line, indented by depth; at most `MOST_LINES` lines."""
    lines = list(_lines(schema.document, 0, schema))
    return "\n".join(lines[:MOST_LINES] + (["..."] if len(lines) > MOST_LINES else []))


def _without(schema: Any) -> Any:
    """Without silent keywords; names of properties stay, whatever they are."""
    if isinstance(schema, list):
        return [_without(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {}
    for key, value in schema.items():
        if key in _SILENT and isinstance(value, str | list):
            continue
        if key in {"properties", "$defs", "definitions", "patternProperties"} and isinstance(value, Mapping):
            made[key] = {name: _without(one) for name, one in value.items()}
        elif key in {"enum", "const", "default"}:
            made[key] = value
        else:
            made[key] = _without(value)
    return made


def _lines(schema: Any, depth: int, root: Schema) -> Iterator[str]:
    schema = _followed(schema, root)
    required = set(schema.get("required", ()))
    for name, one in schema.get("properties", {}).items():
        said = _followed(one, root)
        needed = "" if name in required else " (optional)"
        yield f"{'  ' * depth}{name}: {_kind(said)}{needed}"
        if depth < DEEPEST:
            inner = said.get("items", said)
            yield from _lines(inner if isinstance(inner, Mapping) else {}, depth + 1, root)


def _followed(schema: Any, root: Schema) -> Mapping[str, Any]:
    if not isinstance(schema, Mapping):
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        found = root.resolve(reference)
        return found if isinstance(found, Mapping) else {}
    return schema


def _kind(schema: Mapping[str, Any]) -> str:
    choices = schema.get("enum")
    if isinstance(choices, list):
        return " | ".join(json.dumps(one) for one in choices[:MOST_CHOICES]) + (
            " | ..." if len(choices) > MOST_CHOICES else ""
        )
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
