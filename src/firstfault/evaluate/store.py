"""Runs in the database of a home: begun, added to case by case, finished, found again."""

import zlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, delete, insert, select, update

from firstfault.collection.database import reading, writing
from firstfault.collection.lookup import find
from firstfault.collection.schema import run_cases, runs
from firstfault.types import CaseResult, Run

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def encode(value: Run | CaseResult) -> bytes:
    """A run or a result as compressed JSON."""
    kind: Any = type(value)
    return zlib.compress(_adapter(kind).dump_json(value), level=1)


class RunStore:
    """The runs of one home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def begin(self, run: Run) -> None:
        """Store a run that has no results yet."""
        row = {"id": run.id, "at": run.at, "finished": False, "record": encode(run)}
        with writing(self._engine) as connection:
            connection.execute(insert(runs).values(row))

    def add(self, run_id: str, position: int, result: CaseResult) -> None:
        """Store the result of the case at a position of the file; it survives a crash from here on."""
        row = {"run_id": run_id, "position": position, "record": encode(result)}
        with writing(self._engine) as connection:
            connection.execute(insert(run_cases).values(row))

    def finish(self, run: Run) -> None:
        """Store the metrics of a run."""
        with writing(self._engine) as connection:
            connection.execute(
                update(runs).where(runs.c.id == run.id).values(finished=True, record=encode(run))
            )

    def unfinished(self, like: Run) -> Run | None:
        """The newest unfinished run of the same cases under the same conditions."""
        query = select(runs.c.record).where(~runs.c.finished).order_by(runs.c.at.desc(), runs.c.id.desc())
        with reading(self._engine) as connection:
            found = [_decode_run(record) for record in connection.scalars(query)]
        return next((run for run in found if _conditions(run) == _conditions(like)), None)

    def finished(self, like: Run) -> Run | None:
        """The newest finished run of the same cases under the same conditions."""
        query = select(runs.c.record).where(runs.c.finished).order_by(runs.c.at.desc(), runs.c.id.desc())
        with reading(self._engine) as connection:
            for record in connection.scalars(query):
                run = _decode_run(record)
                if _conditions(run) == _conditions(like):
                    return run
        return None

    def results(self, run_id: str) -> dict[int, CaseResult]:
        """Position → result, in the order of the cases."""
        query = select(run_cases.c.position, run_cases.c.record).where(run_cases.c.run_id == run_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(run_cases.c.position)).all()
        adapter = _adapter(CaseResult)
        return {position: adapter.validate_json(zlib.decompress(record)) for position, record in rows}

    def get(self, run_id: str) -> Run:
        """The run with this id, with the only id that begins with it, or the newest for "last".

        Raises:
            InputError: there is no such run, or several.
        """
        row = find(self._engine, runs, run_id, what="run", listed_by="firstfault runs", last=runs.c.finished)
        return _decode_run(row.record)

    def newest(self, *, limit: int = 20) -> Sequence[Run]:
        """Runs, newest first."""
        query = select(runs.c.record).order_by(runs.c.at.desc(), runs.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_decode_run(record) for record in connection.scalars(query)]

    def drop_before(self, at: str) -> int:
        """Delete runs that began before an ISO 8601 time in UTC, with their results. Returns how many."""
        old = select(runs.c.id).where(runs.c.at < at)
        with writing(self._engine) as connection:
            connection.execute(delete(run_cases).where(run_cases.c.run_id.in_(old)))
            return connection.execute(delete(runs).where(runs.c.at < at)).rowcount


def _decode_run(record: bytes) -> Run:
    run: Run = _adapter(Run).validate_json(zlib.decompress(record))
    return run


def _conditions(run: Run) -> tuple[object, ...]:
    """What must agree for a run to be continued."""
    return run.cases_hash, run.collection, run.corpus_version, run.fingerprint, run.generation
