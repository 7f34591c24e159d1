"""Traces in a PostgreSQL: one partition a day, dropped whole."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sqlalchemy import text
from tests.made import make_trace

from firstfault.collection.database import bind, connect, reading
from firstfault.config import Settings
from firstfault.trace import TraceStore
from firstfault.types import Trace

DAYS = ("2026-01-01", "2026-01-02", "2026-01-04")


def make(number: int, day: str) -> Trace:
    identity = f"{day.replace('-', '')}T0000{number:05d}-ab"
    return make_trace(id=identity, at=f"{day}T12:00:{number:02d}.000+00:00")


def test_traces_go_to_their_day_and_days_are_dropped(postgres: Callable[[], str], tmp_path: Path) -> None:
    settings = Settings().override({"home.database": postgres()})
    stores = []
    for home in (tmp_path / "one", tmp_path / "two"):  # two processes that share the database
        bind(home, settings)
        stores.append(TraceStore(home, connect(home)))
    given = [make(number, day) for day in DAYS for number in range(4)]
    for number, trace in enumerate(given):
        stores[number % 2].put(trace)
    stores[0].put(given[0])
    for store in stores:
        store.flush()
    assert [one.id for one in stores[1].newest(limit=99)] == sorted((t.id for t in given), reverse=True)
    assert stores[0].get(given[5].id[:-1]) == replace(given[5])
    assert set(stores[0].several([given[1].id, given[9].id])) == {given[1].id, given[9].id}

    engine = connect(tmp_path / "one")
    partitions = text(
        "SELECT relname FROM pg_class WHERE relname LIKE 'traces\\_2%' AND relkind = 'r' ORDER BY 1"
    )
    with reading(engine) as connection:
        assert connection.scalars(partitions).all() == [
            "traces_20260101",
            "traces_20260102",
            "traces_20260104",
        ]
    assert stores[0].drop_before("2026-01-04T12:00:02.000+00:00") == 4 + 4 + 2
    with reading(engine) as connection:
        assert connection.scalars(partitions).all() == ["traces_20260104"]
    assert [one.id for one in stores[1].newest(limit=99)] == [given[11].id, given[10].id]
    for store in stores:
        store.close()
    engine.dispose()


def test_a_question_with_a_nul_is_kept_whole(postgres: Callable[[], str], tmp_path: Path) -> None:
    bind(tmp_path, Settings().override({"home.database": postgres()}))
    store = TraceStore(tmp_path, connect(tmp_path))
    trace = replace(make(1, DAYS[0]), question="a\0b")
    store.put(trace)
    store.flush()
    assert store.get(trace.id) == trace
    store.close()
