"""The truth in a PostgreSQL: the same catalog as in SQLite, shared by several processes."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from firstfault.collection import Collection
from firstfault.collection.database import connect, reading, storage_error
from firstfault.collection.filters import parse_where
from firstfault.collection.postgres import address, sole_writer
from firstfault.config import Settings
from firstfault.errors import ConfigError, LockedError, StorageError

from .conftest import add, document, names

Postgres = Callable[[], str]
Open = Callable[..., Collection]


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres()


@pytest.fixture
def open_shared(url: str, tmp_path: Path, embedder: Any) -> Iterator[Open]:
    """Opens the collection of the database from the home of one process."""
    opened: list[Collection] = []

    def open_(home: str = "one", **options: Any) -> Collection:
        settings = Settings().override({"home.database": url})
        given = {"settings": settings, "embedder": embedder, **options}
        opened.append(Collection.open(tmp_path / home, **given))
        return opened[-1]

    yield open_
    for collection in opened:
        collection.close()


def test_a_collection_means_the_same_as_on_sqlite(
    open_shared: Open, open_collection: Any, tmp_path: Path
) -> None:
    told = []
    for collection in (open_shared(), open_collection()):
        add(
            collection,
            document("b", "the pump is loud", "the valve leaks", metadata={"site": "Ulm", "year": 2024}),
            document("a", "a pump in the cellar", metadata={"since": "2024-05-01", "tags": ["x", "ß"]}),
            document("Zoë", "nothing to see"),
        )
        add(collection, document("b", "the pump is quiet now", metadata={"site": "Ulm", "year": 2025}))
        collection.retire(["Zoë"])
        collection.record_failure("bad.pdf", "torn", document_id="a", stale=1)
        found = collection.bm25("pump", limit=9)
        old = collection.bm25("leaks", limit=9, version=1)
        where = parse_where("year > 2024")
        keys = [one.key for one in found]
        collection.remember_token_counts("m", dict.fromkeys(keys, 7))
        collection.remember_token_counts("m", dict.fromkeys(keys, 9))
        told.append(
            (
                collection.version,
                names(collection, keys),
                [round(one.score, 4) for one in found],
                names(collection, [one.key for one in old], version=1),
                names(collection, [one.key for one in collection.bm25("pump", where=where, limit=9)]),
                [row.id for row in collection.documents()],
                collection.fields(),
                collection.token_counts("m", keys),
                collection.token_vectors(keys).keys() == set(keys),
                [(one.source, one.stale) for one in collection.failures()],
                [(one.valid_from, one.valid_to) for one in collection.revisions_of("b")],
                collection.chunk(next(iter(collection.fetch(keys).values())).id).text,
                [verdict.status for verdict in collection.check()],
                {k: v for k, v in vars_of(collection).items() if not k.startswith(("bytes", "changed"))},
            )
        )
    assert told[0] == told[1]


def vars_of(collection: Collection) -> dict[str, Any]:
    info = collection.info()
    return {name: getattr(info, name) for name in info.__dataclass_fields__}


def test_gc_and_rebuilding_leave_a_sound_collection(open_shared: Open) -> None:
    collection = open_shared()
    add(collection, document("a", "one"), document("b", "two"))
    add(collection, document("a", "three"))
    report = collection.gc(before=datetime(2100, 1, 1, tzinfo=UTC))
    assert (report.documents, report.chunks, report.embeddings) == (1, 1, 1)
    collection.rebuild_index()
    assert [verdict.status for verdict in collection.check()][:3] == ["ok"] * 3


def test_what_was_acknowledged_is_there_after_a_kill(url: str, tmp_path: Path, open_shared: Open) -> None:
    """A process is killed between the catalog and the index; the next one brings the index up to it."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[2] / "bench")!r})
from pathlib import Path
from hashed import HashedEmbedder
from firstfault.collection import Collection
from firstfault.collection.index_edge import EdgeIndex
from firstfault.config import Settings
from firstfault.types import ChunkedDocument, Document
EdgeIndex.upsert = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
settings = Settings().override({{"home.database": {url!r}}})
made = Document(id="a", title="A", text="pump", source="a", revision="r", metadata={{}})
home, embedder = Path({str(tmp_path / "one")!r}), HashedEmbedder(dimension=32)
with Collection.open(home, settings=settings, embedder=embedder) as c:
    list(c.add_all([ChunkedDocument(document=made, spans=((0, 4),))]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    again = open_shared()
    assert again.recovery.added == 1
    assert names(again, [one.key for one in again.bm25("pump", limit=3)]) == ["a"]


def test_an_embedded_index_serves_one_process_wherever_its_home_is(open_shared: Open, url: str) -> None:
    first = open_shared("one")
    with pytest.raises(LockedError, match="another process") as caught:
        open_shared("two")
    assert "qdrant" in caught.value.hint
    add(first, document("a", "one"), document("b", "two"))
    first.close()
    second = open_shared("two")
    assert second.recovery.added == 2
    add(second, document("a", "three"))
    second.close()
    third = open_shared("one")  # its own index is of the first process's time
    assert third.recovery.added == 2
    assert [verdict.status for verdict in third.check()][:3] == ["ok"] * 3


def test_only_one_process_writes_a_collection_at_a_time(url: str, tmp_path: Path, open_shared: Open) -> None:
    open_shared().close()
    settings = Settings().override({"home.database": url})
    assert settings.home.database == url
    one, other = connect(tmp_path / "one"), connect(tmp_path / "one")
    with sole_writer(one, 1):
        with sole_writer(other, 1, wait=False) as alone:
            assert not alone
        with sole_writer(other, 2, wait=False) as alone:
            assert alone
    with sole_writer(other, 1, wait=False) as alone:
        assert alone
    one.dispose()
    other.dispose()


def test_reads_see_one_state(url: str, tmp_path: Path, open_shared: Open) -> None:
    collection = open_shared()
    engine = connect(tmp_path / "one")
    with reading(engine) as connection:
        before = connection.scalar(text("SELECT count(*) FROM documents"))
        add(collection, document("a", "one"))
        assert connection.scalar(text("SELECT count(*) FROM documents")) == before == 0
    engine.dispose()


def test_addresses_that_cannot_be_are_refused_without_repeating_a_password() -> None:
    assert address("postgresql://ann@db/x").drivername == "postgresql+psycopg"
    for wrong in ("mysql://db/x", "nonsense", "postgresql://ann:s3cret@db/x"):
        with pytest.raises(ConfigError) as caught:
            address(wrong)
        assert "s3cret" not in str(caught.value)


def test_a_database_that_is_not_there_is_an_error_that_says_so(tmp_path: Path, embedder: Any) -> None:
    pytest.importorskip("psycopg", reason="the extra `scale` is not installed")
    settings = Settings().override({"home.database": "postgresql://ann@127.0.0.1:1/x"})
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        Collection.open(tmp_path / "home", settings=settings, embedder=embedder)
    assert "home.password_env" in caught.value.hint
    with pytest.raises(ConfigError, match="NOT_SET_ANYWHERE"):
        Collection.open(
            tmp_path / "home",
            settings=settings.override({"home.password_env": "NOT_SET_ANYWHERE"}),
            embedder=embedder,
        )


def test_a_nul_character_is_named() -> None:
    error = ValueError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    assert "NUL" in storage_error(error, "postgresql://x").message
