import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from firstfault.collection.database import FILE, HEAD, connect, reading, writing
from firstfault.collection.schema import metadata
from firstfault.errors import MismatchError, MissingError, StorageError


def test_a_new_database_has_every_table_and_the_promised_durability(tmp_path: Path) -> None:
    engine = connect(tmp_path / "home")
    assert set(inspect(engine).get_table_names()) == {*metadata.tables, "alembic_version"}
    with reading(engine) as connection:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    engine = connect(tmp_path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_that_is_looked_for() -> None:
    config = Config()
    config.set_main_option("script_location", "firstfault.collection:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_traces_have_the_columns_that_the_recorder_writes(tmp_path: Path) -> None:
    engine = connect(tmp_path)
    columns = {column["name"] for column in inspect(engine).get_columns("traces")}
    assert columns == {"id", "at", "collection", "question", "status", "record"}
    assert any(index["column_names"] == ["at"] for index in inspect(engine).get_indexes("traces"))
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    engine = connect(tmp_path)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(MismatchError, match=r"schema 9999, this one knows \d{4}") as caught:
        connect(tmp_path)
    assert "pip install --upgrade" in caught.value.hint


def test_an_absent_database_is_only_made_when_asked(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nothing at"):
        connect(tmp_path / "home", create=False)
    assert not (tmp_path / "home").exists()


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is not a database, only text" * 100)
    with pytest.raises(StorageError, match="cannot be used: file is not a database") as caught:
        connect(tmp_path)
    assert "restore a copy" in caught.value.hint


def test_a_home_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        connect(tmp_path / "file" / "home")


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    engine = connect(tmp_path)
    insert = text("INSERT INTO traces VALUES ('1', 'now', 'c', 'q', 's', x'00')")
    with pytest.raises(StorageError, match="UNIQUE"), writing(engine) as connection:
        [connection.execute(insert) for _ in range(2)]
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM traces")).scalar() == 0
    engine.dispose()


def test_a_writer_that_does_not_let_go_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstfault.collection.database._BUSY_SECONDS", 0)
    engine = connect(tmp_path)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="stayed locked"), writing(engine):
        pass
    with reading(engine) as connection:  # readers are not kept waiting
        assert connection.execute(text("SELECT count(*) FROM traces")).scalar() == 0
    other.close()
    engine.dispose()
