"""Readings and feedback in the database of a home.

In: readings as requests finish, and opinions of users. Out: the readings of a window, oldest first.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, bindparam, delete, insert, select, text, update

from firstfault.collection.database import reading, writing
from firstfault.collection.schema import feedback as feedback_table
from firstfault.collection.schema import monitor_state
from firstfault.collection.schema import readings as readings_table
from firstfault.config import MonitorConfig
from firstfault.errors import InputError
from firstfault.monitor.reading import Reading, is_watched, read
from firstfault.trace.store import decode
from firstfault.types import Trace

MOST = 5_000
"""Readings that a window holds at most; of more, the newest."""
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which requests are meant. What is None is not looked at."""

    collection: str | None = None
    model: str | None = None
    adapter: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a user thought of an answer."""

    trace_id: str
    at: str
    verdict: Literal["up", "down"]
    note: str


def now() -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Readings:
    """The readings of one home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._passed_over: set[str] = set()
        """Traces that are no traffic, so that they are not looked at again."""

    def add(self, found: Iterable[Reading]) -> int:
        """Store readings; those that are there already stay. Returns how many were given."""
        rows = {
            one.trace_id: {
                "trace_id": one.trace_id,
                "at": one.at,
                "collection": one.collection,
                "model": one.model,
                "adapter": one.adapter,
                "key": one.key,
                "record": {"times": dict(one.times), "values": dict(one.values), "facts": dict(one.facts)},
            }
            for one in found
        }
        if rows:
            stored = select(readings_table.c.trace_id).where(readings_table.c.trace_id.in_(list(rows)))
            with writing(self._engine) as connection:
                known = set(connection.scalars(stored))
                new = [row for trace_id, row in rows.items() if trace_id not in known]
                if new:
                    connection.execute(insert(readings_table), new)
        return len(rows)

    def catch_up(self, settings: MonitorConfig, *, limit: int = 20_000) -> int:
        """Read the newest traces that have no reading yet. Returns how many that were."""
        query = text(
            "SELECT t.id FROM traces t LEFT JOIN readings r ON r.trace_id = t.id "
            "WHERE r.trace_id IS NULL AND t.at >= :since ORDER BY t.at DESC LIMIT :limit"
        )
        with reading(self._engine) as connection:
            newest = connection.execute(text("SELECT max(at) FROM readings")).scalar()
            since = _an_hour_before(newest) if newest else ""
            ids = list(connection.execute(query, {"since": since, "limit": limit}).scalars())
        missing = [one for one in ids if one not in self._passed_over]
        done = 0
        for start in range(0, len(missing), _PAGE):
            page = self._traces(missing[start : start + _PAGE])
            self._passed_over.update(one.id for one in page if not is_watched(one))
            done += self.add(read(trace, settings) for trace in page if is_watched(trace))
        return done

    def window(
        self,
        *,
        since: str = "",
        until: str | None = None,
        slice_: Slice | None = None,
        limit: int = MOST,
        oldest: bool = False,
    ) -> list[Reading]:
        """Readings from `since` (included) to `until` (excluded), ISO 8601 in UTC, oldest first.

        Of more than `limit` the newest are taken, or the `oldest`.
        """
        columns = readings_table.c
        query = select(readings_table).where(columns.at >= since)
        if until is not None:
            query = query.where(columns.at < until)
        for name in ("collection", "model", "adapter", "key"):
            wanted = getattr(slice_, name) if slice_ is not None else None
            if wanted is not None:
                query = query.where(columns[name] == wanted)
        order = (columns.at, columns.trace_id) if oldest else (columns.at.desc(), columns.trace_id.desc())
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(*order).limit(limit)).all()
            downs = self._downs(connection, since)
        found = [_reading(row, downs) for row in rows]
        return found if oldest else found[::-1]

    def unknown(self, known: Container[str], *, since: str = "", limit: int = MOST) -> list[Reading]:
        """The newest readings from `since` whose trace is not among the known ones, oldest first; without
        feedback."""
        columns = readings_table.c
        ids = select(columns.trace_id).where(columns.at >= since).order_by(columns.at.desc())
        with reading(self._engine) as connection:
            wanted = [one for one in connection.scalars(ids.limit(limit)) if one not in known]
            found: list[Any] = []
            for start in range(0, len(wanted), _PAGE):
                page = select(readings_table).where(columns.trace_id.in_(wanted[start : start + _PAGE]))
                found.extend(connection.execute(page).all())
        return sorted((_reading(row, {}) for row in found), key=lambda one: (one.at, one.trace_id))

    def update_values(self, trace_id: str, values: dict[str, float]) -> None:
        """Add signals that were computed later."""
        query = select(readings_table.c.record).where(readings_table.c.trace_id == trace_id)
        with writing(self._engine) as connection:
            record = connection.execute(query).scalar()
            if record is not None:
                record = {**record, "values": {**record["values"], **values}}
                connection.execute(
                    update(readings_table).where(readings_table.c.trace_id == trace_id).values(record=record)
                )

    def give_feedback(self, trace_id: str, verdict: str, note: str = "") -> Feedback:
        """Keep what a user thought of an answer.

        Raises:
            InputError: the verdict is neither `up` nor `down`, or there is no such trace.
        """
        if verdict not in ("up", "down"):
            raise InputError(f"'{verdict}' is no feedback.", hint="Give up or down.")
        with reading(self._engine) as connection:
            known = connection.execute(text("SELECT 1 FROM traces WHERE id = :id"), {"id": trace_id}).scalar()
        if not known:
            raise InputError(f"There is no trace '{trace_id[:80]}'.", hint="`firstfault traces` lists them.")
        made = Feedback(trace_id=trace_id, at=now(), verdict="up" if verdict == "up" else "down", note=note)
        with writing(self._engine) as connection:
            connection.execute(
                insert(feedback_table).values(
                    trace_id=made.trace_id, at=made.at, verdict=made.verdict, note=made.note
                )
            )
        return made

    def feedback(self, *, trace_id: str | None = None, limit: int = 100) -> list[Feedback]:
        """Opinions, newest first; of one request, or of all."""
        query = select(feedback_table).order_by(feedback_table.c.id.desc()).limit(limit)
        if trace_id is not None:
            query = query.where(feedback_table.c.trace_id == trace_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [Feedback(trace_id=r.trace_id, at=r.at, verdict=r.verdict, note=r.note) for r in rows]

    def feedback_since(self, number: int) -> tuple[int, list[tuple[Feedback, str]]]:
        """Opinions after the one of this number, oldest first, each with the collection of its request; and
        the number of the newest."""
        query = (
            select(feedback_table, readings_table.c.collection)
            .join(readings_table, readings_table.c.trace_id == feedback_table.c.trace_id)
            .where(feedback_table.c.id > number)
            .order_by(feedback_table.c.id)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        found = [
            (Feedback(trace_id=r.trace_id, at=r.at, verdict=r.verdict, note=r.note), r.collection)
            for r in rows
        ]
        return max([number, *(row.id for row in rows)]), found

    def state(self, name: str) -> Any:
        """What was remembered under a name; None = nothing."""
        query = select(monitor_state.c.record).where(monitor_state.c.name == name)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar()

    def remember(self, name: str, record: Any) -> None:
        """Keep JSON values under a name."""
        with writing(self._engine) as connection:
            connection.execute(delete(monitor_state).where(monitor_state.c.name == name))
            connection.execute(insert(monitor_state).values(name=name, record=record))

    def drop_before(self, at: str) -> int:
        """Delete readings and feedback older than an ISO 8601 time in UTC. Returns how many readings."""
        with writing(self._engine) as connection:
            connection.execute(delete(feedback_table).where(feedback_table.c.at < at))
            return connection.execute(delete(readings_table).where(readings_table.c.at < at)).rowcount

    def _traces(self, ids: list[str]) -> list[Trace]:
        query = text("SELECT record FROM traces WHERE id IN :ids").bindparams(
            bindparam("ids", expanding=True)
        )
        with reading(self._engine) as connection:
            return [decode(record) for record in connection.execute(query, {"ids": ids}).scalars()]

    @staticmethod
    def _downs(connection: Any, since: str) -> dict[str, bool]:
        """Trace → whether the newest feedback on it says that the answer is wrong."""
        query = select(feedback_table.c.trace_id, feedback_table.c.verdict).where(
            feedback_table.c.at >= since
        )
        return {
            row.trace_id: row.verdict == "down"
            for row in connection.execute(query.order_by(feedback_table.c.id))
        }


def _reading(row: Any, downs: dict[str, bool]) -> Reading:
    made = Reading(
        trace_id=row.trace_id,
        at=row.at,
        collection=row.collection,
        model=row.model,
        adapter=row.adapter,
        key=row.key,
        **row.record,
    )
    if made.trace_id in downs:
        made = replace(made, values={**made.values, "thumbs_down": float(downs[made.trace_id])})
    return made


def _an_hour_before(at: str) -> str:
    return (datetime.fromisoformat(at) - timedelta(hours=1)).isoformat(timespec="milliseconds")
