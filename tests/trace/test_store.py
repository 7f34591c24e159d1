import json
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made import make_trace

from firstfault.collection.database import connect
from firstfault.errors import InputError, StorageError
from firstfault.trace import store as module
from firstfault.trace.spool import Segment
from firstfault.trace.store import TraceStore, as_dict, decode, encode, status
from firstfault.types import (
    Answer,
    ArmScore,
    Claim,
    Event,
    Span,
    Support,
    Trace,
    TraceHit,
)


def make(number: int, question: str = "What is it?") -> Trace:
    return make_trace(
        id=f"20260101T0000{number:05d}-ab",
        at=f"2026-01-01T00:00:{number:02d}.000+00:00",
        question=question,
        settings={"search": {"top_k": 5, "rerank_model": None}},
        hits=(TraceHit(key=1, chunk_id="c", document_id="d", arms={"dense": ArmScore(rank=1, score=0.5)}),),
        spans=(
            Span(
                stage="index",
                start_ms=0.1,
                duration_ms=2.0,
                attributes={"dense": 50, "exact": False},
                events=(Event(name="note", at_ms=1.0, attributes={"why": "because"}),),
            ),
        ),
        total_ms=12.5,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path, connect(tmp_path))
    yield opened
    opened.close()


def test_what_was_put_comes_back_equal(store: TraceStore) -> None:
    trace = make(1)
    store.put(trace)
    store.flush()
    assert store.get(trace.id) == trace


@settings(max_examples=50, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_encoding_keeps_every_question_and_time(question: str, total: float) -> None:
    trace = replace(make(1, question), total_ms=total)
    assert decode(encode(trace)) == trace


def test_a_prefix_is_enough_when_it_is_the_only_one(store: TraceStore) -> None:
    for number in (1, 2):
        store.put(make(number))
    store.flush()
    assert store.get(make(2).id[:14] + make(2).id[14:18]) == make(2)
    with pytest.raises(InputError, match="Several traces"):
        store.get("20260101")
    for absent in ("nothing", "", "%", "_"):
        with pytest.raises(InputError):
            store.get(absent)


def test_newest_first_and_bounded(store: TraceStore) -> None:
    for number in range(5):
        store.put(make(number))
    store.flush()
    assert [trace.id for trace in store.newest(limit=2)] == [make(4).id, make(3).id]
    assert [t.id for t in store.newest(since=make(3).at)] == [make(4).id, make(3).id]
    assert store.drop_before(make(3).at) == 3
    assert len(list(store.newest())) == 2


def test_a_full_queue_waits_and_drops_nothing(tmp_path: Path) -> None:
    store = TraceStore(tmp_path, connect(tmp_path), queue_size=1)
    for number in range(30):
        store.put(make(number))
    store.close()
    assert len(list(TraceStore(tmp_path, connect(tmp_path)).newest(limit=100))) == 30


def test_a_killed_process_loses_no_trace_it_had_put(tmp_path: Path) -> None:
    """The child puts traces while its database is locked, reports each, and is killed."""
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_store import make
from firstfault.collection.database import connect, writing
from firstfault.trace import store as module
from firstfault.trace.spool import Segment
from firstfault.trace.store import TraceStore
home = Path({str(tmp_path)!r})
engine = connect(home)
store = TraceStore(home, connect(home))
with writing(engine):
    for number in range(10):
        store.put(make(number)); print(number, flush=True)
    import os, signal; os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(number) for number in range(10)], done.stderr
    store = TraceStore(tmp_path, connect(tmp_path))
    assert store.recover() == 10
    assert len(list(store.newest(limit=100))) == 10
    assert not list((tmp_path / "spool").iterdir())


def test_what_cannot_be_written_is_an_error_and_stays_in_the_spool(tmp_path: Path) -> None:
    engine = connect(tmp_path)
    store = TraceStore(tmp_path, engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE traces")
        connection.commit()
    store.put(make(1))
    with pytest.raises(StorageError, match="1 trace"):
        store.flush()
    store.close()
    assert len(list((tmp_path / "spool").iterdir())) == 1


def test_status_is_the_worst_that_matters() -> None:
    def claim(label: str) -> Claim:
        support = Support(name="support", status="ok", label=label, score=None)  # type: ignore[arg-type]
        return Claim(text="t", start=0, end=1, citations=(), verdict=support)

    def answered(*labels: str) -> Trace:
        claims = tuple(claim(label) for label in labels)
        return replace(make(1), answer=Answer(text="t", abstained=False, claims=claims, citations=()))

    assert status(answered("supported", "supported")) == "supported"
    assert status(answered("supported", "unsupported")) == "partial"
    assert status(answered("uncertain", "unsupported")) == "unsupported"
    assert status(replace(make(1), error="gone")) == "error"
    assert status(make(1)) == "retrieved"
    silent = Answer(text="t", abstained=True, claims=(), citations=())
    assert status(replace(make(1), answer=silent)) == "abstained"


def test_as_dict_is_plain_json_and_timings_add_up() -> None:
    trace = make(1)
    assert as_dict(trace)["spans"][0]["stage"] == "index"
    assert trace.timings_ms() == {"index": 2.0, "time_to_first_token": None, "total": 12.5}
    assert [(stage, event.name) for stage, event in trace.events()] == [("index", "note")]


def test_a_trace_from_before_structured_answers_still_decodes() -> None:
    fields = as_dict(make(1))
    del fields["schema"], fields["format"]
    old = decode(zlib.compress(json.dumps(fields).encode()))
    assert old == make(1)
    assert (old.schema, old.format) == (None, None)


def test_a_trace_that_cannot_be_written_keeps_no_other_out(
    store: TraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = store._insert
    bad = make(1)

    def refuse(traces: Sequence[module._Row]) -> None:
        if any(row.id == bad.id for row in traces):
            raise StorageError("It is refused.", hint="Leave it out.")
        written(traces)

    monkeypatch.setattr(store, "_insert", refuse)
    for trace in (make(0), bad, make(2)):
        store.put(trace)
    with pytest.raises(StorageError, match=r"^1 trace"):
        store.flush()
    assert [trace.id for trace in store.newest()] == [make(2).id, make(0).id]
    monkeypatch.undo()
    store.recover()
    assert [trace.id for trace in store.newest()] == [make(2).id, bad.id, make(0).id]


def test_what_is_put_while_the_store_closes_is_stored(
    store: TraceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = store._append
    appended, closed = threading.Event(), threading.Event()

    def between(record: bytes) -> Segment:
        segment = append(record)
        appended.set()
        closed.wait(20)
        return segment

    monkeypatch.setattr(store, "_append", between)
    putting = threading.Thread(target=store.put, args=(make(1),))
    putting.start()
    appended.wait(20)
    store.close()
    assert len(list((tmp_path / "spool").iterdir())) == 1, "killed now, it would be lost"
    closed.set()
    putting.join()
    store.flush()
    assert [trace.id for trace in store.newest()] == [make(1).id]
    assert not list((tmp_path / "spool").iterdir())


def test_many_threads_put_beside_closing_and_flushing(tmp_path: Path) -> None:
    store = TraceStore(tmp_path, connect(tmp_path), queue_size=3)

    def put(first: int) -> None:
        for number in range(first, first + 20):
            store.put(make(number))

    threads = [threading.Thread(target=put, args=(first,)) for first in (0, 20, 40, 60)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        store.close()
        store.flush()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    store.close()
    assert len(list(TraceStore(tmp_path, connect(tmp_path)).newest(limit=100))) == 80
    assert not list((tmp_path / "spool").iterdir())


def test_the_writer_outlives_an_error_of_any_kind(store: TraceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store, "_insert", fail)
    store.put(make(1))
    with pytest.raises(StorageError, match="1 trace"):
        store.flush()
    monkeypatch.undo()
    store.put(make(2))
    store.flush()
    assert [trace.id for trace in store.newest()] == [make(2).id]
    assert store.recover() == 1


def test_a_database_that_cannot_be_written_is_tried_once_for_many(
    store: TraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE traces")
    tried = []
    insert = store._insert

    def counted(traces: Sequence[module._Row]) -> None:
        tried.append(len(traces))
        insert(traces)

    monkeypatch.setattr(store, "_insert", counted)
    store._store(
        [module._Waiting(module._row(make(n), encode(make(n))), store._append(b"")) for n in range(9)]
    )
    assert tried == [9]
    with pytest.raises(StorageError, match="9 trace"):
        store.flush()


def test_a_busy_spool_goes_on_in_another_file(
    store: TraceStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 1000)
    written, go = store._insert, threading.Event()

    def slow(traces: Sequence[module._Row]) -> None:
        go.wait(20)
        written(traces)

    monkeypatch.setattr(store, "_insert", slow)
    for number in range(30):
        store.put(make(number))
    files = list((tmp_path / "spool").iterdir())
    assert len(files) > 3
    assert max(file.stat().st_size for file in files) < 1000 + len(encode(make(0))) + 8
    go.set()
    store.flush()
    assert len(list((tmp_path / "spool").iterdir())) == 1
    assert len(list(store.newest(limit=100))) == 30


def test_a_left_over_trace_that_cannot_be_read_keeps_no_other_out_and_stays(
    store: TraceStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = Segment(tmp_path / "spool")
    for record in (encode(make(1)), b"from another world", encode(make(2))):
        left.append(record)
    left.settle(failed=3)
    left.retire()
    for _ in range(2):
        assert store.recover() == 0
        assert [trace.id for trace in store.newest()] == [make(2).id, make(1).id]
        assert "1 trace(s)" in caplog.text
    assert len(list((tmp_path / "spool").iterdir())) == 1
