"""Which values of a structured answer state something: a value and its schema in, fields to be verified out.

A field whose schema holds `"x-firstfault-evidence": true` needs evidence, whatever its type; `false` exempts
it. Without a mark, texts of a few words and more are held against the passages like sentences of free text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstfault.structured.pointer import pointer
from firstfault.structured.schema import EVIDENCE, Schema

LEAST_WORDS = 4
"""Of an unmarked text that is taken for a statement."""

MOST_FIELDS = 200
"""Of one answer that are verified."""

Path = tuple[str | int, ...]
Leaf = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A scalar in a structured answer."""

    path: Path
    value: Leaf
    marked: bool | None
    """True = needs evidence, False = exempt, None = the schema does not say."""
    fixed: bool
    """Whether the schema lists the values that are allowed: a choice, no statement."""

    @property
    def pointer(self) -> str:
        """Where it stands, as a JSON pointer."""
        return pointer(self.path)

    @property
    def states(self) -> bool:
        """Whether it is to be verified."""
        if self.value is None or self.marked is not None:
            return bool(self.marked) and self.value is not None
        return isinstance(self.value, str) and not self.fixed and len(self.value.split()) >= LEAST_WORDS


def fields(value: Any, schema: Schema) -> list[Field]:
    """Every scalar of a valid value, in order, with what the schema says about it."""
    return list(_walk(value, (schema.document,), (), None, schema))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """Every scalar of a value, in order."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, (*path, key))
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from leaves(child, (*path, position))
    else:
        yield path, value


def spoken(value: Any) -> str:
    """The texts and numbers of a value in reading order: what it says, without its form."""
    said = [leaf for _, leaf in leaves(value) if leaf is not None and not isinstance(leaf, bool)]
    return "\n".join(str(leaf) for leaf in said)


def _walk(
    value: Any, schemas: tuple[Any, ...], path: Path, mark: bool | None, schema: Schema
) -> Iterator[Field]:
    """Walk a value along all subschemas that apply to it."""
    subschemas = list(applying(value, schemas, schema))
    own = [one[EVIDENCE] for one in subschemas if isinstance(one.get(EVIDENCE), bool)]
    mark = any(own) if own else mark
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _walk(child, tuple(of_key(key, subschemas)), (*path, key), mark, schema)
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _walk(child, tuple(of_item(position, subschemas)), (*path, position), mark, schema)
    else:
        fixed = any("enum" in one or "const" in one for one in subschemas)
        yield Field(path=path, value=value, marked=mark, fixed=fixed)


def applying(
    value: Any, schemas: tuple[Any, ...], schema: Schema, seen: frozenset[str] = frozenset()
) -> Iterator[Mapping[str, Any]]:
    """The subschemas that apply to one value: references followed, alternatives that fit it included."""
    for one in schemas:
        if not isinstance(one, Mapping):
            continue
        yield one
        reference = one.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            yield from applying(value, (schema.resolve(reference),), schema, seen | {reference})
        yield from applying(value, tuple(one.get("allOf", ())), schema, seen)
        branches = [*one.get("anyOf", ()), *one.get("oneOf", ())]
        if "if" in one:
            branches.append(one.get("then" if _fits(value, one["if"], schema) else "else", {}))
        fitting = [branch for branch in branches if _fits(value, branch, schema)]
        yield from applying(value, tuple(fitting), schema, seen)


def _fits(value: Any, branch: Any, schema: Schema) -> bool:
    return not isinstance(branch, Mapping) or schema.validator.evolve(schema=branch).is_valid(value)


def of_key(key: str, schemas: list[Mapping[str, Any]]) -> Iterator[Any]:
    """The subschemas of a property."""
    import re

    for one in schemas:
        named = key in one.get("properties", {})
        if named:
            yield one["properties"][key]
        patterns = [s for pattern, s in one.get("patternProperties", {}).items() if re.search(pattern, key)]
        yield from patterns
        if not named and not patterns:
            yield one.get("additionalProperties")


def of_item(position: int, schemas: list[Mapping[str, Any]]) -> Iterator[Any]:
    """The subschemas of an item of a list, in the words of all drafts."""
    for one in schemas:
        items = one.get("items")
        first = one.get("prefixItems", items if isinstance(items, list) else [])
        if position < len(first):
            yield first[position]
        else:
            yield one.get("additionalItems") if isinstance(items, list) else items
