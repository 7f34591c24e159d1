"""What a home forgets: runs, traces and retired revisions that are older than the retention."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from firstfault.collection.database import connect
from firstfault.evaluate.store import RunStore

if TYPE_CHECKING:
    from firstfault.answer import Application


def collect(app: "Application", keep_days: int | None = None) -> dict[str, Any]:
    """Drop what is older than `keep_days` (`trace.keep_days` without); how much that was, as JSON values."""
    days = app.settings.trace.keep_days if keep_days is None else keep_days
    before = datetime.now(UTC) - timedelta(days=days)
    at = before.isoformat(timespec="milliseconds")
    store = RunStore(connect(app.config.home))
    try:
        runs = store.drop_before(at)  # first: a run that stays finds its traces
    finally:
        store.close()
    traces = app.traces.drop_before(at)
    report = app.collection.gc(before=before)
    return {"before": before.isoformat(), "traces": traces, "runs": runs, **asdict(report)}
