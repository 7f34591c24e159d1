"""Metadata as people write it in, metadata that can be filtered on out.

A field is a string, number or boolean, or a list of them ("any of these"). Nested tables are flattened
with dots; dates become ISO 8601 strings, which sort as dates do. What fits in neither way is reported.
"""

import datetime
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstfault.errors import InputError
from firstfault.types import Metadata, Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Filterable:
    """The outcome of `filterable`."""

    metadata: Metadata
    notes: tuple[str, ...]
    """One sentence for each field that was left out, with the reason."""


def filterable(raw: Mapping[str, Any]) -> Filterable:
    """Bring metadata into the form that can be stored and filtered on. Null values count as absent."""
    metadata: dict[str, Scalar | list[Scalar]] = {}
    notes = []
    for name, value in _flatten(raw, ""):
        if value is None:
            continue
        values = [_scalar(entry) for entry in (value if isinstance(value, list) else [value])]
        if any(entry is None for entry in values):
            notes.append(f"metadata field {name!r} is left out: {_describe(value)} cannot be filtered on")
            continue
        kept = [entry for entry in values if entry is not None]
        metadata[name] = kept if isinstance(value, list) else kept[0]
    return Filterable(metadata=metadata, notes=tuple(notes))


def parse_flags(flags: Iterable[str]) -> Metadata:
    """Read `key=value` flags. `true`, `false` and numbers are typed; `"..."` in quotes stays a string;
    `["a", "b"]` is a list, and so is a key that is given more than once.

    Raises:
        InputError: a flag is not of that form.
    """
    metadata: dict[str, Any] = {}
    for flag in flags:
        name, equals, written = flag.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"--meta {flag!r} is not key=value.", hint="Write e.g. --meta team=payments.")
        value = _typed(written.strip(), flag)
        if name in metadata:
            before = metadata[name] if isinstance(metadata[name], list) else [metadata[name]]
            value = before + (value if isinstance(value, list) else [value])
        metadata[name] = value
    result = filterable(metadata)
    if result.notes:
        raise InputError(
            f"--meta: {result.notes[0]}.", hint="Give a string, a number, true or false, or a list."
        )
    return result.metadata


def _typed(written: str, flag: str) -> Any:
    if written[:1] in ('"', "["):
        try:
            return json.loads(written)
        except json.JSONDecodeError as error:
            raise InputError(
                f"--meta {flag!r}: the value is not valid JSON: {error.msg}.",
                hint="Close the quote or bracket.",
            ) from None
    if written in ("true", "false"):
        return written == "true"
    for number in (int, float):
        try:
            value = number(written)
        except ValueError:
            continue
        if "_" not in written and math.isfinite(value):
            return value
    return written


def _flatten(raw: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in raw.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _scalar(value: Any) -> Scalar | None:
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    if isinstance(value, str) and (
        value.encode(errors="replace") != value.encode(errors="surrogatepass") or "\0" in value
    ):
        return None
    return value if isinstance(value, str | int | float | bool) else None


def _describe(value: Any) -> str:
    if isinstance(value, list):
        return "a list of anything but strings, numbers and booleans"
    return f"{type(value).__name__} {str(value)[:40]!r}"
