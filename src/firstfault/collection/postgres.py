"""PostgreSQL as the truth of a home that several processes share.

In: an address without a password. Out: an engine, advisory locks in the place of the home's lock file, and
the days that traces are partitioned by. Needs the extra `scale`.
"""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from firstfault.errors import ConfigError, LockedError, MissingError

CATALOG_LOCK = 0x46466361
"""Key of the lock that a transaction holds while it changes the catalog."""
_TRACES_LOCK = 0x46467472
_CONNECT_SECONDS = 10


def address(database: str) -> URL:
    """The address as SQLAlchemy has it.

    Raises:
        ConfigError: it is none of PostgreSQL, or holds a password.
    """
    try:
        url = make_url(database)
    except ArgumentError as error:
        raise ConfigError("home.database is no address.", hint=_EXAMPLE) from error
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise ConfigError(
            f"home.database begins with {url.drivername!r}, not with postgresql.", hint=_EXAMPLE
        )
    if url.password is not None:
        raise ConfigError(
            "home.database holds a password, which belongs into the environment.",
            hint="Leave it out, and name the variable that holds it in home.password_env.",
        )
    return url.set(drivername="postgresql+psycopg")


_EXAMPLE = "Write it like postgresql+psycopg://user@host/database."


def open_engine(database: str, password_env: str) -> Engine:
    """An engine for the database; nothing is connected yet.

    Raises:
        ConfigError: the address is wrong, or the password's variable is not set.
        MissingError: the extra `scale` is not installed.
    """
    url = address(database)
    try:
        import psycopg  # noqa: F401 - SQLAlchemy needs it
    except ImportError as error:
        raise MissingError(
            "PostgreSQL needs psycopg.", hint="Install it: pip install 'firstfault[scale]'"
        ) from error
    options: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS}
    if password_env:
        password = os.environ.get(password_env, "")
        if not password:
            raise ConfigError(
                f"The environment variable {password_env} is not set.",
                hint=f"Set it to the password for {url.render_as_string()}.",
            )
        options["password"] = password
    return create_engine(url, connect_args=options, pool_pre_ping=True)


def is_shared(engine: Engine) -> bool:
    """Whether several processes may have the database open."""
    return engine.dialect.name == "postgresql"


def hold_catalog(connection: Connection) -> None:
    """Be the only transaction that changes the catalog, until this one ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CATALOG_LOCK})


@contextmanager
def sole_writer(engine: Engine, collection: int, *, wait: bool = True) -> Iterator[bool]:
    """Be the only process that changes a collection and its index; False when another is and `wait` is False.

    The lock ends with the connection, so a killed process leaves none behind. On SQLite the home's lock file
    has seen to it already.
    """
    if not is_shared(engine):
        yield True
        return
    key = _key("write", collection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if wait:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
        elif not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
            yield False
            return
        try:
            yield True
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})


def enter(engine: Engine, collection: int, name: str, *, alone: bool) -> Connection:
    """Take part in a collection until the connection is closed; `alone` where the index is this process's.

    Raises:
        LockedError: another process is alone in it, or this one cannot be.
    """
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    function = "pg_try_advisory_lock" if alone else "pg_try_advisory_lock_shared"
    if not connection.scalar(text(f"SELECT {function}(:key)"), {"key": _key("present", collection)}):
        connection.close()
        raise LockedError(
            f"The collection '{name}' is open in another process, and an embedded index serves one.",
            hint='Set index.kind = "qdrant" wherever this database is used, or stop the other process.',
        )
    return connection


def leave(connection: Connection) -> None:
    """Give up what `enter` took: the lock goes with the connection, which must not return to the pool."""
    connection.invalidate()
    connection.close()


def ensure_day(connection: Connection, at: str) -> None:
    """Make the partition that a trace of this time belongs to; a second time does nothing."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _TRACES_LOCK})
    day = date.fromisoformat(at[:10])
    name, end = f"traces_{day:%Y%m%d}", day + timedelta(days=1)
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF traces FOR VALUES FROM ('{day}') TO ('{end}')"
    )


def drop_days(connection: Connection, at: str) -> int:
    """Drop the partitions that end before a time. Returns how many traces they held."""
    names = connection.scalars(
        text(
            "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'traces'::regclass AND c.relname < :first ORDER BY 1"
        ),
        {"first": f"traces_{date.fromisoformat(at[:10]):%Y%m%d}"},
    ).all()
    dropped = 0
    for name in names:
        dropped += connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()  # noqa: S608 - ours
        connection.exec_driver_sql(f"DROP TABLE {name}")
    return dropped


def lock_key(name: str) -> int:
    """Key of an advisory lock for anything that has a name: 63 bits."""
    data = name.encode()
    return zlib.crc32(data) << 31 | zlib.crc32(data[::-1]) >> 1


def _key(what: str, collection: int) -> int:
    return lock_key(f"firstfault {what} {collection}")
