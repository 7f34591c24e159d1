"""Alerts: what the rules say now in, one stored alert a rule that is out of order, with its state, out.

A rule is pending when its test is half way to its alarm, firing when it is there, resolved when it has found
the way back. An alert that never fired is forgotten.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sqlalchemy import Engine, delete, insert, select

from firstfault.collection.database import reading, writing
from firstfault.collection.schema import alerts as alerts_table
from firstfault.monitor.readings import now
from firstfault.monitor.rules import LEAST, Rule
from firstfault.monitor.sequential import Stream
from firstfault.monitor.signals import signal_of
from firstfault.monitor.windows import estimate
from firstfault.trace.record import new_trace_id
from firstfault.types import Verdict

PENDING_FROM = 0.6
"""Share of the way to its alarm from which on a rule is pending."""

State = Literal["pending", "firing", "resolved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule sees at the moment."""

    rule: Rule
    level: float
    """0 to 1; 1 = it fires."""
    measured: float | None
    """Share of failures since it began, or the mean over the window of a limit."""
    limit: float | None
    """What is usual, or the limit."""
    reason: str
    began: str | None = None
    began_trace: str | None = None
    failing: int = 0
    requests: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A rule that is, or was, out of order."""

    id: str
    at: str
    """When it became pending, ISO 8601 in UTC; like all times here."""
    collection: str
    rule: str
    signal: str
    title: str
    stage: str
    """As far as the rule itself can tell; the incident knows better."""
    cause: str | None
    """The line of the playbook to look at first."""
    state: State
    level: float
    reason: str
    """What was seen, in a sentence."""
    measured: float | None
    limit: float | None
    began: str | None
    """Since when the evidence piles up."""
    began_trace: str | None
    failing: int
    requests: int
    """`failing` of so many requests since then."""
    examples: tuple[str, ...]
    """Traces that failed, newest first."""
    fired_at: str | None = None
    resolved_at: str | None = None
    incident_id: str | None = None

    def verdict(self) -> Verdict:
        """As the health page shows it; the name begins with the stage."""
        return Verdict(
            name=f"{self.stage} {self.rule}",
            status="fail" if self.state == "firing" else "warn" if self.state == "pending" else "ok",
            measured=self.measured,
            limit=self.limit,
            reason=f"{self.title}: {self.reason}",
            remedy=f"firstfault incident {self.incident_id}" if self.incident_id else "",
        )


class AlertStore:
    """The alerts of one home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, alert: Alert) -> None:
        """Store an alert, or what became of it."""
        fields = asdict(alert)
        columns = {
            name: fields.pop(name) for name in ("id", "at", "state", "collection", "rule", "incident_id")
        }
        with writing(self._engine) as connection:
            connection.execute(delete(alerts_table).where(alerts_table.c.id == alert.id))
            connection.execute(insert(alerts_table).values(**columns, record=fields))

    def forget(self, alert_id: str) -> None:
        """Delete an alert that never fired."""
        with writing(self._engine) as connection:
            connection.execute(delete(alerts_table).where(alerts_table.c.id == alert_id))

    def current(self, collection: str | None = None) -> list[Alert]:
        """Pending and firing alerts, oldest first."""
        query = select(alerts_table).where(alerts_table.c.state != "resolved").order_by(alerts_table.c.id)
        if collection is not None:
            query = query.where(alerts_table.c.collection == collection)
        return self._all(query)

    def newest(self, *, limit: int = 50) -> list[Alert]:
        """Alerts of any state, newest first."""
        return self._all(select(alerts_table).order_by(alerts_table.c.id.desc()).limit(limit))

    def of_incident(self, incident_id: str) -> list[Alert]:
        """The alerts that an incident explains, oldest first."""
        query = select(alerts_table).where(alerts_table.c.incident_id == incident_id)
        return self._all(query.order_by(alerts_table.c.id))

    def drop_before(self, at: str) -> int:
        """Delete resolved alerts older than an ISO 8601 time in UTC. Returns how many."""
        old = (alerts_table.c.at < at) & (alerts_table.c.state == "resolved")
        with writing(self._engine) as connection:
            return connection.execute(delete(alerts_table).where(old)).rowcount

    def _all(self, query: Any) -> list[Alert]:
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [
            Alert(
                id=row.id,
                at=row.at,
                state=row.state,
                collection=row.collection,
                rule=row.rule,
                incident_id=row.incident_id,
                **{**row.record, "examples": tuple(row.record["examples"])},
            )
            for row in rows
        ]


def by_drift(rule: Rule, stream: Stream) -> Finding | None:
    """What a sequential test says; None before its baseline is known."""
    rest = stream.rest
    if rest is None:
        return None
    failing, requests = stream.failing
    signal = signal_of(rule.signal)
    if signal.kind == "failure":
        reason = f"{failing} of {requests} requests, usually {rest.usual:.1%}"
    else:
        unit = " ms" if signal.kind == "time" else ""
        sign = ">" if rest.bad == "above" else "<"
        reason = f"{signal.label} {sign} {rest.limit:.4g}{unit} in {failing} of {requests} requests, " + (
            f"usually {rest.usual:.4g}{unit}"
        )
    return Finding(
        rule=rule,
        level=stream.level,
        measured=failing / requests if requests else None,
        limit=rest.failures,
        reason=reason,
        began=stream.began_at,
        began_trace=stream.began,
        failing=failing,
        requests=requests,
        examples=stream.examples(),
    )


def by_limit(rule: Rule, limit: float, values: Sequence[tuple[str, str, float]]) -> Finding | None:
    """Whether the newest values (trace, time, value) are surely beyond a limit: by their 95 % interval.

    None where there are too few.
    """
    newest = values[-rule.requests :]
    if len(newest) < LEAST:
        return None
    lower = signal_of(rule.signal).lower_is_better
    numbers = [value for _, _, value in newest]
    mean, low, high = estimate(numbers)
    assert mean is not None
    beyond = [one for one in newest if (one[2] > limit if lower else one[2] < limit)]
    edge = low if lower else high
    surely = edge is not None and (edge > limit if lower else edge < limit)
    over = mean > limit if lower else mean < limit
    return Finding(
        rule=rule,
        level=1.0 if surely else PENDING_FROM if over else 0.0,
        measured=round(mean, 4),
        limit=limit,
        reason=f"{mean:.3f} over {len(newest)} requests, limit {limit:g}",
        began=beyond[0][1] if beyond else None,
        began_trace=beyond[0][0] if beyond else None,
        failing=len(beyond),
        requests=len(newest),
        examples=tuple(trace_id for trace_id, _, _ in reversed(beyond))[:5],
    )


def update(store: AlertStore, collection: str, findings: Sequence[Finding]) -> list[Alert]:
    """Bring the stored alerts of a collection in line with what the rules see. Returns those that changed
    their state."""
    current = {alert.rule: alert for alert in store.current(collection)}
    changed = []
    for finding in findings:
        before = current.get(finding.rule.name)
        after = _after(before, collection, finding)
        if after is None:
            if before is not None:
                store.forget(before.id)
            continue
        if after != before:
            store.put(after)
        if before is None or before.state != after.state:
            changed.append(after)
    return changed


def _after(before: Alert | None, collection: str, finding: Finding) -> Alert | None:
    firing, pending = finding.level >= 1.0, finding.level >= PENDING_FROM
    if before is None:
        if not pending:
            return None
        made = _seen(_new(collection, finding), finding)
        return replace(made, state="firing", fired_at=now()) if firing else made
    if before.state == "firing":
        if firing:
            return _seen(before, finding)
        return replace(before, state="resolved", level=finding.level, resolved_at=now())
    if firing:
        return replace(_seen(before, finding), state="firing", fired_at=now())
    return _seen(before, finding) if pending else None


def _new(collection: str, finding: Finding) -> Alert:
    rule = finding.rule
    return Alert(
        id=f"alert-{new_trace_id()}",
        at=now(),
        collection=collection,
        rule=rule.name,
        signal=rule.signal,
        title=rule.title,
        stage=rule.blamed,
        cause=rule.cause,
        state="pending",
        level=0.0,
        reason="",
        measured=None,
        limit=None,
        began=None,
        began_trace=None,
        failing=0,
        requests=0,
        examples=(),
    )


def _seen(alert: Alert, finding: Finding) -> Alert:
    return replace(
        alert,
        level=round(finding.level, 3),
        reason=finding.reason,
        measured=finding.measured,
        limit=finding.limit,
        began=finding.began,
        began_trace=finding.began_trace,
        failing=finding.failing,
        requests=finding.requests,
        examples=finding.examples,
    )
