"""Edge cases of a schema: what valid values can look like in, which of it a set of values never shows out.

An edge case is a place (`/items/*/price`, `*` for any item or key) and a kind: an optional field that is
absent, an empty list, a null, a branch of a union, a member of an enumeration, text beyond ASCII, ...
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstfault.structured.evidence import applying, of_item, of_key
from firstfault.structured.schema import Schema

LONG = 200
"""Characters of a text that counts as long, where the schema sets no limit."""

NEAR_LIMIT = 0.8
"""Share of `maxLength` from which a text counts as long."""

MOST_MEMBERS = 30
"""Members of an enumeration that are looked for one by one."""

MOST_CASES = 2_000
"""Edge cases of one schema; a larger one is looked at as far as that."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class EdgeCase:
    """Something that a valid value can do at a place."""

    path: str
    """Place in the value, `*` for any item of a list or key of a map; empty = the whole value."""
    kind: str
    """`absent`, `present`, `null`, `empty`, `one item`, `several items`, `true`, `false`, `empty text`,
    `long text`, `beyond ASCII`, `quotes and line breaks`, `zero`, `negative`, `fraction`, `nested`,
    `member: ...` or `alternative N`."""


Node = list[Mapping[str, Any]]
"""All subschemas that apply to one place."""


def expected(schema: Schema) -> list[EdgeCase]:
    """Every edge case that the schema allows for, in order of place."""
    found = dict.fromkeys(_expected((schema.document,), "", schema, {}))
    return sorted(found)[:MOST_CASES]


def observed(value: Any, schema: Schema) -> set[EdgeCase]:
    """The edge cases that a valid value shows."""
    return set(_observed(value, (schema.document,), "", schema, {}))


def _expected(
    schemas: tuple[Any, ...], path: str, schema: Schema, entered: Mapping[str, str]
) -> Iterator[EdgeCase]:
    node, refs, branches = _static(schemas, schema)
    again = next((ref for ref in refs if ref in entered), None)
    if again is not None:
        yield EdgeCase(path=entered[again], kind="nested")
        return
    entered = {**entered, **dict.fromkeys(refs, path)}
    for number, branch in enumerate(branches, start=1):
        yield EdgeCase(path=path, kind=f"alternative {number}")
        yield from _expected((branch,), path, schema, entered)
    kinds = _kinds(node)
    for kind in _of_scalars(node, kinds, branches):
        yield EdgeCase(path=path, kind=kind)
    if "array" in kinds:
        least, most = _limit(node, "minItems", 0), _limit(node, "maxItems", math.inf)
        shown = (("empty", 0, 0), ("one item", 1, 1), ("several items", 2, math.inf))
        yield from (
            EdgeCase(path=path, kind=kind) for kind, fewest, n in shown if least <= n and fewest <= most
        )
        if most:
            items = tuple(of_item(10_000, node))
            yield from _expected(items, f"{path}/*", schema, entered)
    if "object" in kinds:
        yield from _of_object(node, path, schema, entered)


def _of_object(node: Node, path: str, schema: Schema, entered: Mapping[str, str]) -> Iterator[EdgeCase]:
    required = {name for one in node for name in one.get("required", ())}
    names = dict.fromkeys(name for one in node for name in one.get("properties", {}))
    for name in names:
        place = f"{path}/{name}"
        if name not in required:
            yield EdgeCase(path=place, kind="absent")
            yield EdgeCase(path=place, kind="present")
        yield from _expected(tuple(of_key(name, node)), place, schema, entered)
    if not names:
        others = [
            one["additionalProperties"]
            for one in node
            if isinstance(one.get("additionalProperties"), Mapping)
        ]
        yield EdgeCase(path=path, kind="empty")
        yield EdgeCase(path=path, kind="several items")
        if others:
            yield from _expected(tuple(others), f"{path}/*", schema, entered)


def _of_scalars(node: Node, kinds: set[str], branches: list[Any]) -> Iterator[str]:
    """Kinds of edge cases of the scalars that a place may hold."""
    members = next((one["enum"] for one in node if isinstance(one.get("enum"), list)), None)
    if members is not None:
        yield from (_member(member) for member in members[:MOST_MEMBERS])
        return
    if any("const" in one for one in node):
        return
    if "null" in kinds:
        yield "null"
    if "boolean" in kinds:
        yield from ("true", "false")
    free = not branches and not any({"pattern", "format"} & one.keys() for one in node)
    if "string" in kinds and free:
        yield from ("beyond ASCII", "quotes and line breaks", "long text")
        if _limit(node, "minLength", 0) == 0:
            yield "empty text"
    if kinds & {"integer", "number"}:
        lowest = _limit(node, "minimum", _limit(node, "exclusiveMinimum", -1))
        if lowest < 0:
            yield "negative"
        if lowest <= 0 <= _limit(node, "maximum", 1):
            yield "zero"
        if "number" in kinds and not any("multipleOf" in one for one in node):
            yield "fraction"


def _observed(
    value: Any, schemas: tuple[Any, ...], path: str, schema: Schema, entered: Mapping[str, str]
) -> Iterator[EdgeCase]:
    _, refs, branches = _static(schemas, schema)
    again = next((ref for ref in refs if ref in entered), None)
    if again is not None:
        path = entered[again]  # nested values show the same cases as the outermost
        yield EdgeCase(path=path, kind="nested")
    entered = {**entered, **dict.fromkeys(refs, path)}
    for number, branch in enumerate(branches, start=1):
        if not isinstance(branch, Mapping) or schema.validator.evolve(schema=branch).is_valid(value):
            yield EdgeCase(path=path, kind=f"alternative {number}")
    node = list(applying(value, schemas, schema))
    for kind in _shown(value, node):
        yield EdgeCase(path=path, kind=kind)
    if isinstance(value, list):
        for position, child in enumerate(value):
            yield from _observed(child, tuple(of_item(position, node)), f"{path}/*", schema, entered)
    elif isinstance(value, dict):
        names = {name for one in node for name in one.get("properties", {})}
        required = {name for one in node for name in one.get("required", ())}
        for name in names - required:
            yield EdgeCase(path=f"{path}/{name}", kind="present" if name in value else "absent")
        for name, child in value.items():
            place = f"{path}/{name if name in names else '*'}"
            yield from _observed(child, tuple(of_key(name, node)), place, schema, entered)


def _shown(value: Any, node: Node) -> Iterator[str]:
    """Kinds of edge cases that one value shows."""
    members = next((one["enum"] for one in node if isinstance(one.get("enum"), list)), None)
    if members is not None:
        yield _member(value)
    if value is None:
        yield "null"
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, list | dict):
        yield ("empty", "one item", "several items")[min(len(value), 2)]
    elif isinstance(value, str):
        yield from _of_text(value, int(_limit(node, "maxLength", 0)))
    else:
        shown = {"zero": value == 0, "negative": value < 0, "fraction": value % 1 != 0}
        yield from (kind for kind, true in shown.items() if true)


def _of_text(text: str, limit: int) -> Iterator[str]:
    shown = {
        "empty text": not text,
        "long text": len(text) >= (NEAR_LIMIT * limit if limit else LONG),
        "beyond ASCII": not text.isascii(),
        "quotes and line breaks": any(mark in text for mark in '"\n\\'),
    }
    yield from (kind for kind, true in shown.items() if true)


def static(schemas: tuple[Any, ...], schema: Schema) -> Node:
    """Subschemas that apply to any value at a place, references and `allOf` followed."""
    return _static(schemas, schema)[0]


def _static(schemas: tuple[Any, ...], schema: Schema) -> tuple[Node, list[str], list[Any]]:
    """Subschemas that apply to any value at a place, the references to them, and the alternatives there."""
    node: Node = []
    refs: list[str] = []
    branches: list[Any] = []
    waiting = [one for one in schemas if isinstance(one, Mapping)]
    while waiting:
        one = waiting.pop(0)
        node.append(one)
        branches += [*one.get("anyOf", ()), *one.get("oneOf", ())]
        waiting += [part for part in one.get("allOf", ()) if isinstance(part, Mapping)]
        reference = one.get("$ref")
        if isinstance(reference, str) and reference not in refs:
            refs.append(reference)
            target = schema.resolve(reference)
            waiting += [target] if isinstance(target, Mapping) else []
    return node, refs, branches


def _kinds(node: Node) -> set[str]:
    """The types that a place may hold, as far as the schema names them."""
    kinds: set[str] = set()
    for one in node:
        named = one.get("type")
        kinds |= {named} if isinstance(named, str) else set(named) if isinstance(named, list) else set()
        if named is None and "properties" in one:
            kinds.add("object")
    return kinds


def _limit(node: Node, keyword: str, default: float) -> float:
    values = [one[keyword] for one in node if isinstance(one.get(keyword), int | float)]
    return float(values[0]) if values else default


def _member(value: Any) -> str:
    import json

    return f"member: {json.dumps(value, ensure_ascii=False)}"
