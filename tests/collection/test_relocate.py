"""A home's database goes to a PostgreSQL and back, whole or not at all."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.made import make_trace

from firstfault.collection import Collection
from firstfault.collection.database import FILE, POINTER, bind, connect, database_of
from firstfault.collection.relocate import KEPT, relocate
from firstfault.collection.transfer import TABLES
from firstfault.config import HomeConfig, Settings
from firstfault.errors import InputError, MismatchError, MissingError
from firstfault.trace import TraceStore
from firstfault.types import Trace

from .conftest import OpenCollection, add, document, names

Postgres = Callable[[], str]


def quiet(*_: Any) -> None:
    pass


def trace(home: Path) -> Trace:
    made = make_trace(id="20260101T000000-ab", at="2026-01-01T12:00:00.000+00:00")
    store = TraceStore(home, connect(home))
    store.put(made)
    store.close()
    return made


def told(collection: Collection) -> tuple[Any, ...]:
    found = [c.key for c in collection.bm25("pump", limit=9)]
    return collection.version, found, names(collection, found), collection.fields(), collection.revisions()


def test_there_and_back_again(home: Path, open_collection: OpenCollection, postgres: Postgres) -> None:
    collection = open_collection()
    add(collection, document("a", "the pump", metadata={"n": 1, "s": ["ß", "x"]}), document("b", "a valve"))
    add(collection, document("b", "a pump", metadata={"on": True, "at": 0.1}))
    collection.record_failure("bad", "torn")
    before = told(collection)
    kept = trace(home)
    with pytest.raises(Exception, match=r"is in use by"):  # not while it is open elsewhere
        relocate_elsewhere(home, postgres())
    collection.close()

    url = postgres()
    tables = relocate(home, HomeConfig(database=url), quiet)
    assert [table.name for table in tables] == [table.name for table in TABLES]
    assert {table.name: table.rows for table in tables}["chunks"] == 3
    assert not (home / FILE).exists()
    assert (home / KEPT).exists()
    assert database_of(home).database == url

    there = open_collection()
    assert told(there) == before
    newest = add(there, document("c", "pump three"))
    assert newest[0].chunks == 1
    assert max(c.key for c in there.bm25("three", limit=1)) == 4
    store = TraceStore(home, connect(home))
    assert store.get(kept.id) == kept
    store.close()
    after = told(there)
    there.close()
    with pytest.raises(InputError, match="already"):
        relocate(home, HomeConfig(database=url), quiet)

    relocate(home, HomeConfig(), quiet)
    assert not (home / POINTER).exists()
    back = open_collection()
    assert told(back) == after
    assert [verdict.status for verdict in back.check()][:3] == ["ok"] * 3


def relocate_elsewhere(home: Path, url: str) -> None:
    """As another process would: this one has the home open."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from firstfault.collection.relocate import relocate; "
        "from firstfault.config import HomeConfig\n"
        f"relocate(Path({str(home)!r}), HomeConfig(database={url!r}), lambda *_: None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    raise RuntimeError(done.stderr)


def test_keys_are_not_used_again_after_the_move(
    home: Path, open_collection: OpenCollection, postgres: Postgres
) -> None:
    from datetime import UTC, datetime

    collection = open_collection()
    add(collection, document("a", "one"), document("b", "two"))
    collection.retire(["b"])
    collection.gc(before=datetime(2100, 1, 1, tzinfo=UTC))
    collection.close()
    url = postgres()
    bind(home, Settings().override({"home.database": url}))  # the settings may be changed before the move
    relocate(home, HomeConfig(database=url), quiet)
    there = open_collection()
    add(there, document("c", "three"))
    assert [c.key for c in there.bm25("three", limit=1)] == [3]


def test_an_interrupted_move_leaves_the_home_as_it_was_and_goes_on(
    home: Path, open_collection: OpenCollection, postgres: Postgres
) -> None:
    collection = open_collection()
    add(collection, *(document(f"d{at}", f"pump {at}") for at in range(30)))
    before = told(collection)
    collection.close()
    url = postgres()

    def stop(table: str, *_: int) -> None:
        if table == "chunks":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        relocate(home, HomeConfig(database=url), stop)
    assert not (home / POINTER).exists()
    same = open_collection()
    assert told(same) == before
    same.retire(["d7"])  # what changes meanwhile is noticed
    same.close()
    relocate(home, HomeConfig(database=url), quiet)
    assert "d7" not in open_collection().revisions()


def test_another_homes_database_is_refused(
    home: Path, tmp_path: Path, open_collection: OpenCollection, embedder: Any, postgres: Postgres
) -> None:
    url = postgres()
    with Collection.open(
        tmp_path / "other", settings=Settings().override({"home.database": url}), embedder=embedder
    ) as other:
        add(other, document("x", "theirs"))
    collection = open_collection()
    add(collection, document("a", "ours"))
    collection.close()
    with pytest.raises(MismatchError, match="another home"):
        relocate(home, HomeConfig(database=url), quiet)
    assert sqlite3.connect(home / FILE).execute("SELECT count(*) FROM documents").fetchone() == (1,)
    with pytest.raises(MissingError):
        relocate(tmp_path / "nowhere", HomeConfig(database=url), quiet)
