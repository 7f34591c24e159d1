"""*Health*, the first page: one row a stage with its state, trend and budget, and what is firing."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy import Engine
from starlette.responses import Response

from firstfault.monitor import Alert, AlertStore, Health, Incident, IncidentStore, Readings, Slice, health
from firstfault.monitor.windows import Latency, Measure, StageHealth
from firstfault.serve.pages.rendering import render
from firstfault.serve.pages.session import Reader, Viewer
from firstfault.serve.pages.traces import collections_of
from firstfault.serve.state import Served, over_database, served

router = APIRouter()

WINDOWS = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
}
BASELINES = 24
"""The baseline is so many times as long as the window, at most `LONGEST`."""
LONGEST = timedelta(days=28)
HIGH = 100.0
"""Height of a sparkline in its own units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A sparkline: the pieces of the line, and the height of the limit."""

    pieces: tuple[str, ...]
    limit: float | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A stage as it is shown."""

    health: StageHealth
    trend: Trend | None
    slow: Latency | None
    """The component whose share of its budget is greatest."""
    filled: float | None
    """p95 of it as a share of the budget, at most 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that the page shows."""

    health: Health
    alerts: tuple[Alert, ...]
    incidents: tuple[Incident, ...]
    """Those that are open."""


class Lately:
    """What was computed for the page a moment ago: everyone who looks within that time sees the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str | None, str], tuple[float, Health]] = {}

    def get(self, key: tuple[str | None, str], compute: Callable[[], Health], fresh_s: float) -> Health:
        """The newest that may be shown; computed once, however many ask for it at a time."""
        with self._lock:
            at, found = self._known.get(key, (0.0, None))
            if found is None or time.monotonic() - at >= fresh_s:
                found = compute()
                self._known[key] = time.monotonic(), found
            return found


@router.get("")
async def page(
    request: Request,
    who: Reader,
    window: Annotated[str, Query(max_length=4)] = "1h",
    collection: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """How the application is doing."""
    server = served(request)
    window = window if window in WINDOWS else "1h"
    names = [name for name in collections_of(server) if who.key.opens(name)]
    chosen = collection if collection in names else names[0] if who.key.collections and names else None
    lately: Lately = request.app.state.lately

    def read(engine: Engine) -> Seen:
        return _seen(engine, server, who, chosen, window, lately=lately)

    seen = await over_database(server, read)
    return render(
        request,
        "health.html",
        who=who,
        seen=seen,
        rows=[
            _row(row)
            for row in seen.health.rows
            if row.measures or row.latency or row.verdict.status != "unknown"
        ],
        window=window,
        windows=list(WINDOWS),
        collection=chosen or "",
        collections=names,
    )


def _seen(
    engine: Engine, server: Served, who: Viewer, collection: str | None, window: str, *, lately: Lately
) -> Seen:
    alerts = [one for one in AlertStore(engine).current(collection) if who.key.opens(one.collection)]
    incidents = [one for one in IncidentStore(engine).newest(limit=20) if one.state == "open"]
    settings, length = server.engine.settings, WINDOWS[window]

    def compute() -> Health:
        return health(
            Readings(engine),
            settings,
            slice_=Slice(collection=collection),
            window=length,
            baseline=min(BASELINES * length, LONGEST),
            alerts=[one.verdict() for one in alerts],
        )

    found = lately.get((collection, window), compute, settings.monitor.every_s)
    shown = tuple(
        one for one in incidents if who.key.opens(one.collection) and collection in (None, one.collection)
    )
    return Seen(health=found, alerts=tuple(alerts), incidents=shown)


def _row(found: StageHealth) -> Row:
    leading = next((one for one in found.measures if any(value is not None for value in one.trend)), None)
    judged = [one for one in found.latency if one.budget is not None]
    slow = max(judged, key=lambda one: one.p95 / (one.budget or 1), default=None)
    trend = None
    if leading is not None:
        trend = of_measure(leading)
    elif found.latency:
        trend = of_latency(found.latency[0])
    filled = min(slow.p95 / slow.budget, 1.0) if slow is not None and slow.budget else None
    return Row(health=found, trend=trend, slow=slow, filled=filled)


def of_measure(one: Measure) -> Trend:
    """The trend of a signal; shares are drawn between 0 and 1."""
    return _trend(one.trend, 1.0, None, f"{one.label}, oldest to newest")


def of_latency(one: Latency) -> Trend:
    """The trend of a 95th percentile, with its budget where that is near."""
    highest = max((value for value in one.trend if value is not None), default=0.0)
    near = one.budget if one.budget is not None and one.budget <= 3 * highest else None
    return _trend(one.trend, max(highest, near or 0.0), near, f"p95 of {one.component}, oldest to newest")


def _trend(values: Sequence[float | None], most: float, limit: float | None, said: str) -> Trend:
    highest = max([most, *(value for value in values if value is not None)]) or 1.0
    pieces: list[list[str]] = [[]]
    step = 1000 / max(len(values) - 1, 1)
    for position, value in enumerate(values):
        if value is None:
            pieces.append([])
            continue
        height = HIGH - 6 - (HIGH - 12) * value / highest
        pieces[-1].append(f"{position * step:.0f},{height:.1f}")
    drawn = tuple(" ".join(piece if len(piece) > 1 else piece * 2) for piece in pieces if piece)
    at = None if limit is None else round(HIGH - 6 - (HIGH - 12) * limit / highest, 1)
    return Trend(pieces=drawn, limit=at, said=said)
