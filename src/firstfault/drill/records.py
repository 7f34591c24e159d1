"""Series of drills that were run: kept in the home as `drill --json` prints them, found again by id."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstfault.errors import InputError, StorageError
from firstfault.trace.record import new_trace_id

FOLDER = "drills"
MOST_KEPT = 100
"""Older series are removed."""
_ID = re.compile(r"[0-9A-Za-z-]{1,80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A series of drills."""

    id: str
    at: str
    """When it was run, in UTC: the first part of its id."""
    document: Mapping[str, Any]
    """As `report.document` makes it."""


def save(home: Path, document: Mapping[str, Any]) -> str:
    """Keep a series. Returns its id.

    Raises:
        StorageError: the home cannot be written.
    """
    identity = new_trace_id()
    folder = home / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{identity}.partial"
        partial.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
        partial.replace(folder / f"{identity}.json")
        for old in sorted(folder.glob("*.json"))[:-MOST_KEPT]:
            old.unlink()
    except OSError as error:
        raise StorageError(
            f"The drills cannot be kept in {folder}: {error.strerror}.",
            hint="Check the disk and permissions.",
        ) from error
    return identity


def newest(home: Path, limit: int = 20) -> list[Series]:
    """The series, newest first."""
    paths = sorted((home / FOLDER).glob("*.json"), reverse=True)[:limit]
    return [_read(path) for path in paths]


def get(home: Path, identity: str) -> Series:
    """The series with this id.

    Raises:
        InputError: there is none.
    """
    path = home / FOLDER / f"{identity}.json"
    if not _ID.fullmatch(identity) or not path.is_file():
        raise InputError(f"There is no series of drills '{identity[:80]}'.", hint="Run one: firstfault drill")
    return _read(path)


def _read(path: Path) -> Series:
    document = json.loads(path.read_text(encoding="utf-8"))
    stamp = path.stem
    at = f"{stamp[0:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}+00:00"
    return Series(id=stamp, at=at, document=document)
