"""Monitoring: readings of requests, windows, sequential tests, alerts, incidents and spot checks."""

from firstfault.monitor.alerts import Alert, AlertStore
from firstfault.monitor.incidents import Entry, Incident, IncidentStore, postmortem
from firstfault.monitor.readings import Feedback, Readings, Slice
from firstfault.monitor.review import Item, Label, Reviews, Summary
from firstfault.monitor.windows import Health, Latency, Measure, StageHealth, health

__all__ = [
    "Alert",
    "AlertStore",
    "Entry",
    "Feedback",
    "Health",
    "Incident",
    "IncidentStore",
    "Item",
    "Label",
    "Latency",
    "Measure",
    "Readings",
    "Reviews",
    "Slice",
    "StageHealth",
    "Summary",
    "health",
    "postmortem",
]
