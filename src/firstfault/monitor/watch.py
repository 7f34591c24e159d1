"""The watch: new readings in, alerts, incidents and messages out; one `tick` after the other.

Used by one thread. What it has learnt is kept in the home, so that the next process goes on where it ended.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Engine

from firstfault.config import Settings
from firstfault.diagnose.playbook import OVER_BUDGET
from firstfault.monitor import rules as rules_
from firstfault.monitor.alerts import Alert, AlertStore, Finding, by_drift, by_limit, update
from firstfault.monitor.channels import Event, Send, compose, deliver
from firstfault.monitor.explain import Explanation, pointed_to
from firstfault.monitor.incidents import Incident, IncidentStore, new_incident_id
from firstfault.monitor.reading import Reading, beside
from firstfault.monitor.readings import Readings, now
from firstfault.monitor.rules import Rule
from firstfault.monitor.sampled import SIGNALS as SAMPLED
from firstfault.monitor.sequential import Stream
from firstfault.monitor.signals import ANY, signal_of
from firstfault.stages import Stage
from firstfault.types import Verdict

logger = logging.getLogger(__name__)

STATE = "watch"
SAVE_EVERY_S = 60.0
SAMPLED_LEAST = 30
OVERLAP = timedelta(minutes=2)
"""Readings come in the order in which requests end, and are dated by when they began: so far it is looked
back for late ones."""
MOST_NEW = 20_000
"""New readings that one look takes in."""
KEPT = 500
"""Readings of a collection that are at hand for messages."""
CHANGES_KEPT = 20
CHANGED_WITHIN = timedelta(hours=1)
"""A change so long before an incident may be its cause."""
_ORDER = {stage.value: position for position, stage in enumerate(Stage)}
_FACTS = {
    "fingerprint": "the settings",
    "embedder": "the embedder",
    "verifier": "the verifier",
    "model": "the model",
    "adapter": "the adapter",
    "corpus_version": "the corpus",
}


class Explain(Protocol):
    """What diagnoses an incident."""

    def __call__(self, collection: str, alerts: Sequence[Alert], began: str | None) -> Explanation:
        """The first fault behind the alerts of a collection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What one look found."""

    read: int
    """New readings."""
    changed: tuple[Alert, ...]
    """Alerts that changed their state."""
    incidents: tuple[Incident, ...]
    """Incidents that were opened, changed or resolved."""


class _Watched:
    """What is known of one collection."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.recent: deque[Reading] = deque(maxlen=KEPT)
        self.limits: dict[str, deque[tuple[str, str, float]]] = {}
        self.facts: dict[str, str] = {}
        self.changes: list[tuple[str, str, str, str]] = []
        """Time, fact, before, after."""


class Watch:
    """Watches one home."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        explain: Explain | None = None,
        channels: dict[str, Send] | None = None,
    ) -> None:
        self._settings = settings
        self._readings = Readings(engine)
        self._alerts = AlertStore(engine)
        self._incidents = IncidentStore(engine)
        self._explain = explain
        self._channels = channels or {}
        self._rules = rules_.rules_of(settings)
        drifts = sum(rule.test == "drift" for rule in self._rules)
        self._false_alarm = rules_.FALSE_ALARM / max(1, drifts)
        self._collections: dict[str, _Watched] = {}
        self._cursor = ""
        self._taken: dict[str, str] = {}
        """Trace → its time, of the readings that were taken in lately."""
        self._feedback = 0
        self._saved = time.monotonic()
        self._load()

    def rebase(self) -> None:
        """Forget what is usual, and learn it anew from the requests that come."""
        for watched in self._collections.values():
            watched.streams.clear()
            watched.limits.clear()
        self.save()

    def tick(self) -> Tick:
        """Take in what is new, and act on it."""
        new = self._new_readings()
        for reading in new:
            self.feed(reading)
        changed: list[Alert] = []
        incidents: list[Incident] = []
        for name in self._collections:
            altered = self.judge(name)
            changed.extend(altered)
            incident = self._handle(name, altered)
            if incident is not None:
                incidents.append(incident)
        if changed or time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save()
        return Tick(read=len(new), changed=tuple(changed), incidents=tuple(incidents))

    def feed(self, reading: Reading) -> None:
        """Show a reading, or signals that were computed later, to every rule."""
        watched = self._collections.setdefault(reading.collection, _Watched())
        if reading.facts:
            watched.recent.append(reading)
            self._note_changes(watched, reading)
        for rule in self._rules:
            value = reading.value(rule.signal)
            if value is None:
                continue
            if rule.test == "limit":
                window = watched.limits.setdefault(rule.name, deque(maxlen=rule.requests))
                window.append((reading.trace_id, reading.at, value))
                continue
            stream = watched.streams.get(rule.name)
            if stream is None:
                stream = watched.streams[rule.name] = Stream(
                    signal=rule.signal,
                    baseline=self._baseline(rule),
                    false_alarm=self._false_alarm,
                    horizon=rules_.HORIZON,
                )
            stream.step(value, reading.trace_id, reading.at)

    def _baseline(self, rule: Rule) -> int:
        """Values to learn from: fewer of a signal that only a sample of the requests has."""
        usual = self._settings.monitor.baseline
        return max(SAMPLED_LEAST, usual // 10) if rule.signal in SAMPLED else usual

    def judge(self, collection: str) -> list[Alert]:
        """Hold the rules against what was fed. Returns the alerts that changed their state."""
        watched = self._collections[collection]
        findings = [found for rule in self._rules if (found := self._finding(rule, watched)) is not None]
        return update(self._alerts, collection, findings)

    def streams(self, collection: str = "default") -> Mapping[str, Stream]:
        """Rule → its sequential test, as of the last reading."""
        watched = self._collections.get(collection)
        return {} if watched is None else watched.streams

    def learning(self) -> dict[str, float]:
        """Collection → how much of its baseline is there, 0 to 1."""
        found = {}
        for name, watched in self._collections.items():
            stream = watched.streams.get("failing_requests")
            done = 0.0 if stream is None else 1.0 if stream.rest else len(stream.learning) / stream.baseline
            found[name] = done
        return found

    def save(self) -> None:
        """Keep what was learnt in the home."""
        self._saved = time.monotonic()
        self._readings.remember(
            STATE,
            {
                "cursor": self._cursor,
                "taken": self._taken,
                "feedback": self._feedback,
                "collections": {
                    name: {
                        "streams": {rule: stream.record() for rule, stream in watched.streams.items()},
                        "limits": {rule: list(window) for rule, window in watched.limits.items()},
                        "facts": watched.facts,
                        "changes": watched.changes,
                    }
                    for name, watched in self._collections.items()
                },
            },
        )

    def _load(self) -> None:
        state: Any = self._readings.state(STATE)
        if state is None:
            return
        self._cursor, self._taken, self._feedback = state["cursor"], state["taken"], state["feedback"]
        known = {rule.name: rule for rule in self._rules}
        for name, kept in state["collections"].items():
            watched = self._collections[name] = _Watched()
            watched.facts = kept["facts"]
            watched.changes = [tuple(change) for change in kept["changes"]]
            for rule, record in kept["streams"].items():
                if rule in known and known[rule].signal == record["signal"]:
                    stream = Stream.from_record(record)
                    stream.false_alarm = self._false_alarm
                    watched.streams[rule] = stream
            for rule, window in kept["limits"].items():
                if rule in known and known[rule].test == "limit":
                    values = [(str(t), str(at), float(v)) for t, at, v in window]
                    watched.limits[rule] = deque(values, maxlen=known[rule].requests)

    def _new_readings(self) -> list[Reading]:
        since = ""
        if self._cursor:
            since = (datetime.fromisoformat(self._cursor) - OVERLAP).isoformat(timespec="milliseconds")
        new = self._readings.unknown(self._taken, since=since, limit=MOST_NEW)
        self._taken = {key: at for key, at in self._taken.items() if at >= since}
        self._taken |= {one.trace_id: one.at for one in new}
        self._cursor = max([self._cursor, *(one.at for one in new)])
        given = self._new_feedback()
        return [*new, *given]

    def _new_feedback(self) -> list[Reading]:
        """Feedback as readings of its own: it comes long after the request."""
        count, newest = self._readings.feedback_since(self._feedback)
        self._feedback = count
        return [
            beside(one.trace_id, one.at, collection, {"thumbs_down": float(one.verdict == "down")})
            for one, collection in newest
        ]

    def _note_changes(self, watched: _Watched, reading: Reading) -> None:
        facts = {name: str(reading.facts[name]) for name in reading.facts if name in _FACTS}
        facts |= {"model": reading.model or "", "adapter": reading.adapter or ""}
        if reading.model is None:
            del facts["model"], facts["adapter"]
        for name, value in facts.items():
            before = watched.facts.get(name)
            if before is not None and before != value:
                watched.changes.append((reading.at, name, before, value))
        del watched.changes[:-CHANGES_KEPT]
        watched.facts |= facts

    def _finding(self, rule: Rule, watched: _Watched) -> Finding | None:
        if rule.test == "limit":
            limit = rule.limit_of(self._settings)
            window = watched.limits.get(rule.name)
            return by_limit(rule, limit, list(window)) if limit is not None and window else None
        stream = watched.streams.get(rule.name)
        found = by_drift(rule, stream) if stream is not None else None
        if found is None or found.level < 1.0 or signal_of(rule.signal).stage != Stage.FORMAT:
            return found
        broken = Counter(str(one.facts["rule"]) for one in watched.recent if "rule" in one.facts)
        if not broken:
            return found
        most, _ = max(broken.items(), key=lambda pair: (pair[1], pair[0]))
        return replace(found, reason=f"{found.reason}; mostly rule {most}")

    def _handle(self, collection: str, changed: Sequence[Alert]) -> Incident | None:
        """Open, change or resolve the incident of a collection."""
        current = [one for one in self._alerts.current(collection) if one.state == "firing"]
        incident = self._incidents.open_one(collection)
        for alert in changed:
            if alert.state == "resolved" and alert.incident_id is not None:
                self._incidents.note(alert.incident_id, "alert", f"resolved: {alert.title}")
        if not current:
            return self._resolve(incident) if incident is not None else None
        joining = [one for one in current if one.incident_id is None]
        if not joining:
            return None
        opened = incident is None
        if incident is None:
            incident = self._opened(collection, current)
        for alert in joining:
            self._alerts.put(replace(alert, incident_id=incident.id))
            self._incidents.note(
                incident.id,
                "alert",
                f"firing at {alert.stage}: {alert.title}: {alert.reason}",
                at=alert.fired_at,
            )
        before = incident
        if opened or _is_news(incident, joining):
            incident = self._explained(incident, current)
        else:
            incident = replace(incident, rules=(*incident.rules, *(one.rule for one in joining)))
        self._incidents.save(incident)
        if opened or (incident.stage, incident.cause) != (before.stage, before.cause):
            fault = incident.stage + (f" / {incident.cause}" if incident.cause else "")
            self._incidents.note(incident.id, "diagnosis", f"first fault {fault}: {incident.evidence}")
            self._tell("opened" if opened else "changed", incident)
        return incident

    def _opened(self, collection: str, current: Sequence[Alert]) -> Incident:
        began = min((one.began for one in current if one.began), default=None)
        pointed = pointed_to(current)
        made = Incident(
            id=new_incident_id(),
            at=now(),
            collection=collection,
            state="open",
            stage=pointed.stage,
            cause=pointed.cause,
            proven=False,
            title=current[0].title,
            summary="",
            began=began,
            evidence=pointed.evidence,
            rules=(),
            traces=(),
            changes=self._changes(collection, began),
            diagnosis=None,
            diagnosis_note=pointed.note,
            next_command=pointed.next_command,
        )
        self._incidents.save(made)
        self._incidents.note(made.id, "opened", f"{current[0].title}: {current[0].reason}", at=made.at)
        for change in made.changes:
            self._incidents.note(made.id, "change", change)
        return made

    def _explained(self, incident: Incident, current: Sequence[Alert]) -> Incident:
        """The incident with the first fault as it is known now."""
        found = pointed_to(current)
        if found.stage == ANY:
            found = replace(found, stage=self._failing_stage(incident.collection))
        if self._explain is not None and self._settings.monitor.diagnose:
            found = self._explain(incident.collection, current, incident.began)
            if found.stage == ANY:
                found = replace(found, stage=self._failing_stage(incident.collection))
        ordered = sorted(current, key=lambda one: (_ORDER.get(one.stage, len(_ORDER)), one.at))
        first = next((one for one in ordered if one.stage == found.stage), ordered[0])
        since = incident.began[11:16] if incident.began else "?"
        fault = found.stage + (f" / {found.cause}" if found.cause else "")
        summary = f"{first.title} since {since} UTC: {first.reason}. First fault: {fault}"
        if len(current) > 1:
            summary += f"; {len(current)} rules fire"
        return replace(
            incident,
            stage=found.stage,
            cause=found.cause,
            proven=found.proven,
            title=first.title,
            summary=f"{summary}.",
            evidence=found.evidence,
            rules=tuple(dict.fromkeys((*(one.rule for one in ordered), *incident.rules))),
            traces=tuple(dict.fromkeys(one for alert in ordered for one in alert.examples))[:10],
            diagnosis=found.diagnosis,
            diagnosis_note=found.note,
            next_command=found.next_command,
        )

    def _failing_stage(self, collection: str) -> str:
        """The stage that most of the newest failures ended at."""
        watched = self._collections[collection]
        stages = Counter(
            str(one.facts["error_stage"]) for one in watched.recent if "error_stage" in one.facts
        )
        return max(stages.items(), key=lambda pair: (pair[1], pair[0]))[0] if stages else ANY

    def _changes(self, collection: str, began: str | None) -> tuple[str, ...]:
        if began is None:
            return ()
        since = (datetime.fromisoformat(began) - CHANGED_WITHIN).isoformat(timespec="milliseconds")
        return tuple(
            f"{_FACTS[name]} changed at {at[:19]} UTC: {before or 'none'} → {after or 'none'}"
            for at, name, before, after in self._collections[collection].changes
            if at >= since
        )

    def _resolve(self, incident: Incident) -> Incident:
        resolved = replace(incident, state="resolved", resolved_at=now())
        self._incidents.save(resolved)
        self._incidents.note(resolved.id, "resolved", "no rule fires any more")
        self._tell("resolved", resolved)
        return resolved

    def _tell(self, event: Event, incident: Incident) -> None:
        message = compose(event, incident, self._settings.monitor.link)
        logger.warning("%s", message.subject)
        failed = deliver(self._channels, message)
        sent = [name for name in self._channels if not any(one.startswith(f"{name}:") for one in failed)]
        if sent:
            self._incidents.note(incident.id, "message", f"{event}: sent to {', '.join(sent)}")
        for reason in failed:
            logger.error("A message could not be delivered: %s", reason)
            self._incidents.note(incident.id, "message", f"{event}: not delivered: {reason}")

    def verdicts(self, collection: str | None = None) -> list[Verdict]:
        """The alerts that are pending or firing, for `health`."""
        return [alert.verdict() for alert in self._alerts.current(collection)]


def _is_news(incident: Incident, joining: Sequence[Alert]) -> bool:
    """Whether alerts that join could change what is known of the first fault: a diagnosis costs seconds."""
    if not incident.proven:
        return True
    content = [alert for alert in joining if signal_of(alert.signal).kind != "time"]
    if incident.cause == OVER_BUDGET:
        return bool(content)
    known = _ORDER.get(incident.stage, len(_ORDER))
    return any(_ORDER.get(alert.stage, len(_ORDER)) < known for alert in content)
