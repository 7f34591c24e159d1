"""The trace store: durable records of requests, written off the request path.

In: a finished `Trace`. Out: the same trace, by id or newest first, also after a kill -9.

A trace is first appended to the spool, a file that outlives the process; a single writer thread then
puts it into the database. What a killed process left in the spool is moved in by the next one. The queue
is bounded: when it is full, `put` waits.
"""

import json
import queue
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Engine, bindparam, text

from firstfault.collection.database import reading, writing
from firstfault.errors import InputError, StorageError
from firstfault.trace.listing import Position, TracePage, Wanted, find, ordered
from firstfault.trace.spool import Segment, left_over
from firstfault.types import Trace

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_PAGE = 500
"""Traces that are read at a time where many are asked for."""
_GATHER_S = 0.5
"""How long the writer waits for further traces before it writes what has come, unless somebody waits."""
_TOGETHER = 64
"""Traces in one transaction: one wait for the disk for all of them."""
_INSERT = text(
    "INSERT INTO traces (id, at, collection, question, status, record) "
    "VALUES (:id, :at, :collection, :question, :status, :record) ON CONFLICT DO NOTHING"
)


class _Waiting(NamedTuple):
    """A trace that is on its way into the database."""

    trace: Trace
    record: bytes
    segment: Segment
    """What holds it meanwhile."""


@cache
def _adapter() -> "TypeAdapter[Trace]":
    from pydantic import TypeAdapter

    return TypeAdapter(Trace)


def encode(trace: Trace) -> bytes:
    """A trace as compressed JSON."""
    return zlib.compress(_adapter().dump_json(trace), level=1)


def decode(record: bytes) -> Trace:
    """The trace that `encode` was given."""
    return _adapter().validate_json(zlib.decompress(record))


def as_dict(trace: Trace) -> dict[str, Any]:
    """A trace as plain JSON values, every field."""
    fields: dict[str, Any] = json.loads(_adapter().dump_json(trace))
    return fields


class TraceStore:
    """Traces of one home.

    Raises:
        StorageError: from `flush` and `close`, when traces could not be written; it names how many,
            and they stay in the spool for the next start.
    """

    def __init__(self, home: Path, engine: Engine, *, queue_size: int = 1024) -> None:
        self._engine = engine
        self._spool = home / "spool"
        self._segment: Segment | None = None
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(maxsize=queue_size)
        self._failure: Exception | None = None
        self._failed = 0
        """Traces that only the spool has since the last `flush`."""
        self._writer: threading.Thread | None = None
        self._appending = threading.Lock()
        self._awaited = threading.Event()
        """Set while somebody waits for what was put to be written."""
        self._partitioned = engine.dialect.name == "postgresql"
        self._days: set[str] = set()
        """Partitions that are known to be there."""

    def put(self, trace: Trace) -> None:
        """Make a trace durable and return; the database is written later.

        Raises:
            StorageError: the spool cannot be written.
        """
        record = encode(trace)
        try:
            segment = self._append(record)
        except OSError as error:
            raise StorageError(
                f"Trace {trace.id} cannot be written to {self._spool}: {error.strerror}.",
                hint="Check that the home can be written, and its disk: `firstfault gc` drops what is old.",
            ) from error
        self._queue.put(_Waiting(trace, record, segment))

    def recover(self) -> int:
        """Move in what earlier processes left in the spool. Returns how many traces that were."""
        if not self._spool.is_dir():
            return 0
        with left_over(self._spool) as records:
            for start in range(0, len(records), _TOGETHER):
                self._insert([(decode(one), one) for one in records[start : start + _TOGETHER]])
            return len(records)

    def settle(self) -> None:
        """Wait until all that was put is in the database, as far as it can be written."""
        self._awaited.set()
        try:
            self._queue.join()
        finally:
            self._awaited.clear()

    def flush(self) -> None:
        """Wait until all that was put is in the database."""
        self.settle()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            waiting, self._failed = self._failed, 0
            raise StorageError(
                f"{waiting} trace(s) could not be written to the database: {failure}.",
                hint=f"They are kept in {self._spool} and written at the next start; free disk space.",
            ) from failure

    def close(self) -> None:
        """Flush and stop the writer."""
        if self._writer is not None:
            self._awaited.set()
            self._queue.put(None)
            self._writer.join()
            self._writer = None
        try:
            self.flush()
        finally:
            if self._segment is not None:
                self._segment.close()
                self._segment = None
            self._engine.dispose()

    def get(self, trace_id: str) -> Trace:
        """The trace with this id, or with the only id that starts with it.

        Raises:
            InputError: there is no such trace, or several.
        """
        with reading(self._engine) as connection:
            found = connection.execute(
                text("SELECT record FROM traces WHERE id = :id"), {"id": trace_id}
            ).scalar()  # answered from the index, also among a million traces; LIKE reads them all
            if found is not None:
                return decode(found)
            rows = connection.execute(
                text("SELECT id, record FROM traces WHERE id LIKE :prefix ESCAPE '!' ORDER BY id LIMIT 3"),
                {"prefix": trace_id.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"},
            ).all()
        if not rows or not trace_id:
            raise InputError(f"No trace '{trace_id}'.", hint="`firstfault traces` lists them.")
        if len(rows) > 1:
            raise InputError(
                f"Several traces begin with '{trace_id}': {', '.join(row.id for row in rows)}.",
                hint="Give more of the id.",
            )
        return decode(rows[0].record)

    def several(self, trace_ids: Sequence[str]) -> dict[str, Trace]:
        """The traces with these ids; those that are no longer kept are absent."""
        found = {}
        with reading(self._engine) as connection:
            for start in range(0, len(trace_ids), _PAGE):
                page = list(trace_ids[start : start + _PAGE])
                query = text("SELECT id, record FROM traces WHERE id IN :ids").bindparams(
                    bindparam("ids", expanding=True)
                )
                for row in connection.execute(query, {"ids": page}):
                    found[row.id] = decode(row.record)
        return found

    def newest(self, *, limit: int = 20, since: str | None = None) -> Iterator[Trace]:
        """Traces, newest first; `since` is an ISO 8601 time in UTC."""
        query = text("SELECT record FROM traces WHERE at >= :since ORDER BY at DESC, id DESC LIMIT :limit")
        with reading(self._engine) as connection:
            rows = connection.execute(query, {"since": since or "", "limit": limit}).all()
        for row in rows:
            yield decode(row.record)

    def page(
        self, wanted: Wanted | None = None, *, before: Position | None = None, limit: int = 50
    ) -> TracePage:
        """The next traces after a place, newest first; every page costs the same."""
        with reading(self._engine) as connection:
            found = find(connection, wanted or Wanted(), before=before, limit=limit)
        traces = ordered(found.ids, self.several(found.ids))
        return TracePage(traces=traces, after=found.after, read_to=found.read_to)

    def drop_before(self, at: str) -> int:
        """Delete traces older than an ISO 8601 time in UTC. Returns how many."""
        dropped = 0
        with writing(self._engine) as connection:
            if self._partitioned:
                from firstfault.collection.postgres import drop_days

                dropped = drop_days(connection, at)
            return (
                dropped + connection.execute(text("DELETE FROM traces WHERE at < :at"), {"at": at}).rowcount
            )

    def _append(self, record: bytes) -> Segment:
        with self._appending:
            if self._segment is None:
                self._segment = Segment(self._spool)
            self._segment.append(record)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="trace-writer", daemon=True)
                self._writer.start()
            return self._segment

    def _write(self) -> None:
        ending = False
        while not ending:
            waiting = [self._queue.get()]
            if waiting[0] is not None:
                self._awaited.wait(_GATHER_S)
            while waiting:
                while len(waiting) < _TOGETHER and not self._queue.empty():
                    waiting.append(self._queue.get_nowait())
                ending |= None in waiting
                self._store([one for one in waiting if one is not None])
                for _ in waiting:
                    self._queue.task_done()
                waiting = [] if self._queue.empty() else [self._queue.get_nowait()]

    def _store(self, waiting: Sequence[_Waiting]) -> None:
        """Store traces together; where that fails one by one, so that none keeps the others out."""
        try:
            self._insert([(one.trace, one.record) for one in waiting])
        except (OSError, StorageError) as error:
            if len(waiting) > 1:
                for one in waiting:
                    self._store([one])
                return
            self._failure, self._failed = error, self._failed + 1
            with self._appending:
                if self._segment is waiting[0].segment:
                    self._segment = None  # it keeps the trace until the next start: write on in another
            waiting[0].segment.settle(failed=1)
            return
        for segment, stored in Counter(one.segment for one in waiting).items():
            segment.settle(stored=stored)

    def _insert(self, traces: Sequence[tuple[Trace, bytes]]) -> None:
        rows = [
            {
                "id": trace.id,
                "at": trace.at,
                "collection": trace.collection,
                "question": trace.question,
                "status": status(trace),
                "record": record,
            }
            for trace, record in traces
        ]
        for row in rows:
            self._ensure_day(str(row["at"]))
        if rows:
            with writing(self._engine, catalog=False) as connection:
                connection.execute(_INSERT, rows)

    def _ensure_day(self, at: str) -> None:
        """Where traces are kept by days, there must be a place for this one."""
        if self._partitioned and at[:10] not in self._days:
            from firstfault.collection.postgres import ensure_day

            with writing(self._engine, catalog=False) as connection:
                ensure_day(connection, at)
            self._days.add(at[:10])


def status(trace: Trace) -> str:
    """One word: `error`, `retrieved` (nothing was to be generated), `abstained`, `malformed` (it breaks its
    schema), `unchecked` (it states nothing that could be), `supported`, `partial` or `unsupported`."""
    if trace.error is not None:
        return "error"
    if trace.answer is None:
        return "retrieved"
    if trace.answer.abstained:
        return "abstained"
    if trace.format is not None and not trace.format.valid:
        return "malformed"
    alone = trace.context is not None and not trace.context.passages
    if alone or (trace.format is not None and not trace.answer.claims):
        return "unchecked"
    labels = {claim.verdict.label for claim in trace.answer.claims}
    return "supported" if labels <= {"supported"} else "partial" if "supported" in labels else "unsupported"
