"""How a chunk's metadata and validity stand in a point's payload: the same for every engine.

In: a `Point`, or a comparison of a filter. Out: payload, and the path and value that match it. Booleans
are kept as words, since the embedded engine matches none; dates stand a second time, as seconds.
"""

from collections.abc import Mapping
from typing import Any

from firstfault.collection.dates import moment
from firstfault.collection.filters import FieldKind, kinds_of, values_of
from firstfault.collection.index import FOREVER, Point
from firstfault.types import Scalar

DENSE = "dense"
SPARSE = "bm25"

MOST_FIELDS = 64
"""Metadata fields that get an index of their own; filters on further ones are right, only slower."""

EXACT_BELOW_KB = 40_000
"""Filters that leave fewer kilobytes of vectors are searched exactly, as is a segment of this size.

That is 26,000 vectors of 384 dimensions, about two milliseconds; a graph loses recall where a filter leaves
half of its nodes (bench/index.py)."""

_BRANCH: Mapping[FieldKind, str] = {"text": "t", "number": "n", "boolean": "b", "date": "d"}
"""Payload key under which the values of each kind stand; dates once more, as seconds."""


def payload_of(point: Point) -> dict[str, Any]:
    """What a point carries beside its vectors."""
    payload: dict[str, Any] = {
        "live": int(point.valid_to == FOREVER),
        "from": point.valid_from,
        "to": point.valid_to,
    }
    for field in point.metadata:
        for value in values_of(point.metadata, field):
            for kind in kinds_of(value):
                branch = payload.setdefault(_BRANCH[kind], {})
                branch.setdefault(_field(field), []).append(stored(value, kind))
    return payload


def path_of(name: str, kind: FieldKind) -> str:
    """Where the values of a metadata field stand."""
    return f'{_BRANCH[kind]}."{_field(name)}"'


def text_of(payload: Mapping[str, Any], name: str) -> list[str]:
    """The texts of a metadata field, from a payload."""
    return list(payload.get(_BRANCH["text"], {}).get(_field(name), []))


def stored(value: Scalar, kind: FieldKind) -> str | float:
    """A value as it stands there."""
    if kind == "date":
        at = moment(str(value))
        assert at is not None
        return at
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else float(value)


def _field(name: str) -> str:
    """A field's name in letters that are plain in the engine's paths; no two names become the same."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f"~{ord(c):x}~" for c in name)
