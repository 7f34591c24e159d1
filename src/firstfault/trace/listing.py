"""Pages of traces: what to look for and a place in, the next traces and the next place out.

A page costs the same wherever it stands: it is found by key, never by counting from the start. Words in the
question are looked for in a bounded number of traces at a time; the page says how far it came.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, select, tuple_

from firstfault.collection.schema import traces
from firstfault.errors import InputError
from firstfault.types import Trace

STATUSES = (
    "supported",
    "partial",
    "unsupported",
    "abstained",
    "unchecked",
    "malformed",
    "retrieved",
    "error",
)
"""What `status` can say of a trace."""
SCANNED = 10_000
"""Traces whose questions are read for one page when words are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the list: what follows is older."""

    at: str
    id: str

    def __str__(self) -> str:
        return f"{self.at}~{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The position that was written.

        Raises:
            InputError: it is none.
        """
        at, mark, identity = text.partition("~")
        if not mark:
            raise InputError("The place in the list is not known.", hint="Begin at the newest trace.")
        return cls(at=at, id=identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which traces to list; what is empty or None does not narrow."""

    status: str | None = None
    collections: tuple[str, ...] = ()
    words: str = ""
    """Stands in the question, whatever the case."""
    since: str | None = None
    until: str | None = None
    """ISO 8601 in UTC, half-open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePage:
    """Some traces, newest first."""

    traces: tuple[Trace, ...]
    after: Position | None
    """Where to go on; None = nothing older is left."""
    read_to: str | None = None
    """When words were looked for and the page is not full: the time of the oldest trace that was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The ids of a page."""

    ids: tuple[str, ...]
    after: Position | None
    read_to: str | None


def find(connection: Connection, wanted: Wanted, *, before: Position | None, limit: int) -> Found:
    """The ids of the next traces."""
    if wanted.words:
        return _search(connection, wanted, before, limit)
    rows = connection.execute(_query(wanted, before).limit(limit + 1)).all()
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    after = Position(at=last.at, id=last.id) if last is not None else None
    return Found(ids=tuple(row.id for row in rows[:limit]), after=after, read_to=None)


def _search(connection: Connection, wanted: Wanted, before: Position | None, limit: int) -> Found:
    words = wanted.words.casefold()
    ids: list[str] = []
    read, last = 0, None
    rows = connection.execute(_query(wanted, before).add_columns(traces.c.question).limit(SCANNED))
    for row in rows:
        read, last = read + 1, row
        if words in row.question.casefold():
            ids.append(row.id)
            if len(ids) == limit:
                break
    rows.close()
    ended = read < SCANNED and len(ids) < limit
    after = None if ended or last is None else Position(at=last.at, id=last.id)
    short = after is not None and len(ids) < limit and last is not None
    return Found(ids=tuple(ids), after=after, read_to=last.at if short and last is not None else None)


def _query(wanted: Wanted, before: Position | None) -> Select[tuple[str, str]]:
    query = select(traces.c.id, traces.c.at).order_by(traces.c.at.desc(), traces.c.id.desc())
    if wanted.status is not None:
        query = query.where(traces.c.status == wanted.status)
    if wanted.collections:
        query = query.where(traces.c.collection.in_(wanted.collections))
    if wanted.since is not None:
        query = query.where(traces.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(traces.c.at < wanted.until)
    if before is not None:
        query = query.where(tuple_(traces.c.at, traces.c.id) < tuple_(before.at, before.id))
    return query


def ordered(ids: Sequence[str], found: dict[str, Trace]) -> tuple[Trace, ...]:
    """The traces in the order of their ids; those that were dropped meanwhile are left out."""
    return tuple(found[identity] for identity in ids if identity in found)
