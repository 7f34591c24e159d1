"""Pages of traces: nothing is shown twice or missed, whatever is filtered; every page is found by index."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from tests.made import make_trace

from firstfault.collection.database import connect, reading
from firstfault.errors import InputError
from firstfault.trace import listing
from firstfault.trace.listing import Position, Wanted
from firstfault.trace.store import TraceStore
from firstfault.types import Trace

COUNT = 23


def make(number: int) -> Trace:
    return make_trace(
        id=f"t{number:04d}",
        at=f"2026-01-01T00:00:{number // 3:02d}.000+00:00",  # three share a time
        collection="default" if number % 4 else "other",
        question=f"What is number {number}? {'Straße' if number % 5 == 0 else ''}",
        error="It broke." if number % 6 == 0 else None,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraceStore]:
    home = tmp_path_factory.mktemp("listing")
    opened = TraceStore(home, connect(home))
    for number in range(COUNT):
        opened.put(make(number))
    opened.flush()
    yield opened
    opened.close()


def walk(store: TraceStore, wanted: Wanted, limit: int) -> list[str]:
    found: list[str] = []
    place: Position | None = None
    for _ in range(COUNT + 2):
        page = store.page(wanted, before=place, limit=limit)
        assert len(page.traces) <= limit
        found += [trace.id for trace in page.traces]
        place = page.after
        if place is None:
            return found
    raise AssertionError("the pages do not end")


@given(
    limit=st.integers(1, COUNT + 1),
    status=st.sampled_from([None, "error", "retrieved", "supported"]),
    collections=st.sampled_from([(), ("default",), ("other",), ("default", "other"), ("none",)]),
    words=st.sampled_from(["", "NUMBER 1", "strasse", "absent"]),
    since=st.sampled_from([None, "2026-01-01T00:00:03"]),
    until=st.sampled_from([None, "2026-01-01T00:00:05"]),
)
def test_walking_the_pages_is_filtering_everything(
    store: TraceStore,
    limit: int,
    status: str | None,
    collections: tuple[str, ...],
    words: str,
    since: str | None,
    until: str | None,
) -> None:
    wanted = Wanted(status=status, collections=collections, words=words, since=since, until=until)
    expected = [
        trace.id
        for trace in sorted(map(make, range(COUNT)), key=lambda one: (one.at, one.id), reverse=True)
        if (status is None or ("error" if trace.error else "retrieved") == status)
        and (not collections or trace.collection in collections)
        and words.casefold() in trace.question.casefold()
        and (since is None or trace.at >= since)
        and (until is None or trace.at < until)
    ]
    assert walk(store, wanted, limit) == expected


def test_words_are_looked_for_in_bounded_steps(store: TraceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SCANNED", 4)
    first = store.page(Wanted(words="number 1?"), limit=5)
    assert first.traces == ()
    assert first.after is not None
    assert first.read_to == make(COUNT - 4).at
    assert walk(store, Wanted(words="number 1?"), 5) == ["t0001"]


def test_new_traces_do_not_shift_a_page(store: TraceStore) -> None:
    first = store.page(limit=5)
    newer = replace(make(1), id="t9999", at="2027-01-01T00:00:00.000+00:00")
    store.put(newer)
    store.flush()
    second = store.page(before=first.after, limit=5)
    assert not {one.id for one in first.traces} & {one.id for one in second.traces}
    assert store.page(limit=1).traces[0].id == "t9999"
    assert store.drop_before("2025") == 0


@pytest.mark.parametrize("bad", ["", "x", "2026-01-01"])
def test_a_place_is_checked(bad: str) -> None:
    with pytest.raises(InputError):
        Position.parse(bad)
    assert str(Position.parse("a~b~c")) == "a~b~c"


@pytest.mark.parametrize(
    "where",
    ["", "WHERE status = 'error'", "WHERE collection IN ('default')"],
)
def test_no_page_sorts_all_traces(tmp_path: Path, where: str) -> None:
    engine = connect(tmp_path)
    query = f"EXPLAIN QUERY PLAN SELECT id, at FROM traces {where} ORDER BY at DESC, id DESC LIMIT 41"
    with reading(engine) as connection:
        plan = " ".join(row.detail for row in connection.execute(text(query)))
    engine.dispose()
    assert "USING INDEX" in plan or "USING COVERING INDEX" in plan
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan
