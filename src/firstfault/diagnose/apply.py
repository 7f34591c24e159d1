"""Applying what is proven: the configuration file changed with a backup, the collection switched.

In: a report of `fix`. Out: what was written and where the old is kept. Nothing that is not verified is
applied; a crash at any moment leaves the old collection or the new one, and the old file or the new one.
"""

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.collection.shadow import adopt, forget_index, take_vectors
from firstfault.config import Config, load
from firstfault.diagnose.fix import FixReport
from firstfault.diagnose.shadows import discard, recuts
from firstfault.errors import ConfigError, InputError
from firstfault.types import Scalar, Trial

if TYPE_CHECKING:
    import tomlkit

NOTE = "firstfault fix"
"""Begins the comment that says why a value is what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was changed."""

    file: Path | None
    """The configuration file; None when no setting was changed."""
    backup: Path | None
    """The file as it was; None when there was none."""
    collection: str
    """What was done to the collection and where the old content is; empty when it was not touched."""


def apply(report: FixReport, config: Config, file: Path, collection: str) -> Applied:
    """Write the verified patch into the configuration file and switch to the proven collection.

    The application must be closed. The new text of the file is checked first, then the collection is
    switched, then the file is replaced: what cannot be written is refused before anything has changed.

    Raises:
        InputError: nothing is verified.
        ConfigError: the file is malformed or read-only, or a value comes from the environment, which wins.
        LockedError: the home is open.
    """
    if not report.patch and not report.repairs:
        raise InputError("Nothing is verified, so nothing is applied.", hint="See the reason of each trial.")
    try:
        text = _checked(report, config, file) if report.patch else None
        said = _switch(report, config.home, collection)
    except BaseException:
        discard_shadow(report)
        raise
    backup = _replace(file, text) if text is not None else None
    return Applied(file=file if text is not None else None, backup=backup, collection=said)


def discard_shadow(report: FixReport) -> None:
    """Delete the collection that was proven, where it is not to be applied."""
    if report.shadow is not None:
        discard(report.shadow)


def _switch(report: FixReport, home: Path, collection: str) -> str:
    shadow = report.shadow
    if shadow is None:
        return ""
    if any(recuts(report.patch, repair) for repair in (None, *report.repairs)):
        kept = adopt(home, collection, shadow.collection)
        return f"documents were cut anew; {kept}"
    if "reembed" in report.repairs:
        replaced = take_vectors(home, collection, shadow.home)
        discard(shadow)
        return f"{replaced} texts were embedded again"
    forget_index(home, collection)
    discard(shadow)
    return "the index is made anew by the next command"


def _checked(report: FixReport, config: Config, file: Path) -> str:
    """The new text of the file, which loads and holds the patch.

    Raises:
        ConfigError: it cannot be made or written.
    """
    for name in report.patch:
        origin = config.origins.get(name, "")
        if origin.startswith("environment"):
            raise ConfigError(
                f"{name} comes from the {origin}, which wins over {file}.", hint="Unset it, then apply again."
            )
    require_writable(file)
    text = edited(
        file.read_text(encoding="utf-8") if file.exists() else "", file, report.patch, _notes(report)
    )
    trial = file.with_name(f".{file.name}.checked")
    try:
        trial.write_text(text, encoding="utf-8")
        load(config.home, trial, environment={})
    except OSError as error:
        raise ConfigError(
            f"{file.parent} cannot be written: {error.strerror}.", hint="Change its owner or permissions."
        ) from error
    finally:
        trial.unlink(missing_ok=True)
    return text


def edited(text: str, file: Path, patch: Mapping[str, Scalar], notes: Mapping[str, str]) -> str:
    """The text of a configuration file with a patch; comments and layout stay as they are.

    Each changed value gets a comment with its note, after a comment that is there already.

    Raises:
        ConfigError: the text is not TOML, or a section is no table.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.", hint="Correct that line.") from error
    for name, value in patch.items():
        section, _, key = name.partition(".")
        table = _table(document, section, file)
        if key in table:
            table[key] = value
        else:
            table.append(key, tomlkit.item(value))
        if isinstance(table, tomlkit.items.InlineTable):
            continue  # a comment would end the line inside it
        item = table.value.item(key)
        theirs = str(item.trivia.comment).lstrip("# ").partition(NOTE)[0].rstrip(" ;")
        note = f"{NOTE} {notes[name]}"
        item.comment(f"{theirs}; {note}" if theirs else note)
    return tomlkit.dumps(document)


def _table(document: "tomlkit.TOMLDocument", section: str, file: Path) -> Any:
    import tomlkit

    if section not in document:
        if document.body and not tomlkit.dumps(document).endswith("\n\n"):
            document.add(tomlkit.nl())
        document.add(section, tomlkit.table())
    table = document[section]
    if not isinstance(table, tomlkit.items.AbstractTable):
        raise ConfigError(
            f"{file}: '{section}' is no table.", hint=f"Write [{section}] and its keys below it."
        )
    return table


def _notes(report: FixReport) -> dict[str, str]:
    """Setting → the evidence for its value."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return {
        name: f"{day} for {trial.cause}: {evidence(trial)} ({report.run_id})"
        for trial in report.trials
        if trial.verified
        for name in trial.patch
    }


def evidence(trial: Trial) -> str:
    """The gain in one line: metric, before and after, interval, cases."""
    interval = (
        ""
        if trial.ci_low is None or trial.ci_high is None
        else f" [{trial.ci_low:+.3f}, {trial.ci_high:+.3f}]"
    )
    change = f"{trial.metric} {trial.before:.3f} -> {trial.after:.3f}"
    return f"{change}, gain {trial.delta:+.3f}{interval} on {trial.n} held-out cases"


def require_writable(file: Path) -> None:
    """Whether a configuration file can be replaced.

    Raises:
        ConfigError: it, or its folder, is read-only.
    """
    writable = not file.exists() or (os.access(file, os.W_OK) and file.stat().st_mode & stat.S_IWUSR)
    if not writable or not os.access(file.parent, os.W_OK):
        raise ConfigError(
            f"{file} is read-only.", hint="Make it writable, or copy the patch to where it is kept."
        )


def _replace(file: Path, text: str) -> Path | None:
    """Put the new text in place of the file in one step, the old one beside it."""
    backup = None
    partial = file.with_name(f".{file.name}.partial")
    try:
        if file.exists():
            backup = file.with_name(f"{file.name}.bak-{datetime.now(UTC):%Y%m%dT%H%M%S}")
            shutil.copy2(file, backup)
        with partial.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        if backup is not None:
            shutil.copymode(backup, partial)
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ConfigError(
            f"{file} cannot be written: {error.strerror}.", hint="Change its owner or permissions."
        ) from error
    return backup
