"""Incidents: alerts that fire together, the diagnosis of their first fault, and what was done about it.

In: alerts, a diagnosis, notes. Out: one stored incident with a timeline, and a post-mortem in Markdown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, delete, insert, select, update

from firstfault.collection.database import connect, reading, writing
from firstfault.collection.lookup import find
from firstfault.collection.schema import alerts, incident_entries
from firstfault.collection.schema import incidents as incidents_table
from firstfault.monitor.readings import now
from firstfault.trace.record import new_trace_id
from firstfault.types import Trial

Kind = Literal["opened", "alert", "diagnosis", "change", "message", "fix", "note", "resolved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that happened, on the timeline."""

    at: str
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Alerts of one collection that fire together, and what is behind them."""

    id: str
    at: str
    """When it was opened."""
    collection: str
    state: Literal["open", "resolved"]
    stage: str
    """Of the first fault: as diagnosed, else the earliest stage whose rule fires."""
    cause: str | None
    """As diagnosed, else of that rule."""
    proven: bool
    """Whether a diagnosis named stage and cause; otherwise they are what the rules point to."""
    title: str
    summary: str
    """One sentence that a message carries."""
    began: str | None
    """Since when the evidence piles up."""
    evidence: str
    """What the diagnosis saw."""
    rules: tuple[str, ...]
    """Names of the rules that fire or fired, the earliest stage first."""
    traces: tuple[str, ...]
    """Requests to look at."""
    changes: tuple[str, ...]
    """What was changed about the time it began: settings, model, corpus ..."""
    diagnosis: Mapping[str, Any] | None
    """As `diagnose --json` prints it; None while there is none."""
    diagnosis_note: str
    """How it was made, or why there is none."""
    next_command: str
    resolved_at: str | None = None


class IncidentStore:
    """The incidents of one home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(self, incident: Incident) -> None:
        """Store an incident, or what became of it."""
        fields = asdict(incident)
        columns = {name: fields.pop(name) for name in ("id", "at", "state", "collection")}
        known = select(incidents_table.c.id).where(incidents_table.c.id == incident.id)
        with writing(self._engine) as connection:
            if connection.execute(known).scalar():
                where = incidents_table.c.id == incident.id
                connection.execute(
                    update(incidents_table).where(where).values(state=incident.state, record=fields)
                )
            else:
                connection.execute(insert(incidents_table).values(**columns, record=fields))

    def get(self, incident_id: str) -> Incident:
        """The incident with this id, the only one whose id begins with it, or the newest for "last".

        Raises:
            InputError: there is no such incident, or several.
        """
        return _incident(
            find(self._engine, incidents_table, incident_id, what="incident", listed_by="firstfault incident")
        )

    def open_one(self, collection: str) -> Incident | None:
        """The open incident of a collection."""
        query = select(incidents_table).where(
            incidents_table.c.state == "open", incidents_table.c.collection == collection
        )
        return next(iter(self._all(query.order_by(incidents_table.c.id.desc()).limit(1))), None)

    def newest(self, *, limit: int = 20) -> list[Incident]:
        """Incidents, newest first."""
        return self._all(select(incidents_table).order_by(incidents_table.c.id.desc()).limit(limit))

    def note(self, incident_id: str, kind: Kind, text: str, *, at: str | None = None) -> Entry:
        """Put something on the timeline."""
        made = Entry(at=at or now(), kind=kind, text=text)
        with writing(self._engine) as connection:
            connection.execute(
                insert(incident_entries).values(incident_id=incident_id, at=made.at, kind=kind, text=text)
            )
        return made

    def timeline(self, incident_id: str) -> list[Entry]:
        """What happened, in order."""
        query = select(incident_entries).where(incident_entries.c.incident_id == incident_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(incident_entries.c.at, incident_entries.c.id)).all()
        return [Entry(at=row.at, kind=row.kind, text=row.text) for row in rows]

    def drop_before(self, at: str) -> int:
        """Delete resolved incidents older than an ISO 8601 time in UTC, with alerts and timeline."""
        old = select(incidents_table.c.id).where(
            incidents_table.c.at < at, incidents_table.c.state == "resolved"
        )
        with writing(self._engine) as connection:
            connection.execute(delete(incident_entries).where(incident_entries.c.incident_id.in_(old)))
            connection.execute(delete(alerts).where(alerts.c.incident_id.in_(old)))
            return connection.execute(
                delete(incidents_table).where(
                    incidents_table.c.at < at, incidents_table.c.state == "resolved"
                )
            ).rowcount

    def _all(self, query: Any) -> list[Incident]:
        with reading(self._engine) as connection:
            return [_incident(row) for row in connection.execute(query)]


def _incident(row: Any) -> Incident:
    lists = {name: tuple(row.record[name]) for name in ("rules", "traces", "changes")}
    return Incident(
        id=row.id, at=row.at, state=row.state, collection=row.collection, **{**row.record, **lists}
    )


def note_trials(home: Path, collection: str, trials: Sequence[Trial]) -> None:
    """Put the fixes that were tried on the timeline of the open incident of a collection, if there is one."""
    engine = connect(home)
    try:
        store = IncidentStore(engine)
        incident = store.open_one(collection)
        if incident is None:
            return
        for trial in trials:
            changes = ", ".join(f"{name} = {value}" for name, value in trial.patch.items())
            tried = changes or trial.repair or "nothing"
            proven = "proven on holdout" if trial.verified else "not proven"
            text = f"{tried}: {trial.metric} {trial.before:.3f} → {trial.after:.3f}, {proven}: {trial.reason}"
            store.note(incident.id, "fix", text)
    finally:
        engine.dispose()


def new_incident_id() -> str:
    """A sortable, unguessable id."""
    return f"incident-{new_trace_id()}"


def postmortem(incident: Incident, timeline: Sequence[Entry], found: Sequence[Any]) -> str:
    """The incident as Markdown: what happened, how it is known, what was done. `found` are its alerts."""
    known = "diagnosed" if incident.proven else "as far as the alert rules can tell"
    lines = [
        f"# {incident.title}",
        "",
        f"- Incident: `{incident.id}`, collection `{incident.collection}`",
        f"- State: {incident.state}" + (f", resolved {incident.resolved_at}" if incident.resolved_at else ""),
        f"- Began: {incident.began or 'unknown'}; opened: {incident.at}",
        f"- First fault: **{incident.stage}**"
        + (f" / `{incident.cause}`" if incident.cause else "")
        + f" ({known})",
        "",
        "## Summary",
        "",
        incident.summary,
        "",
        "## Evidence",
        "",
        incident.evidence or "None yet.",
        "",
        incident.diagnosis_note,
        "",
        "## What had changed",
        "",
        *([f"- {change}" for change in incident.changes] or ["Nothing that the traces show."]),
        "",
        "## Alerts",
        "",
        "| rule | stage | state | what was seen | since |",
        "|---|---|---|---|---|",
        *(f"| {a.title} | {a.stage} | {a.state} | {a.reason} | {a.began or ''} |" for a in found),
        "",
        "## Timeline",
        "",
        *(f"- {entry.at} **{entry.kind}** {' '.join(entry.text.split())}" for entry in timeline),
        "",
        "## What to do",
        "",
        f"Next: `{incident.next_command}`",
        "",
        "Requests to look at: " + (", ".join(f"`{one}`" for one in incident.traces) or "none"),
        "",
    ]
    return "\n".join(lines)
