"""*Evaluations*: runs, the metrics and cases of one, and two side by side with what flipped."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from firstfault.collection.database import connect
from firstfault.evaluate import RunStore
from firstfault.evaluate.aggregate import lower_is_better
from firstfault.evaluate.compare import compare
from firstfault.evaluate.metrics import NAMES
from firstfault.serve.access import visible
from firstfault.serve.pages.rendering import render
from firstfault.serve.pages.session import Reader, Viewer
from firstfault.serve.problems import UnknownError
from firstfault.serve.state import Served, served
from firstfault.types import CaseResult, Metric, Run, Scalar

router = APIRouter()
T = TypeVar("T")

SHOWN = ("context_recall", "faithfulness", "citation_precision", "hallucination_rate", "error_rate")
"""Metrics in the list of runs."""
MOST_RUNS = 100
MOST_CASES = 200
Id = Annotated[str, Query(max_length=80)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """A case of a run, and by what it fails."""

    result: CaseResult
    failing: tuple[str, ...]
    """Metrics beyond their limits on this case."""


@router.get("/runs")
async def runs(request: Request, who: Reader) -> Response:
    """The newest runs."""
    server = served(request)

    def read(store: RunStore) -> list[Run]:
        return [run for run in store.newest(limit=MOST_RUNS) if who.key.opens(run.collection)]

    found = await server.engine.read(lambda: over_runs(server, read))
    return render(request, "runs.html", who=who, runs=found, shown=SHOWN)


@router.get("/runs/{run_id}")
async def run(request: Request, run_id: str, who: Reader, show: Id = "failing") -> Response:
    """One run: every metric with its interval, and the cases, those that fail first."""
    server = served(request)

    def read(store: RunStore) -> tuple[Run, list[CaseResult], list[Run]]:
        found = known(store, run_id, who)
        return found, list(store.results(found.id).values()), list(store.newest(limit=MOST_RUNS))

    found, results, others = await server.engine.read(lambda: over_runs(server, read))
    rows = [CaseRow(result=result, failing=_failing(result, found)) for result in results]
    failing = [row for row in rows if row.failing or row.result.error]
    earlier = [
        one for one in others if one.cases_hash == found.cases_hash and one.id != found.id and one.finished
    ]
    return render(
        request,
        "run.html",
        who=who,
        run=found,
        metrics=_metrics(found),
        latencies=_latencies(found),
        rows=(failing if show == "failing" else rows)[:MOST_CASES],
        failing=len(failing),
        total=len(rows),
        show=show,
        most=MOST_CASES,
        others=[one for one in earlier if who.key.opens(one.collection)][:10],
    )


@router.get("/compare")
async def comparison(request: Request, who: Reader, before: Id, after: Id) -> Response:
    """Two runs over the same cases: paired differences, and the cases that flipped."""
    server = served(request)

    def read(store: RunStore) -> tuple[Run, Run, list[CaseResult], list[CaseResult]]:
        one, other = known(store, before, who), known(store, after, who)
        return one, other, list(store.results(one.id).values()), list(store.results(other.id).values())

    one, other, earlier, later = await server.engine.read(lambda: over_runs(server, read))
    limits = server.engine.settings.evaluate
    found = await server.engine.read(lambda: compare(earlier, later, limits))
    traces = (
        {
            result.case_id: (first.trace_id, result.trace_id)
            for result in later
            for first in earlier
            if first.case_id == result.case_id
        }
        if len(later) <= 2000
        else {}
    )
    return render(
        request,
        "compare.html",
        who=who,
        before=one,
        after=other,
        differences=found,
        traces=traces,
        changed=_changed(one, other),
    )


def over_runs(server: Served, read: Callable[[RunStore], T]) -> T:
    """Read from the runs of the home."""
    with closing(RunStore(connect(server.engine.config.home))) as store:
        return read(store)


def known(store: RunStore, run_id: str, who: Viewer) -> Run:
    """A run that the key may see.

    Raises:
        UnknownError: there is none, or not in a collection that the key opens.
    """
    unknown = UnknownError(f"There is no run '{run_id[:80]}'.", hint="The list of runs has them all.")
    return visible(lambda: store.get(run_id), who.key, unknown)


def _metrics(run: Run) -> list[tuple[str, Metric]]:
    """Those that say how good it is, failures first."""
    order = {"fail": 0, "warn": 1, "ok": 2, "unknown": 3}
    found = [(name, run.metrics[name]) for name in (*NAMES, "error_rate") if name in run.metrics]
    return sorted(found, key=lambda one: (one[1].value is None, order[one[1].status]))


def _latencies(run: Run) -> list[tuple[str, list[Metric]]]:
    """Component → p50, p95, p99."""
    names = [name for name in run.metrics if name.startswith("latency_") and name.endswith("_p50_ms")]
    rows = []
    for name in names:
        component = name.removeprefix("latency_").removesuffix("_p50_ms")
        metrics = [run.metrics[f"latency_{component}_{q}_ms"] for q in ("p50", "p95", "p99")]
        if metrics[0].value is not None:
            rows.append((component, metrics))
    return rows


def _failing(result: CaseResult, run: Run) -> tuple[str, ...]:
    found = []
    for name, score in result.scores.items():
        metric = run.metrics.get(name)
        limit = metric.limit if metric is not None else None
        if limit is None or score.value is None:
            continue
        beyond = score.value > limit if lower_is_better(name) else score.value < limit
        if beyond:
            found.append(name)
    return tuple(found)


def _changed(one: Run, other: Run) -> list[tuple[str, Scalar | None, Scalar | None]]:
    """Settings that differ between two runs."""
    names = {(section, key) for run in (one, other) for section, keys in run.settings.items() for key in keys}
    rows = []
    for section, key in sorted(names):
        a, b = one.settings.get(section, {}).get(key), other.settings.get(section, {}).get(key)
        if a != b:
            rows.append((f"{section}.{key}", a, b))
    return rows
