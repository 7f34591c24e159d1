"""Arms: ways to answer the same cases. Settings in, one configuration an arm out.

The four usual ones are the base model alone, retrieval, an adapter alone, and the adapter over retrieved
context. One's own stand in `[bakeoff.arms.NAME]`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstfault.config import Settings
from firstfault.diagnose.patches import check, reindexes, resolve
from firstfault.errors import ConfigError, InputError
from firstfault.types import Scalar

RETRIEVAL = "search.enabled"
ADAPTER = "generator.adapter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to answer."""

    name: str
    summary: str
    """What it is, in a few words."""
    patch: Mapping[str, Scalar | None]
    """What it changes in the settings in force."""
    settings: Settings
    collection: str | None = None
    """Another collection than the one in force."""

    @property
    def retrieves(self) -> bool:
        """Whether it answers from documents."""
        return self.settings.search.enabled

    @property
    def tuned(self) -> bool:
        """Whether an adapter is applied."""
        return self.settings.generator.adapter is not None


def arms(settings: Settings, *, adapter: str | None = None, wanted: Sequence[str] = ()) -> list[Arm]:
    """The usual arms, then one's own; simpler ones first. `adapter` replaces the one in force.

    Without an adapter the arms that need one are left out. `wanted` picks some by name.

    Raises:
        InputError: a wanted arm is not known, or needs an adapter and there is none.
        ConfigError: an arm of one's own changes what is no setting, or what is stored.
    """
    adapter = adapter or settings.generator.adapter
    plain: dict[str, Scalar | None] = {RETRIEVAL: True, ADAPTER: None}
    usual: dict[str, tuple[str, dict[str, Scalar | None]]] = {
        "base": ("the base model alone", {**plain, RETRIEVAL: False}),
        "rag": ("the base model over retrieved context", plain),
        "tuned": ("the adapter alone", {RETRIEVAL: False, ADAPTER: adapter}),
        "hybrid": ("the adapter over retrieved context", {RETRIEVAL: True, ADAPTER: adapter}),
    }
    known = [*usual, *settings.bakeoff.arms]
    for name in wanted:
        if name not in known:
            raise InputError(
                f"There is no arm '{name}'.", hint=f"Known: {', '.join(known)}; more: [bakeoff.arms.NAME]."
            )
        if name in usual and usual[name][1][ADAPTER] is None and name in ("tuned", "hybrid"):
            raise InputError(
                f"The arm '{name}' needs an adapter.",
                hint="Give --adapter NAME_OR_PATH; train one with: firstfault finetune train DATA",
            )
    made = [
        Arm(name=name, summary=summary, patch=patch, settings=_patched(settings, patch))
        for name, (summary, patch) in usual.items()
        if adapter is not None or name in ("base", "rag")
    ]
    made += [_own(name, table, settings) for name, table in settings.bakeoff.arms.items()]
    return [arm for arm in made if not wanted or arm.name in wanted]


def _own(name: str, table: Mapping[str, Any], settings: Settings) -> Arm:
    """An arm from the configuration."""
    if name in ("base", "rag", "tuned", "hybrid"):
        raise ConfigError(f"[bakeoff.arms.{name}] has the name of a usual arm.", hint="Give it another name.")
    wanted = dict(_flat(table))
    collection = wanted.pop("bakeoff.collection", None)
    try:
        if wanted:
            check(wanted)
    except ConfigError as error:
        raise ConfigError(f"[bakeoff.arms.{name}]: {error.message}", hint=error.hint) from error
    patch = resolve(wanted, settings)
    if reindexes(patch) and collection is None:
        raise ConfigError(
            f"[bakeoff.arms.{name}] changes what is stored.",
            hint='Ingest into another --collection with these settings, and name it: collection = "NAME".',
        )
    changed = ", ".join(f"{key} = {value}" for key, value in patch.items())
    return Arm(
        name=name,
        summary=changed or f"collection {collection}",
        patch=patch,
        settings=_patched(settings, patch),
        collection=str(collection) if collection is not None else None,
    )


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Scalar]]:
    """`section.key` → value, from tables of tables or dotted keys; what has no section is of `bakeoff`."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{inner}", kept) for inner, kept in value.items())
        else:
            yield key if "." in key else f"bakeoff.{key}", value


def _patched(settings: Settings, patch: Mapping[str, Scalar | None]) -> Settings:
    values: dict[str, dict[str, Any]] = settings.model_dump()
    cleared = [name for name, value in patch.items() if value is None]
    for name in cleared:
        section, _, key = name.partition(".")
        values[section][key] = None
    rest = {name: str(value) for name, value in patch.items() if value is not None}
    return Settings.model_validate(values).override(rest, origin="[bakeoff.arms]")
