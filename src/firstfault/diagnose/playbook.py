"""The playbook: a cause in; symptom, check, threshold, explanation and remedy out.

`playbook.toml` ships with the package. A user's file extends or overrides it table by table and key by key.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from firstfault.config import Settings, read_tables
from firstfault.diagnose import patches
from firstfault.diagnose.patches import Patch
from firstfault.errors import ConfigError, InputError, did_you_mean
from firstfault.evaluate.metrics import NAMES
from firstfault.stages import Stage
from firstfault.types import Remedy, Scalar

SHIPPED = Path(__file__).with_name("playbook.toml")

ANY_STAGE = "any"
FINE_TUNING = ("data", "recipe", "fit", "forget", "serve")
"""The stages of the fine-tuning line."""
STAGES = (*(stage.value for stage in Stage), *FINE_TUNING, ANY_STAGE)

OVER_BUDGET = "over_budget"
"""The metric of latency: 1 when a request exceeds the latency budget of the stage that is blamed."""
METRICS = (*NAMES, "error_rate", OVER_BUDGET)
"""What a fix can be asked to gain."""

Repair = Literal["rechunk", "reembed", "reindex"]
"""What can be made anew inside the home: chunks and their vectors, vectors alone, the index alone."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Threshold(_Table):
    """A rule of thumb of the field: where to look first, never a verdict."""

    measure: str
    """What is measured: a metric, a setting, or a quantity in words."""
    below: float | str | None = None
    above: float | str | None = None
    """The limit: a number, or the setting that holds it."""

    @model_validator(mode="after")
    def _one_limit(self) -> "Threshold":
        if (self.below is None) == (self.above is None):
            raise ValueError("give either below or above")
        return self

    def __str__(self) -> str:
        sign, limit = ("<", self.below) if self.above is None else (">", self.above)
        return f"{self.measure} {sign} {limit if isinstance(limit, str) else f'{limit:g}'}"


class RemedyTable(_Table):
    """What repairs a cause."""

    summary: str
    """One sentence."""
    patches: tuple[dict[str, Scalar], ...] = ()
    """Changes of settings, in the order in which they are tried; see `patches`."""
    by_stage: dict[str, tuple[dict[str, Scalar], ...]] = Field(default_factory=dict)
    """Further patches for a cause that any stage can be blamed for, by the stage."""
    command: str | None = None
    """What to run, where a command repairs it."""
    repair: Repair | None = None
    """What `fix` may make anew inside the home."""
    advice: str = ""
    """What else a person can do."""


class Entry(_Table):
    """All about one cause."""

    cause: str
    stage: str
    """Of the answer path, of the fine-tuning line, or "any"."""
    symptom: str
    """What one sees."""
    check: str
    """The question that its probe answers."""
    threshold: Threshold | None = None
    explanation: str
    tolerated: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of cases up to which the cause is scatter and no fault of the application."""
    metrics: tuple[str, ...] = ()
    """What a fix must gain: the first of these that the run measured."""
    accepts: tuple[str, ...] = ()
    """Metrics that the remedies trade by their nature: a loss counts only below the metric's own limit."""
    remedy: RemedyTable

    @model_validator(mode="after")
    def _names_are_known(self) -> "Entry":
        _require(self.stage, STAGES, "stage")
        for name in self.remedy.by_stage:
            _require(name, STAGES, "stage")
        for name in (*self.metrics, *self.accepts):
            _require(name, METRICS, "metric")
        return self


class Playbook:
    """Entries by cause."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = dict(entries)

    @classmethod
    def load(cls, path: Path | None = None) -> "Playbook":
        """The shipped playbook, extended and overridden by the user's file.

        Raises:
            ConfigError: the file is missing or malformed; it names table, key and what to do.
        """
        tables = _read(SHIPPED)
        changed = _read(path) if path is not None else {}
        for cause, table in changed.items():
            tables[cause] = _merged(tables.get(cause, {}), table)
        return cls(
            {
                cause: _entry(cause, table, path if path is not None and cause in changed else SHIPPED)
                for cause, table in tables.items()
            }
        )

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def entry(self, cause: str) -> Entry:
        """All about a cause.

        Raises:
            InputError: the playbook does not know it.
        """
        if cause not in self._entries:
            raise InputError(f"The playbook knows no cause '{cause}'.", hint=_close(cause, self._entries))
        return self._entries[cause]

    def remedy(
        self, cause: str, settings: Settings, patch: Patch | None = None, *, stage: str | None = None
    ) -> Remedy:
        """What to do about a cause: with the given patch, else with the first that would change anything."""
        table = self.entry(cause).remedy
        if patch is None:
            patch = next(iter(self.candidates(cause, settings, stage=stage)), {})
        summary = (
            table.summary if patch or table.command or not table.advice else f"{table.summary} {table.advice}"
        )
        return Remedy(summary=summary, patch=dict(patch), command=table.command)

    def candidates(
        self, cause: str, settings: Settings, *, stage: str | None = None
    ) -> list[dict[str, Scalar]]:
        """Concrete patches in the order in which they are tried; each changes something, none comes twice.

        `stage` is the one that is blamed, for causes of any stage.
        """
        table = self.entry(cause).remedy
        found: list[dict[str, Scalar]] = []
        for wanted in (*table.by_stage.get(stage or "", ()), *table.patches):
            concrete = patches.resolve(wanted, settings)
            if concrete and concrete not in found:
                found.append(concrete)
        return found


def _read(path: Path) -> dict[str, dict[str, Any]]:
    unreadable = "Correct diagnose.playbook, or remove it to use the shipped one."
    return read_tables(path, unreadable=unreadable, outside="Write it below the [cause] it belongs to.")


def _merged(table: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the keys of the change; of the remedy likewise, every other value as a whole."""
    merged = {**table, **change}
    if isinstance(table.get("remedy"), dict) and isinstance(change.get("remedy"), dict):
        merged["remedy"] = {**table["remedy"], **change["remedy"]}
    return merged


def _entry(cause: str, table: Mapping[str, Any], file: Path) -> Entry:
    try:
        entry = Entry.model_validate({"cause": cause, **table})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"{file}: [{cause}]{f' {place}' if place else ''}: {message}.", hint=_hint(first, cause)
        ) from error
    for key, listed in (("patches", entry.remedy.patches), *entry.remedy.by_stage.items()):
        for number, patch in enumerate(listed, start=1):
            try:
                patches.check(patch)
            except ConfigError as error:
                message = f"{file}: [{cause}.remedy] {key}, patch {number}: {error.message}"
                raise ConfigError(message, hint=error.hint) from error
    return entry


def _hint(error: Any, cause: str) -> str:
    where, name = error["loc"][:-1], str(error["loc"][-1]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        table = RemedyTable if "remedy" in where else Threshold if "threshold" in where else Entry
        return _close(name, table.model_fields)
    if error["type"] == "missing":
        return (
            f"A cause needs stage, symptom, check, explanation and remedy.summary; is '{cause}' spelt right?"
        )
    return "Correct the value; `firstfault playbook show CAUSE` shows a table that is right."


def _require(name: str, known: tuple[str, ...], what: str) -> None:
    if name not in known:
        raise ValueError(f"'{name}' is no {what}. {_close(name, known)}")


def _close(name: str, known: Any) -> str:
    return did_you_mean(name, known, "`firstfault playbook` lists what there is.")
