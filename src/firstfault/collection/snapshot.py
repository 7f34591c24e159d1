"""Copies of a home: its catalog as another process may have it open, and whole homes that nobody has open."""

import fcntl
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from firstfault.collection.database import FILE, connect, database_of, translated
from firstfault.errors import MissingError

_FICLONE = 0x40049409
"""Linux's request to share the blocks of a file until one side writes: copy on write."""


def snapshot(home: Path, target: Path) -> None:
    """Copy the catalog of a home, leaving out its traces and runs. The home is not locked and not written.

    Raises:
        MissingError: there is no home.
        StorageError: the disk refused.
    """
    if database_of(home).database:
        _snapshot_shared(home, target)
        return
    if not (home / FILE).exists():
        raise MissingError(f"There is nothing at {home} yet.", hint="Make it: firstfault ingest PATH")
    target.mkdir(parents=True, mode=0o700)
    with (
        translated(home / FILE),
        closing(sqlite3.connect(f"file:{home / FILE}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target / FILE)) as copy,
    ):
        source.backup(copy)
        for table in (
            *("run_cases", "runs", "traces", "readings", "feedback", "review_labels", "review_items"),
            *("alerts", "incident_entries", "incidents", "monitor_state"),
        ):
            copy.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are ours
        copy.commit()
        copy.execute("VACUUM")


def _snapshot_shared(home: Path, target: Path) -> None:
    """The same from a PostgreSQL, table by table."""
    from firstfault.collection.transfer import TABLES, copy_tables

    target.mkdir(parents=True, mode=0o700)
    source, copy = connect(home, create=False), connect(target)
    try:
        kept = [table for table in TABLES if table.name not in ("run_cases", "runs", "traces", "jobs")]
        copy_tables(source, copy, lambda *_: None, tables=kept)
    finally:
        source.dispose()
        copy.dispose()


def copy_home(home: Path, target: Path) -> None:
    """Copy a home that nobody has open, sharing blocks where the file system can."""
    with translated(target):
        shutil.copytree(home, target, copy_function=_clone, ignore=shutil.ignore_patterns("spool", "lock"))


def _clone(source: str, target: str) -> str:
    with open(source, "rb") as given, open(target, "wb") as made:
        try:
            fcntl.ioctl(made, _FICLONE, given.fileno())
        except OSError:
            shutil.copyfileobj(given, made, 1 << 20)
    return target
