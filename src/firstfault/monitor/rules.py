"""Alert rules: the shipped ones with the user's file over them in, one `Rule` each out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from firstfault.config import Settings, read_tables
from firstfault.errors import ConfigError, did_you_mean
from firstfault.monitor.signals import ANY, SIGNALS, TIMES, signal_of
from firstfault.stages import Stage

SHIPPED = Path(__file__).with_name("rules.toml")

FALSE_ALARM = 0.05
"""Probability that any rule raises a false alarm within `HORIZON` healthy requests of a collection."""
HORIZON = 20_000
LEAST = 50
"""Requests that a limit needs before it is judged."""

_NAMES = (*SIGNALS, *(f"latency_{component}" for component in TIMES))


class Rule(BaseModel):
    """One alert rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """The name of its table."""
    signal: str
    """What is watched."""
    title: str
    """What is wrong when it fires, in words."""
    stage: str = ""
    """That is blamed where no diagnosis says better; the signal's own by default."""
    test: Literal["drift", "limit"] = "drift"
    """Against the baseline, or against a limit."""
    limit: float | str | None = None
    """Of `test = "limit"`: a number, or the setting that holds it."""
    requests: int = Field(default=200, ge=LEAST, le=5000)
    """Newest requests that a limit looks at."""
    cause: str | None = None
    """The line of the playbook to look at first."""
    enabled: bool = True
    """False = not used."""

    @model_validator(mode="after")
    def _is_complete(self) -> "Rule":
        if self.signal not in _NAMES:
            raise ValueError(f"'{self.signal}' is no signal. {_close(self.signal, _NAMES)}")
        if self.stage and self.stage not in (*Stage, ANY):
            raise ValueError(f"'{self.stage}' is no stage. {_close(self.stage, Stage)}")
        if (self.limit is None) != (self.test == "drift"):
            raise ValueError('a limit goes with test = "limit", and test = "limit" needs one')
        if isinstance(self.limit, str):
            section, _, key = self.limit.partition(".")
            if not hasattr(getattr(Settings(), section, None), key or "-"):
                raise ValueError(f"'{self.limit}' is no setting")
        return self

    @property
    def blamed(self) -> str:
        """The stage, as far as the rule itself can tell."""
        return self.stage or signal_of(self.signal).stage

    def limit_of(self, settings: Settings) -> float | None:
        """The limit in force; None = not judged."""
        if not isinstance(self.limit, str):
            return self.limit
        section, _, key = self.limit.partition(".")
        value: float | None = getattr(getattr(settings, section), key)
        return value


def load_rules(path: Path | None = None) -> tuple[Rule, ...]:
    """The rules that are enabled.

    Raises:
        ConfigError: the file is missing or malformed; it names table, key and what to do.
    """
    tables = _read(SHIPPED)
    changed = _read(path) if path is not None else {}
    for name, table in changed.items():
        tables[name] = {**tables.get(name, {}), **table}
    rules = (
        _rule(name, table, path if path is not None and name in changed else SHIPPED)
        for name, table in tables.items()
    )
    return tuple(rule for rule in rules if rule.enabled)


def rules_of(settings: Settings) -> tuple[Rule, ...]:
    """The rules that the settings name."""
    return load_rules(Path(settings.monitor.rules) if settings.monitor.rules else None)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    unreadable = "Correct monitor.rules, or remove it to use the shipped ones."
    return read_tables(path, unreadable=unreadable, outside="Write it below a [rule].")


def _rule(name: str, table: Mapping[str, Any], file: Path) -> Rule:
    try:
        return Rule.model_validate({**table, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        hint = "Correct the value; docs/monitoring.md lists keys and signals."
        if first["type"] == "extra_forbidden":
            hint = _close(str(first["loc"][-1]), Rule.model_fields)
        raise ConfigError(f"{file}: [{name}]{f' {place}' if place else ''}: {message}.", hint=hint) from error


def _close(name: str, known: Any) -> str:
    return did_you_mean(name, known, "docs/monitoring.md lists what there is.")
