"""Collections made beside a live one, to try another way of cutting or embedding, and the switch to them.

In: the names of the two. Out: after one transaction the live collection has the content of its shadow; a
crash at any moment leaves the old content or the new one, whole. The index follows: it is marked as unsure in
the same transaction, and opening the collection reconciles it with the catalog.
"""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select, update

from firstfault.collection import changes
from firstfault.collection.database import connect, index_of, reading, writing
from firstfault.collection.lock import HomeLock
from firstfault.collection.place import QdrantPlace
from firstfault.collection.schema import collections
from firstfault.errors import MismatchError, MissingError

MARK = "-shadow-"
"""What the name of a shadow holds after the name of the live collection."""
BACKUP = "-before-"


def shadow_name(live: str, key: str) -> str:
    """The name of a shadow of a collection; `key`, 8 hex digits, tells several apart."""
    return f"{live[:47]}{MARK}{key}"


def shadows(home: Path, live: str) -> list[str]:
    """Shadows of a collection: those in use, and what a killed process left."""
    engine = connect(home, create=False)
    try:
        with reading(engine) as connection:
            names = connection.scalars(select(collections.c.name).order_by(collections.c.name))
            ours = re.compile(re.escape(shadow_name(live, "")) + "[0-9a-f]{8}")
            return [name for name in names if ours.fullmatch(name)]
    finally:
        engine.dispose()


def drop(home: Path, name: str) -> None:
    """Delete a closed collection of a home with its index.

    Raises:
        LockedError: it is open, here or in another process.
    """
    lock, engine = HomeLock(home, name), connect(home, create=False)
    try:
        with writing(engine) as connection:
            row = _row(connection, name)
            if row is not None:
                changes.drop_collection(connection, row.id)
                changes.drop_orphans(connection)
        _forget(home, name, row)
    finally:
        engine.dispose()
        lock.release()


def adopt(home: Path, live: str, shadow: str) -> str:
    """Switch a closed collection to the content of its closed shadow. Returns where the old content is.

    With the same embedder the old revisions are retired, so that traces can be replayed until `gc` drops
    them. With another one, whose vectors share no index with the old ones, the old collection is renamed.

    Raises:
        LockedError: one of them is open.
        MissingError: there is no such shadow.
        MismatchError: documents were changed since the shadow was made.
    """
    locks, engine = [HomeLock(home, name) for name in (live, shadow)], connect(home, create=False)
    try:
        with writing(engine) as connection:
            old, new = _row(connection, live), _row(connection, shadow)
            if old is None or new is None:
                raise MissingError(f"There is no collection '{shadow}' in {home}.", hint="Run fix again.")
            _require_same_documents(connection, old, new)
            renamed = _space(old) != _space(new)
            if renamed:
                backup = f"{live[:30]}{BACKUP}{datetime.now(UTC):%Y%m%d%H%M%S}"
                _rename(connection, old, new, backup)
                kept = f"the old collection is kept as '{backup}' (--collection {backup})"
            else:
                _retire_and_move(connection, old, new)
                kept = "the old chunks are kept for replays until `firstfault gc` drops them"
        if renamed:
            shutil.rmtree(home / "index" / live, ignore_errors=True)
            shutil.rmtree(home / "index" / shadow, ignore_errors=True)
        else:
            _forget(home, shadow, new)
        return kept
    finally:
        engine.dispose()
        for lock in locks:
            lock.release()


def forget_index(home: Path, live: str) -> None:
    """Delete the index of a closed collection: the next one to open it makes it anew from the catalog.

    Raises:
        LockedError: the collection is open.
    """
    lock, engine = HomeLock(home, live), connect(home, create=False)
    try:
        with reading(engine) as connection:
            row = _row(connection, live)
        _forget(home, live, row)
    finally:
        engine.dispose()
        lock.release()


def take_vectors(home: Path, live: str, other: Path) -> int:
    """Give a closed collection the vectors that another home made of its texts. Returns how many.

    Raises:
        LockedError: the collection is open.
        MismatchError: the other home was made with another embedder.
    """
    lock, engine, source = HomeLock(home, live), connect(home, create=False), connect(other, create=False)
    try:
        with reading(source) as connection:
            theirs = _existing(connection, live, other)
            vectors = changes.all_vectors(connection, _space(theirs))
        with reading(engine) as connection:
            ours = _existing(connection, live, home)
        if _space(ours) != _space(theirs):
            raise MismatchError(f"{other} was made with another embedder.", hint="Run fix again.")
        _forget(home, live, ours)  # before: its vectors must not outlive theirs
        with writing(engine) as connection:
            replaced = changes.replace_vectors(connection, _space(ours), vectors)
            _unsettle(connection, ours.id)
        return replaced
    finally:
        source.dispose()
        engine.dispose()
        lock.release()


def _retire_and_move(connection: Connection, old: Row[Any], new: Row[Any]) -> None:
    version = max(old.version, new.version) + 1
    live = changes.live_revisions(connection, old.id, changes.live_ids(connection, old.id))
    changes.begin_version(connection, old.id, version, new.average_length)
    changes.retire(connection, old.id, list(live.values()), version)
    changes.move_documents(connection, new.id, old.id, version)
    changes.drop_collection(connection, new.id)
    _unsettle(connection, old.id)


def _rename(connection: Connection, old: Row[Any], new: Row[Any], backup: str) -> None:
    for row, name in ((old, backup), (new, old.name)):
        connection.execute(update(collections).where(collections.c.id == row.id).values(name=name))
        _unsettle(connection, row.id)


def _require_same_documents(connection: Connection, old: Row[Any], new: Row[Any]) -> None:
    if set(changes.live_ids(connection, old.id)) != set(changes.live_ids(connection, new.id)):
        raise MismatchError(
            f"The documents of '{old.name}' changed while its shadow was being made.", hint="Run fix again."
        )


def _forget(home: Path, name: str, row: Row[Any] | None) -> None:
    """Delete the index of a collection, wherever it is."""
    shutil.rmtree(home / "index" / name, ignore_errors=True)
    settings = index_of(home)
    if settings.kind == "qdrant" and row is not None:
        QdrantPlace(row.identity, row.dimension, settings).clear()


def _unsettle(connection: Connection, collection: int) -> None:
    """Say that the index may differ: the next one to open the collection compares every point."""
    connection.execute(update(collections).where(collections.c.id == collection).values(indexed=-1))


def _existing(connection: Connection, name: str, home: Path) -> Row[Any]:
    row = _row(connection, name)
    if row is None:
        raise MissingError(
            f"There is no collection '{name}' in {home}.", hint="Make it: firstfault ingest PATH"
        )
    return row


def _row(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(collections).where(collections.c.name == name)).one_or_none()


def _space(row: Row[Any]) -> str:
    return f"{row.fingerprint}:{row.token_format}"
