"""Moving a home between its own SQLite file and a PostgreSQL, and saying so in the home.

In: a home that no other process has, and the database to move to. Out: the tables that were copied; from then
on every command finds the database at its new place.
"""

import os
from pathlib import Path

from firstfault.collection.database import (
    FILE,
    POINTER,
    bind,
    connect,
    connect_postgres,
    database_of,
    reading,
    translated,
)
from firstfault.collection.lock import HomeLock
from firstfault.collection.postgres import address
from firstfault.collection.transfer import Progress, TableCopy, copy_tables
from firstfault.config import HomeConfig, Settings
from firstfault.errors import InputError, MissingError

KEPT = f"{FILE}.moved"
"""Name of the SQLite file after the move."""


def relocate(home: Path, target: HomeConfig, progress: Progress) -> list[TableCopy]:
    """Copy the database and change the home over to it. What was copied before an interruption is kept.

    Raises:
        InputError: it is there already.
        LockedError: another process has the home.
        MissingError: there is no home.
    """
    if target.database:
        bind(home, Settings())  # the settings may name the new place already; what is to be moved is here
    present = database_of(home)
    if (present.database or None) == target.database:
        raise InputError("The database of this home is there already.", hint="Name another with --to.")
    if present.database and target.database:
        raise InputError(
            "The database of this home is in a PostgreSQL.",
            hint="Move between two with PostgreSQL's own tools, or with --to sqlite first.",
        )
    if not home.is_dir():
        raise MissingError(f"There is nothing at {home} yet.", hint="Make it: firstfault ingest PATH")
    lock = HomeLock(home, "home move")
    try:
        if target.database:
            tables = _to_postgres(home, target, progress)
        else:
            tables = _to_sqlite(home, present, progress)
    finally:
        lock.release()
    return tables


def _to_postgres(home: Path, target: HomeConfig, progress: Progress) -> list[TableCopy]:
    address(str(target.database))  # before anything is opened
    source = connect(home, create=False)
    try:
        engine = connect_postgres(home, target)
        try:
            tables = copy_tables(source, engine, progress)
        finally:
            engine.dispose()
        with reading(source) as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
    finally:
        source.dispose()
    with translated(home):
        _write(home / POINTER, target.model_dump_json())
        (home / FILE).rename(home / KEPT)
    return tables


def _to_sqlite(home: Path, present: HomeConfig, progress: Progress) -> list[TableCopy]:
    source = connect_postgres(home, present)
    work = home / "moving"  # a home of its own until the copy is whole
    try:
        engine = connect(work)
        try:
            tables = copy_tables(source, engine, progress)
        finally:
            engine.dispose()
    finally:
        source.dispose()
    with translated(home):
        (work / FILE).rename(home / FILE)
        (home / POINTER).unlink(missing_ok=True)
        for rest in work.iterdir():
            rest.unlink()
        work.rmdir()
    return tables


def _write(path: Path, content: str) -> None:
    """Write a small file whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
