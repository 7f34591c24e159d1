"""The database of a home: `home/firstfault.db`, or a PostgreSQL, opened with the durability promised.

In: a home. Out: an SQLAlchemy engine whose schema is up to date, and storage errors that say what to do.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Table, create_engine, event, insert
from sqlalchemy.exc import DatabaseError, DBAPIError

from firstfault.collection.readonly import is_read_only
from firstfault.config import HomeConfig, IndexConfig, Settings
from firstfault.errors import FirstfaultError, MismatchError, MissingError, StorageError

HEAD = "0009"
"""The newest migration. Compared with the database before Alembic, slow to import, is asked for."""

FILE = "firstfault.db"
POINTER = "database.json"
"""Says where the database of a home has been moved to."""

_BUSY_SECONDS = 30
_MAPPED_BYTES = 2**31
"""How much of the file is read through a memory map, without a copy; it is written as ever."""
_FULL = "Free disk space and run the command again: what was acknowledged is kept, the rest is repeated."


_bound: dict[Path, Settings] = {}
"""Home → the settings that it was opened with in this process: they say where its database and index are."""


def bind(home: Path, settings: Settings) -> None:
    """Say with which settings a home is opened in this process."""
    _bound[home.resolve()] = settings


def index_of(home: Path) -> IndexConfig:
    """Where the indexes of a home are."""
    bound = _bound.get(home.resolve())
    return IndexConfig() if bound is None else bound.index


def database_of(home: Path) -> HomeConfig:
    """The database of a home: from its settings, else where it was moved to, else its own file."""
    bound = _bound.get(home.resolve())
    if bound is not None and bound.home.database:
        return bound.home
    try:
        return HomeConfig.model_validate_json((home / POINTER).read_bytes())
    except OSError:
        return HomeConfig()


def connect(home: Path, *, create: bool = True) -> Engine:
    """Open the database of a home, create it when absent, and migrate it when it is behind.

    Raises:
        MissingError: it is absent and `create` is False.
        MismatchError: a newer Firstfault wrote it.
        StorageError: it cannot be opened or is damaged.
    """
    elsewhere = database_of(home)
    if elsewhere.database:
        return connect_postgres(home, elsewhere)
    file = home / FILE
    if not create and not file.exists():
        raise MissingError(f"There is nothing at {home} yet.", hint="Make it: firstfault ingest PATH")
    read_only = is_read_only(home)
    with translated(file):
        if read_only:
            engine = _open_read_only(file)
        else:
            home.mkdir(parents=True, exist_ok=True)
            engine = create_engine(f"sqlite:///{file}")
            event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        with engine.connect() as connection:
            current = _revision(connection)
        if read_only and (current is None or current < HEAD):
            raise StorageError(
                f"{home} cannot be written, and an older Firstfault made it (schema {current or 'none'}).",
                hint="Copy it to where it can be written: the first command there brings it up to date.",
            )
        _bring_up(engine, current, str(file))
    return engine


def connect_postgres(home: Path, settings: HomeConfig) -> Engine:
    """Open the PostgreSQL of a home, and migrate it when it is behind.

    Raises:
        MismatchError: a newer Firstfault wrote it.
        StorageError: it cannot be reached.
    """
    from firstfault.collection.postgres import open_engine

    engine = open_engine(str(settings.database), settings.password_env)
    place = place_of(engine)
    with translated(place):
        home.mkdir(parents=True, exist_ok=True)
        with engine.connect() as connection:
            current = _revision(connection)
        _bring_up(engine, current, place)
    return engine


def _bring_up(engine: Engine, current: str | None, place: str) -> None:
    if current is None or current < HEAD:
        _migrate(engine)
    elif current > HEAD:
        message = f"{place} was written by a newer Firstfault (schema {current}, this one knows {HEAD})."
        raise MismatchError(message, hint="Upgrade: pip install --upgrade firstfault")


def place_of(engine: Engine) -> str:
    """The file or address of a database, without a password."""
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    return engine.url.render_as_string(hide_password=True)


@contextmanager
def writing(engine: Engine, *, catalog: bool = True) -> Iterator[Connection]:
    """One transaction that holds the write lock from its start; committed and on disk when the block ends.

    On PostgreSQL only those that change the catalog exclude each other.

    Raises:
        StorageError: the disk refused; nothing of the transaction is kept.
    """
    with (
        translated(place_of(engine)),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        if catalog and engine.dialect.name == "postgresql":
            from firstfault.collection.postgres import hold_catalog

            hold_catalog(connection)
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database.

    Raises:
        StorageError: the disk refused, or the file is damaged.
    """
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with translated(place_of(engine)), engine.connect().execution_options(**options) as connection:
        yield connection


def insert_new(connection: Connection, table: Table) -> Any:
    """An insert that passes over rows whose key is there already."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgres

        return insert_postgres(table).on_conflict_do_nothing()
    return insert(table).prefix_with("OR IGNORE")


def size_of(engine: Engine) -> int:
    """Bytes that the database takes."""
    if engine.dialect.name == "postgresql":
        with reading(engine) as connection:
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    file = Path(str(engine.url.database))
    return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))


def shrink(engine: Engine) -> int:
    """Give pages that no longer hold anything back to the disk. Returns how many bytes these were.

    PostgreSQL does so itself, and uses them again: 0.

    Raises:
        StorageError: another process holds the database.
    """
    if engine.dialect.name == "postgresql":
        return 0
    with translated(engine.url.database):
        raw = engine.raw_connection()
        try:

            def pragma(name: str) -> int:
                return int(raw.cursor().execute(f"PRAGMA {name}").fetchone()[0])

            pages = pragma("page_count")
            raw.cursor().executescript("PRAGMA incremental_vacuum")  # execute() would stop after one page
            freed = (pages - pragma("page_count")) * pragma("page_size")
            pragma("wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError as error:
            raise storage_error(error, engine.url.database) from error
        else:
            return freed
        finally:
            raw.close()


@contextmanager
def translated(place: object) -> Iterator[None]:
    """Turn what the disk, SQLite or the index engine say about storage into a StorageError."""
    try:
        yield
    except FirstfaultError:
        raise
    except (DatabaseError, DBAPIError, OSError) as error:
        cause = error if not str(place).startswith("postgresql") else None  # its messages may name the user
        raise storage_error(error, place) from cause


def storage_error(error: Exception, place: object) -> StorageError:
    """The error with what to do about it."""
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    lower = said.lower()
    if str(place).startswith("postgresql"):
        return _postgres_error(said.strip(), place)
    if "locked" in lower or "busy" in lower:
        return StorageError(
            f"{place} stayed locked for {_BUSY_SECONDS} s by another process.",
            hint="Let it finish, or stop it; then run the command again.",
        )
    if any(sign in lower for sign in ("full", "space", "too large", "disk i/o", "quota")):
        return StorageError(f"The disk refused to write to {place}: {said}.", hint=_FULL)
    if "readonly" in lower or "read-only" in lower or "permission" in lower or "unable to open" in lower:
        return StorageError(f"{place} cannot be written: {said}.", hint="Change its owner or permissions.")
    return StorageError(
        f"{place} cannot be used: {said}.",
        hint="`firstfault doctor` checks it. If it is damaged, restore a copy or ingest into a new --home.",
    )


def _postgres_error(said: str, place: object) -> StorageError:
    lower = said.lower()
    if "nul" in lower and "0x00" in lower:
        return StorageError(
            "PostgreSQL takes no text that holds a NUL character.", hint="Remove it from the document."
        )
    if "connection" in lower or "authentication" in lower or "terminat" in lower:
        return StorageError(
            f"{place} cannot be reached: {said.splitlines()[0][:300]}.",
            hint="Check that it runs, home.database, and the password's variable, home.password_env.",
        )
    return StorageError(f"{place} refused: {said[:300]}.", hint="See PostgreSQL's own log.")


def _open_read_only(file: Path) -> Engine:
    """SQLite without locks and without a log of its own: nobody writes where nobody may.

    Raises:
        StorageError: what was committed last stands in the log, which cannot be moved into the file here.
    """
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and log.stat().st_size:
        raise StorageError(
            f"{file.parent} cannot be written, and {log.name} holds changes that are not in {file.name} yet.",
            hint="Run any command where it can be written, or copy the whole folder to such a place.",
        )
    place = quote(str(file.resolve()))
    engine = create_engine(f"sqlite:///file:{place}?mode=ro&immutable=1&uri=true")

    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")

    event.listen(engine, "connect", configure)
    return engine


def _configure(connection: Any, _record: Any) -> None:
    """Set up a new SQLite connection; transactions are begun by `_begin`, not by the driver."""
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {_BUSY_SECONDS * 1000}",
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "cache_size = -32768",
        f"mmap_size = {_MAPPED_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """Take the write lock at once where a transaction will write: taking it later can fail."""
    immediate = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _revision(connection: Connection) -> str | None:
    if connection.dialect.name == "postgresql":
        query = "SELECT to_regclass('alembic_version')"
    else:
        query = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
    if connection.exec_driver_sql(query).scalar() is None:
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "firstfault.collection:migrations")
    config.set_main_option("path_separator", "os")
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
