"""The trace store: durable records of requests, written off the request path.

In: a finished `Trace`. Out: the same trace, by id or newest first, also after a kill -9.

A trace is first appended to the spool, a file that outlives the process; a single writer thread then
puts it into the database. What a killed process left in the spool is moved in by the next one. The queue
is bounded: when it is full, `put` waits.
"""

import json
import logging
import queue
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Engine, bindparam, text
from sqlalchemy import exc as sql

from firstfault.collection.database import reading, writing
from firstfault.errors import InputError, StorageError
from firstfault.trace.listing import Position, TracePage, Wanted, find, ordered
from firstfault.trace.spool import Segment, take_over
from firstfault.types import Trace

if TYPE_CHECKING:
    from pydantic import TypeAdapter

logger = logging.getLogger(__name__)

_PAGE = 500
"""Traces that are read at a time where many are asked for."""
_GATHER_S = 0.5
"""How long the writer waits for further traces before it writes what has come, unless somebody waits."""
_TOGETHER = 64
"""Traces in one transaction: one wait for the disk for all of them."""
_SEGMENT_BYTES = 4 << 20
"""Another file of the spool is begun after so much: one that is never idle would never be emptied."""
_INSERT = text(
    "INSERT INTO traces (id, at, collection, question, status, record) "
    "VALUES (:id, :at, :collection, :question, :status, :record) ON CONFLICT DO NOTHING"
)


class _Row(NamedTuple):
    """A trace as the database has it; the trace itself need not outlive its request."""

    id: str
    at: str
    collection: str
    question: str
    status: str
    record: bytes


class _Waiting(NamedTuple):
    """A trace that is on its way into the database."""

    row: _Row
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
        self._queue: queue.Queue[_Waiting | threading.Event | None] = queue.Queue(maxsize=queue_size)
        """Traces, what is set when all before it are stored, and None when the writer shall end."""
        self._failure: Exception | None = None
        self._failed = 0
        """Traces that only the spool has since the last `flush`."""
        self._writer: threading.Thread | None = None
        self._appending = threading.Lock()
        self._awaited = threading.Event()
        """Set when somebody waits for what was put to be written; cleared by the writer, who then does."""
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
        self._enqueue(_Waiting(_row(trace, record), segment))

    def recover(self) -> int:
        """Move in what earlier processes left in the spool. Returns how many traces that were.

        A trace that cannot be read or is refused stays there, which is said.

        Raises:
            StorageError: the database takes none at all.
        """
        return take_over(self._spool, self._move_in)

    def settle(self) -> None:
        """Wait until all that was put before is in the database, as far as it can be written."""
        with self._appending:
            if self._writer is None and self._queue.empty():
                return
        stored = threading.Event()
        self._enqueue(stored, at_once=True)
        stored.wait()

    def flush(self) -> None:
        """Wait until all that was put is in the database."""
        self.settle()
        with self._appending:
            failure, self._failure = self._failure, None
            waiting, self._failed = self._failed, 0
        if failure is not None:
            raise StorageError(
                f"{waiting} trace(s) could not be written to the database: {failure}.",
                hint=f"They are kept in {self._spool} and written at the next start; free disk space.",
            ) from failure

    def close(self) -> None:
        """Flush and stop the writer. What another thread puts meanwhile is stored as well."""
        writer = self._writer
        if writer is not None:
            self._enqueue(None, at_once=True)
            writer.join()
        try:
            self.flush()
        finally:
            with self._appending:
                self._retire()
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
            if self._segment is not None and self._segment.size >= _SEGMENT_BYTES:
                self._retire()
            if self._segment is None:
                self._segment = Segment(self._spool)
            segment = self._segment
            try:
                segment.append(record)
            except OSError:
                self._retire()
                raise
            return segment

    def _retire(self) -> None:
        """Write on in another segment; the lock is held."""
        if self._segment is not None:
            self._segment.retire()
            self._segment = None

    def _enqueue(self, item: _Waiting | threading.Event | None, *, at_once: bool = False) -> None:
        """Give something to the writer, who need not be running, and has ended only if it has all."""
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._awaited.set()
            self._queue.put(item)
        if at_once:
            self._awaited.set()
        with self._appending:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="trace-writer", daemon=True)
                self._writer.start()

    def _write(self) -> None:
        ending = False
        while True:
            waiting = [self._queue.get()]
            if isinstance(waiting[0], _Waiting):
                self._awaited.wait(_GATHER_S)
            self._awaited.clear()
            while waiting:
                while len(waiting) < _TOGETHER and not self._queue.empty():
                    waiting.append(self._queue.get_nowait())
                self._store([one for one in waiting if isinstance(one, _Waiting)])
                for one in waiting:
                    if isinstance(one, threading.Event):
                        one.set()
                    ending |= one is None
                waiting = [] if self._queue.empty() else [self._queue.get_nowait()]
            with self._appending:
                if ending and self._queue.empty():
                    self._writer = None
                    return

    def _store(self, waiting: Sequence[_Waiting]) -> None:
        """Store traces together; where one is refused one by one, so that none keeps the others out."""
        segments = Counter(one.segment for one in waiting)
        try:
            self._insert([one.row for one in waiting])
        except Exception as error:  # noqa: BLE001 - whatever it is, the spool has them and the writer goes on
            if len(waiting) > 1 and not _refuses_all(error):
                for one in waiting:
                    self._store([one])
                return
            with self._appending:
                self._failure, self._failed = error, self._failed + len(waiting)
                self._retire()  # it keeps the traces until the next start
            for segment, failed in segments.items():
                segment.settle(failed=failed)
            return
        for segment, stored in segments.items():
            segment.settle(stored=stored)

    def _move_in(self, records: list[bytes]) -> bool:
        """Store what a process left over; False when some of it stays behind."""
        refused: list[Exception] = []

        def store(part: Sequence[bytes]) -> None:
            try:
                self._insert([_row(decode(one), one) for one in part])
            except Exception as error:
                if _refuses_all(error):
                    raise
                if len(part) == 1:
                    refused.append(error)
                else:
                    for one in part:
                        store([one])

        for start in range(0, len(records), _TOGETHER):
            store(records[start : start + _TOGETHER])
        if refused:
            first = refused[0]
            logger.warning(
                "%d trace(s) in %s stay there until the next start: %s",
                len(refused),
                self._spool,
                first if isinstance(first, StorageError) else type(first).__name__,  # it may quote the trace
            )
        return not refused

    def _insert(self, rows: Sequence[_Row]) -> None:
        for row in rows:
            self._ensure_day(row.at)
        if rows:
            with writing(self._engine, catalog=False) as connection:
                connection.execute(_INSERT, [row._asdict() for row in rows])

    def _ensure_day(self, at: str) -> None:
        """Where traces are kept by days, there must be a place for this one."""
        if self._partitioned and at[:10] not in self._days:
            from firstfault.collection.postgres import ensure_day

            with writing(self._engine, catalog=False) as connection:
                ensure_day(connection, at)
            self._days.add(at[:10])


def _row(trace: Trace, record: bytes) -> _Row:
    question = trace.question.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL takes none
    return _Row(trace.id, trace.at, trace.collection, question, status(trace), record)


def _refuses_all(error: Exception) -> bool:
    """Whether it is the database as a whole that cannot be written, so that no other trace need be tried."""
    return isinstance(error.__context__ if isinstance(error, StorageError) else error, _OF_THE_DATABASE)


_OF_THE_DATABASE = OSError, sql.OperationalError, sql.TimeoutError
"""Locked, full, gone, or no connection free."""


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
