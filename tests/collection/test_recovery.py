"""Whatever happens to the index, opening the collection brings it back to what the catalog says."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from firstfault.collection import Collection, parse_where
from firstfault.collection.database import connect, writing
from firstfault.config import Settings
from firstfault.errors import StorageError

from .conftest import ROOT, OpenCollection, add, document


def downgrade(home: Path, revision: str) -> None:
    """Bring the database back to what an earlier version of the schema left."""
    engine = connect(home)
    config = Config()
    config.set_main_option("script_location", "firstfault.collection:migrations")
    config.set_main_option("path_separator", "os")
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def fill(collection: Collection) -> None:
    """Three versions: two documents, one replaced, one retired."""
    add(collection, document("a", "alpha one", metadata={"n": 1}), document("b", "beta"))
    add(collection, document("a", "alpha two", metadata={"n": 2}))
    collection.retire(["b"])


def state(collection: Collection, embedder: Any) -> list[Any]:
    """What searches find, now and before."""
    vector = embedder.embed(["alpha"])[0]
    return [
        [found(collection, version) for version in (1, 2, 3)]
        for found in (
            lambda c, v: c.bm25("alpha beta", limit=9, version=v),
            lambda c, v: [x.key for x in c.dense(vector, limit=9, version=v)],
        )
    ]


def is_sound(collection: Collection) -> bool:
    return all(verdict.status == "ok" for verdict in collection.check())


def test_a_lost_index_is_made_anew(open_collection: OpenCollection, home: Path, embedder: Any) -> None:
    collection = open_collection()
    fill(collection)
    before = state(collection, embedder)
    collection.close()
    shutil.rmtree(home / "index")
    embedded = len(embedder.embedded)
    again = open_collection()
    assert again.recovery.rebuilt == "it was not there"
    assert again.recovery.added == 3
    assert len(embedder.embedded) == embedded
    assert state(again, embedder) == before
    assert is_sound(again)


def test_a_damaged_index_is_made_anew_and_said_so(
    open_collection: OpenCollection, home: Path, embedder: Any, caplog: pytest.LogCaptureFixture
) -> None:
    collection = open_collection()
    fill(collection)
    before = state(collection, embedder)
    collection.close()
    for file in (home / "index").rglob("*.json"):
        file.write_text("{")
    again = open_collection()
    assert "cannot be used" in again.recovery.rebuilt
    assert "is made anew" in caplog.text
    assert state(again, embedder) == before
    assert is_sound(again)


def test_an_older_copy_of_the_index_is_brought_up_to_date(
    open_collection: OpenCollection, home: Path, tmp_path: Path, embedder: Any
) -> None:
    collection = open_collection()
    add(collection, document("a", "alpha one", metadata={"n": 1}), document("b", "beta"))
    collection.close()
    shutil.copytree(home / "index", tmp_path / "old")
    collection = open_collection()
    add(collection, document("a", "alpha two", metadata={"n": 2}))
    collection.retire(["b"])
    before = state(collection, embedder)
    collection.close()
    shutil.rmtree(home / "index")
    shutil.copytree(tmp_path / "old", home / "index")
    again = open_collection()
    assert again.recovery.added == 3  # one was missing, two had another validity
    assert state(again, embedder) == before
    assert is_sound(again)


def test_points_that_the_catalog_lacks_are_removed(
    open_collection: OpenCollection, home: Path, tmp_path: Path
) -> None:
    collection = open_collection()
    add(collection, document("a", "alpha"))
    collection.close()
    for file in home.glob("firstfault.db*"):
        shutil.copy(file, tmp_path)
    collection = open_collection()
    add(collection, document("b", "beta"))
    collection.close()
    for file in home.glob("firstfault.db*"):
        file.unlink()
    for file in tmp_path.glob("firstfault.db*"):
        shutil.copy(file, home)
    again = open_collection()
    assert (again.recovery.added, again.recovery.removed) == (0, 1)
    assert again.bm25("beta", limit=5) == []
    assert is_sound(again)


def test_a_commit_that_the_index_did_not_follow_is_made_good(
    open_collection: OpenCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = open_collection()
    add(collection, document("a", "alpha"))

    def refuse(*_: object) -> None:
        raise StorageError("The disk is full.", hint="Free some.")

    with monkeypatch.context() as patched:
        patched.setattr("firstfault.collection.index_edge.EdgeIndex.upsert", refuse)
        with pytest.raises(StorageError):
            add(collection, document("b", "beta"))
    assert {v.name: v.status for v in collection.check()}["index"] == "fail"
    collection.close()
    again = open_collection()
    assert again.recovery.added == 1
    assert len(again.bm25("beta", limit=5)) == 1
    assert is_sound(again)


def test_rebuilding_measures_the_length_of_chunks_anew(
    open_collection: OpenCollection, embedder: Any
) -> None:
    collection = open_collection()
    add(collection, document("a", "alpha"))
    add(collection, document("b", "alpha " + "beta " * 40))
    first = collection.bm25("alpha", limit=5)
    collection.rebuild_index()
    second = collection.bm25("alpha", limit=5)
    assert [c.key for c in first] == [c.key for c in second]
    assert first[1].score < second[1].score  # a text longer than average lost less
    assert is_sound(collection)
    collection.close()
    again = open_collection()
    assert again.bm25("alpha", limit=5) == second
    assert embedder.embedded.count("alpha") == 1


def test_kill_9_during_ingest_loses_nothing() -> None:
    command = [sys.executable, "-m", "bench.crash", "--rounds", "3", "--seconds", "0.5", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 rounds without loss" in done.stdout
    assert " 0 documents acknowledged" not in done.stdout


_FILL_UP = """
import json, resource, sys
from pathlib import Path
from bench.crash import make
from bench.hashed import HashedEmbedder
from firstfault.collection import Collection, parse_where
from firstfault.config import Settings
from firstfault.errors import StorageError
embedder = HashedEmbedder(dimension=16)
collection = Collection.open(Path(sys.argv[1]), settings=Settings(), embedder=embedder)
acknowledged = []
try:
    for done in collection.add_all(make(number, 0) for number in range(2000)):
        acknowledged.append(done.document_id)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
except StorageError as error:
    print(json.dumps({"acknowledged": acknowledged, "message": error.message, "hint": error.hint}))
"""


def test_a_disk_that_refuses_is_a_storage_error_and_nothing_is_lost(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILL_UP, str(tmp_path / "home")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    assert "firstfault.db" in said["message"]
    assert "Free disk space" in said["hint"]
    assert len(said["acknowledged"]) > 50
    with Collection.open(tmp_path / "home", settings=Settings()) as collection:
        assert set(said["acknowledged"]) <= set(collection.revisions())
        assert is_sound(collection)


def test_an_index_from_before_dates_is_made_anew_and_filters_by_them(
    open_collection: OpenCollection, home: Path
) -> None:
    collection = open_collection()
    add(collection, document("a", "old", metadata={"published": "2020-01-01"}))
    add(collection, document("b", "new", metadata={"published": ["2024-01-01", "2025-01-01"]}))
    other = open_collection(name="other")
    add(other, document("a", "no date", metadata={"n": 1, "not": "20-20-20"}))
    collection.close()
    other.close()
    downgrade(home, "0004")
    again = open_collection()
    assert "could not filter by date" in again.recovery.rebuilt
    assert again.recovery.added == 2
    where = parse_where('published > "2024-06-01"')
    assert [
        chunk.document_id
        for chunk in again.fetch([c.key for c in again.bm25("new", where=where, limit=3)]).values()
    ] == ["b"]
    assert again.bm25("old", where=where, limit=3) == []
    assert is_sound(again)
    assert open_collection(name="other").recovery.rebuilt == ""
    again.close()
    assert open_collection().recovery.rebuilt == ""
