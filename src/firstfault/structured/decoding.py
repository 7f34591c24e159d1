"""What a grammar engine is offered for a schema: the schema in, versions that it may be able to express out.

The first says everything and adds limits that a small model needs (a string, a list or an object without a
limit is written for ever). Each later one leaves out what engines often cannot express, and names it. The
limits shape what is written, never what is valid.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstfault.structured.pointer import pointer
from firstfault.structured.schema import Schema

UNEXPRESSED = frozenset(
    "not if then else uniqueItems contains minContains maxContains propertyNames dependentRequired "
    "dependentSchemas dependencies unevaluatedProperties unevaluatedItems".split()
)
"""Keywords that no grammar of a single pass expresses."""

EXPRESSED_FORMATS = frozenset("date-time time date duration email hostname ipv4 ipv6 uuid".split())

_PATH = r"[A-Za-z0-9._~-]{1,40}(/[A-Za-z0-9._~-]{1,40}){0,6}"
WRITTEN_AS = {
    "uri": rf"^https?://{_PATH}$",
    "iri": rf"^https?://{_PATH}$",
    "uri-reference": rf"^/?{_PATH}$",
    "iri-reference": rf"^/?{_PATH}$",
    "uri-template": rf"^/?{_PATH}$",
    "json-pointer": rf"^/{_PATH}$",
}
"""Formats that engines do not know, as narrower patterns: what is written, not what is valid."""

_MAPS = frozenset("properties $defs definitions patternProperties dependentSchemas".split())
_LISTS = frozenset("allOf anyOf oneOf prefixItems".split())
_ONES = frozenset("items additionalProperties additionalItems unevaluatedItems unevaluatedProperties".split())
_ALTERNATIVES = frozenset({"anyOf", "oneOf"})
_OPEN = frozenset(
    "additionalProperties patternProperties unevaluatedProperties allOf anyOf oneOf $ref if".split()
)
"""Keywords beside `properties` under which an object cannot simply be closed."""

_TYPED = frozenset("enum const $ref anyOf oneOf allOf not if".split())
_STRUCTURAL = _TYPED | frozenset(
    "type properties patternProperties additionalProperties required items prefixItems pattern format "
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems maxItems "
    "minProperties maxProperties uniqueItems contains propertyNames dependentRequired dependentSchemas "
    "dependencies unevaluatedProperties unevaluatedItems additionalItems $dynamicRef $recursiveRef".split()
)
"""Keywords that say what a value is; a schema without one allows anything."""

_COMPOSING = ("allOf", "if", "dependentSchemas", "unevaluatedProperties")
_LEAN_CLOSES = frozenset({"additionalProperties", "patternProperties"})

LEAN_STRING = 80
LEAN_ITEMS = 2
"""Limits, and fields of an object without a required one, after an output was cut off."""

LARGEST_INTEGER = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly (RFC 8259, 6)."""

LARGEST_NUMBER = 1e15
SMALLEST_STEP = 1e-6
"""Of numbers to which the schema sets no limit: without one a small model adds digits for ever."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A version of a schema for a grammar engine."""

    schema: Mapping[str, Any]
    unenforced: tuple[str, ...]
    """What it leaves to validation: `keyword at /path` in the schema."""


def plain(schema: Schema) -> Mapping[str, Any]:
    """The schema without our own marks, as an endpoint is given it."""
    made: Mapping[str, Any] = _Walk(
        max_string=0, max_items=0, close=False, lean=False, shares=True, leave_out=frozenset()
    ).walk(schema.document, ())
    return made


def offers(schema: Schema, *, max_string: int, max_items: int, lean: bool = False) -> tuple[Offer, ...]:
    """Versions of a schema, the fullest first; limits of 0 are none.

    `lean` is for an output that was cut off: short texts and lists, and of the fields of an object only those
    that it must have.
    """
    if lean:
        max_string = min(max_string or LEAN_STRING, LEAN_STRING)
        max_items = min(max_items or LEAN_ITEMS, LEAN_ITEMS)
    made = []
    text = json.dumps(schema.document)
    shares = any(f'"{keyword}"' in text for keyword in _COMPOSING)
    for close, leave_out in (
        (True, frozenset[str]()),
        (True, UNEXPRESSED | {"format"}),
        (False, UNEXPRESSED | {"format", "pattern", "patternProperties", "multipleOf"}),
    ):
        walk = _Walk(
            max_string=max_string,
            max_items=max_items,
            close=close,
            lean=lean and close,
            shares=shares,
            leave_out=leave_out,
        )
        made.append(Offer(schema=walk.walk(schema.document, ()), unenforced=tuple(walk.left_out)))
    kind = schema.document.get("type")
    if isinstance(kind, str):
        made.append(Offer(schema={"type": kind}, unenforced=("everything but the type at the root",)))
    return tuple(one for i, one in enumerate(made) if one not in made[:i])


class _Walk:
    """Rewrites every subschema, and remembers what was left out."""

    def __init__(
        self,
        *,
        max_string: int,
        max_items: int,
        close: bool,
        lean: bool,
        shares: bool,
        leave_out: frozenset[str],
    ) -> None:
        self.max_string = max_string
        self.max_items = max_items
        self.limited = bool(max_string or max_items)
        self.close = close
        self.lean = lean
        self.leave_out = leave_out
        self.shares = shares
        """Whether definitions may apply beside other subschemas, so that they must stay open."""
        self.left_out: list[str] = []

    def walk(self, schema: Any, path: Path, *, composed: bool = False) -> Any:
        """A subschema rewritten; `composed` = others apply to the same value, so it must stay open."""
        if schema is True and self.limited and not composed:
            return self._anything()
        if not isinstance(schema, Mapping):
            return schema
        made: dict[str, Any] = {}
        for key, value in schema.items():
            if key.startswith("x-"):
                continue
            written = WRITTEN_AS.get(value) if key == "format" and isinstance(value, str) else None
            if written and key in self.leave_out and not {"pattern"} & (schema.keys() | self.leave_out):
                made["pattern"] = written
                continue
            if key in self.leave_out and not self._keeps(key, value):
                self.left_out.append(f"{key} at {pointer(path) or 'the root'}")
                continue
            made[key] = self._keyword(key, value, (*path, key), schema, composed=composed)
        if "oneOf" in made and "oneOf" not in self.leave_out and self.leave_out and "anyOf" not in made:
            self.left_out.append(f"oneOf at {pointer(path) or 'the root'}: at most one alternative")
            made["anyOf"] = made.pop("oneOf")
        self._limit(made, composed=composed)
        return made

    def _keeps(self, key: str, value: Any) -> bool:
        return (key == "format" and value in EXPRESSED_FORMATS) or (key == "uniqueItems" and value is False)

    def _keyword(self, key: str, value: Any, path: Path, schema: Mapping[str, Any], *, composed: bool) -> Any:
        if key in _MAPS and isinstance(value, Mapping):
            shared = key == "dependentSchemas" or (key in {"$defs", "definitions"} and self.shares)
            return {name: self.walk(one, (*path, name), composed=shared) for name, one in value.items()}
        if key in _LISTS and isinstance(value, list):
            joined = key == "allOf" or (
                key in _ALTERNATIVES and (composed or bool({"properties", "$ref", "allOf"} & schema.keys()))
            )
            return [self.walk(one, (*path, i), composed=joined) for i, one in enumerate(value)]
        if key == "items" and isinstance(value, list):
            return [self.walk(one, (*path, i)) for i, one in enumerate(value)]
        if key in _ONES:
            return self.walk(value, path)
        return value

    def _limit(self, made: dict[str, Any], *, composed: bool) -> None:
        """Give strings, lists, objects and numbers without a limit one, and a type to what has none."""
        if self.limited and not composed:
            if not made.keys() & _STRUCTURAL:
                made |= self._anything()
            elif "type" not in made and not _TYPED & made.keys():
                made |= {"type": "object"} if "properties" in made else {}
        kinds = set(_kinds(made))
        if "enum" in made or "const" in made or "$ref" in made:
            return
        if "string" in kinds and self.max_string and not {"maxLength", "pattern", "format"} & made.keys():
            made["maxLength"] = max(self.max_string, _number(made.get("minLength")))
        if "array" in kinds and self.max_items and "maxItems" not in made:
            if self.limited and not {"items", "prefixItems"} & made.keys():
                made["items"] = self._anything()
            made["maxItems"] = max(
                self.max_items, _number(made.get("minItems")), len(made.get("prefixItems", ()))
            )
        if "number" in kinds and self.limited and not {"multipleOf", "minimum", "maximum"} & made.keys():
            made |= {"multipleOf": SMALLEST_STEP, "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
        elif "integer" in kinds and self.limited:
            if not {"minimum", "exclusiveMinimum"} & made.keys():
                made["minimum"] = -LARGEST_INTEGER
            if not {"maximum", "exclusiveMaximum"} & made.keys():
                made["maximum"] = LARGEST_INTEGER
        if "object" in kinds and self.limited and not composed:
            self._limit_object(made)

    def _anything(self) -> dict[str, Any]:
        """What is written where the schema allows anything: a scalar, which comes to an end."""
        kinds = ({"type": kind} for kind in ("string", "integer", "number", "boolean", "null"))
        return {"anyOf": [self.walk(kind, ()) for kind in kinds]}

    def _limit_object(self, made: dict[str, Any]) -> None:
        """Bound a map; close an object whose fields are known, and keep the fields it must have if lean."""
        properties = made.get("properties", {})
        required = made.get("required", [])
        if not properties:
            if "maxProperties" not in made and not _OPEN - {"additionalProperties"} & made.keys():
                made["maxProperties"] = max(self.max_items, _number(made.get("minProperties")), len(required))
            if not _OPEN & made.keys():
                made["additionalProperties"] = self._anything()
            return
        known = isinstance(required, list) and set(required) <= properties.keys()
        closable = not (_OPEN - _LEAN_CLOSES if self.lean else _OPEN) & made.keys()
        if not (self.close and known and closable):
            return
        made["additionalProperties"] = False
        if self.lean:
            made.pop("patternProperties", None)
            kept = required or list(properties)[:LEAN_ITEMS]
            made["properties"] = {name: properties[name] for name in properties if name in kept}


def _kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    """The types that a subschema names; one with `properties` alone is meant for objects."""
    kind = schema.get("type")
    if isinstance(kind, str):
        yield kind
    elif isinstance(kind, list):
        yield from kind
    elif "properties" in schema:
        yield "object"


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0
