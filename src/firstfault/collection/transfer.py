"""Moving a home's database between SQLite and PostgreSQL, row by row, with proof.

In: a home that nobody has open, and where to. Out: a `Transfer`, and the home points to the new place. An
interrupted move is taken up where it stopped; the home changes over only when every table is the same.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Integer, Table, delete, func, select, text

from firstfault.collection import schema
from firstfault.collection.database import insert_new, reading, writing
from firstfault.collection.postgres import ensure_day, is_shared
from firstfault.errors import MismatchError, StorageError

TABLES: tuple[Table, ...] = tuple(schema.metadata.sorted_tables)
"""In an order that the foreign keys allow."""
_NUMBERED = tuple(table for table in TABLES if "id" in table.c and isinstance(table.c.id.type, Integer))
"""Tables whose keys the database counts."""
_RESUMED = (schema.documents, schema.embeddings, schema.chunks)
"""Large tables, of which an interrupted move copies only the rest."""
_PAGE = 1000

Progress = Callable[[str, int, int], None]
"""Called with a table, rows done, rows in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCopy:
    """One table that is the same in both."""

    name: str
    rows: int
    checksum: str
    """Sum of the SHA-256 of every row, modulo 2^256, hex."""


def copy_tables(
    source: Engine, target: Engine, progress: Progress, tables: Sequence[Table] = TABLES
) -> list[TableCopy]:
    """Copy every row, and compare every row.

    Raises:
        MismatchError: the target holds another home.
        StorageError: a table differs after the copy.
    """
    _require_ours(source, target)
    done = _copied(source, target, progress, tables)
    if isinstance(done, Table):  # the home changed since an interrupted move
        with writing(target) as connection:
            for table in reversed(tables):
                connection.execute(delete(table))
        done = _copied(source, target, progress, tables)
    if isinstance(done, Table):
        raise StorageError(
            f"The table {done.name} differs after the copy.",
            hint="Nothing was changed here. Name an empty database with --to.",
        )
    _count_on(source, target)
    return done


def _copied(
    source: Engine, target: Engine, progress: Progress, tables: Sequence[Table]
) -> list[TableCopy] | Table:
    """Copies of every table, or the first table that is not the same in both."""
    done = []
    for table in tables:
        _copy(source, target, table, progress)
        (rows, here), (_, there) = (_checksum(engine, table) for engine in (source, target))
        if here != there:
            return table
        done.append(TableCopy(name=table.name, rows=rows, checksum=here))
    return done


def _require_ours(source: Engine, target: Engine) -> None:
    identities = select(schema.collections.c.identity)
    with reading(source) as here, reading(target) as there:
        foreign = set(there.scalars(identities)) - set(here.scalars(identities))
    if foreign:
        raise MismatchError(
            "The database holds collections of another home.", hint="Name an empty database with --to."
        )


def _copy(source: Engine, target: Engine, table: Table, progress: Progress) -> None:
    keys = list(table.primary_key.columns)
    with reading(source) as here:
        total = here.scalar(select(func.count()).select_from(table)) or 0
        done = 0
        query = select(table).order_by(*keys)
        if table in _RESUMED:
            with reading(target) as there:
                last = there.scalar(select(func.max(keys[0]))) or 0
                done = there.scalar(select(func.count()).select_from(table)) or 0
            query = query.where(keys[0] > last)
        result = here.execution_options(yield_per=_PAGE).execute(query)
        for page in result.mappings().partitions(_PAGE):
            rows = [dict(row) for row in page]
            with writing(target) as connection:
                if table is schema.traces and is_shared(target):
                    for day in sorted({row["at"][:10] for row in rows}):
                        ensure_day(connection, day)
                connection.execute(insert_new(connection, table), rows)
            done += len(rows)
            progress(table.name, done, total)


def _checksum(engine: Engine, table: Table) -> tuple[int, str]:
    total, rows = 0, 0
    with reading(engine) as connection:
        for row in connection.execution_options(yield_per=_PAGE).execute(select(table)):
            line = repr([_plain(value) for value in row]).encode()
            total += int.from_bytes(hashlib.sha256(line).digest())  # a sum: databases sort text differently
            rows += 1
    return rows, f"{total % 2**256:064x}"


def _plain(value: Any) -> Any:
    """A value as every driver gives it."""
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return sorted(value.items()) if isinstance(value, dict) else value


def _count_on(source: Engine, target: Engine) -> None:
    """Have the target count keys from where the source stopped: none is used twice."""
    with reading(source) as here, writing(target) as there:
        for table in _NUMBERED:
            last = max(here.scalar(select(func.max(table.c.id))) or 0, _counter(here, table.name))
            if not last:
                continue
            if is_shared(target):
                there.execute(text(f"SELECT setval('{table.name}_id_seq', :last)"), {"last": last})
            else:
                named = {"name": table.name, "last": last}
                there.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), named)
                if table.dialect_options["sqlite"]["autoincrement"]:
                    there.execute(
                        text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), named
                    )


def _counter(connection: Connection, table: str) -> int:
    """The last key that a database gave out."""
    if connection.dialect.name == "postgresql":
        query = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {table}_id_seq")  # noqa: S608
        return int(connection.scalar(query) or 0)
    return int(
        connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table}) or 0
    )
