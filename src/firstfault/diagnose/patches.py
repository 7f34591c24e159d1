"""Patches: what a playbook writes in, concrete settings out.

A value is absolute, or relative to the setting in force: "x2", "+0.1", "-0.1", "default". Relative values
stay within the limits of their setting.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from firstfault.config import Settings
from firstfault.errors import ConfigError, did_you_mean
from firstfault.types import Scalar

Patch = Mapping[str, Scalar]
"""`section.key` → value."""

_RELATIVE = re.compile(r"(?P<sign>[x+-])(?P<number>\d+(?:\.\d+)?)")

_REINDEXING = ("chunking.", "embedder.", "index.hnsw_m", "index.hnsw_ef_construct")
"""Settings that shape what is stored, chunks or vectors or the graph: their effect needs it made anew."""


def check(patch: Patch) -> None:
    """Whether every key is a setting and every value fits it.

    Raises:
        ConfigError: one is not, or does not.
    """
    if not patch:
        raise ConfigError("a patch changes nothing.", hint='Write { "section.key" = value }.')
    absolute = {}
    for name, value in patch.items():
        field = _field(name)
        if value == "default":
            continue
        if isinstance(value, str) and _holds_number(field) and not _RELATIVE.fullmatch(value):
            raise ConfigError(
                f"{name} = {value!r} is not a change of a number.",
                hint='Write a number, "x2", "+1", "-1" or "default".',
            )
        if not (isinstance(value, str) and _RELATIVE.fullmatch(value)):
            absolute[name] = str(value)
    Settings().override(absolute)


def resolve(patch: Patch, settings: Settings) -> dict[str, Scalar]:
    """The patch in concrete values, without the keys that would not change; may be empty."""
    concrete: dict[str, Scalar] = {}
    for name, wanted in patch.items():
        current, value = value_of(settings, name), _concrete(name, wanted, settings)
        if value is not None and value != current:
            concrete[name] = value
    return concrete


def patched(settings: Settings, patch: Patch) -> Settings:
    """The settings with a concrete patch in force; to the extractive generator, without the adapter.

    Raises:
        ConfigError: a key is unknown, or a value does not fit.
    """
    changed = settings.override({name: str(value) for name, value in patch.items()})
    if changed.generator.kind != "extractive":
        return changed
    return changed.model_copy(update={"generator": changed.generator.model_copy(update={"adapter": None})})


def value_of(settings: Settings, name: str) -> Any:
    """The value of `section.key` in force."""
    section, _, key = name.partition(".")
    return getattr(getattr(settings, section), key)


def reindexes(patch: Patch) -> bool:
    """Whether a patch shapes what is stored, so that its effect needs another collection."""
    return any(name.startswith(_REINDEXING) for name in patch)


def size(patch: Patch, settings: Settings) -> tuple[bool, int, float]:
    """How much a concrete patch changes, for comparison: a new collection, keys, sum of |log₂ ratio|.

    Going back to a default is the smallest change: it leaves nothing of one's own behind.
    """
    distance = 0.0
    for name, value in patch.items():
        current = value_of(settings, name)
        if value == _field(name).default:
            continue
        if isinstance(value, int | float) and isinstance(current, int | float):
            distance += abs(math.log2((abs(value) + 0.01) / (abs(current) + 0.01)))
        else:
            distance += 1.0
    return reindexes(patch), len(patch), round(distance, 6)


def _concrete(name: str, wanted: Scalar, settings: Settings) -> Scalar | None:
    field = _field(name)
    if wanted == "default":
        default: Scalar | None = field.default
        return default
    change = _RELATIVE.fullmatch(wanted) if isinstance(wanted, str) else None
    if change is None or not _holds_number(field):
        return wanted
    current = value_of(settings, name)
    if current is None:
        return None  # nothing to be relative to
    number = float(change["number"])
    match change["sign"]:
        case "x":
            changed = current * number
        case "+":
            changed = current + number
        case _:
            changed = current - number
    changed = _bounded(changed, field)
    return round(changed) if field.annotation is int else round(changed, 6)


def _bounded(value: float, field: FieldInfo) -> float:
    """The nearest value that the setting admits."""
    for limit in field.metadata:
        if isinstance(limit, Ge):
            value = max(value, float(str(limit.ge)))
        elif isinstance(limit, Le):
            value = min(value, float(str(limit.le)))
        elif isinstance(limit, Gt):
            value = max(value, float(str(limit.gt)) + 1e-6)
        elif isinstance(limit, Lt):
            value = min(value, float(str(limit.lt)) - 1e-6)
    return value


def _holds_number(field: FieldInfo) -> bool:
    return field.annotation in (int, float, float | None)


def _field(name: str) -> FieldInfo:
    section, _, key = name.partition(".")
    table = Settings.model_fields.get(section)
    fields: dict[str, FieldInfo] = getattr(table.annotation, "model_fields", {}) if table else {}
    if key not in fields:
        raise ConfigError(f"'{name}' is no setting.", hint=_suggest(name))
    return fields[key]


def _suggest(name: str) -> str:
    known = [
        f"{section}.{key}"
        for section, table in Settings.model_fields.items()
        for key in getattr(table.annotation, "model_fields", {})
    ]
    return did_you_mean(name, known, "`firstfault config` lists every setting.")
