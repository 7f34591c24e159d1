"""*Drills*: what was broken on purpose, and what the diagnosis called it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from firstfault.drill import records
from firstfault.drill.outcome import HEALTHY, UNKNOWN
from firstfault.drill.tuning import STAGES
from firstfault.serve.pages.rendering import render
from firstfault.serve.pages.session import Reader
from firstfault.serve.state import served
from firstfault.stages import Stage

router = APIRouter()

ORDER = (*dict.fromkeys((*(stage.value for stage in Stage), *STAGES)), HEALTHY, UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A confusion matrix: what was broken in rows, what was named in columns."""

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int]]]


@router.get("/drills")
async def drills(request: Request, who: Reader) -> Response:
    """The series of drills that were kept, newest first."""
    server = served(request)
    found = await server.engine.read(lambda: records.newest(server.engine.config.home))
    return render(request, "drills.html", who=who, series=found)


@router.get("/drills/{series_id}")
async def drill(request: Request, series_id: str, who: Reader) -> Response:
    """One series: rates, the confusion matrix, and every drill."""
    server = served(request)
    found = await server.engine.read(lambda: records.get(server.engine.config.home, series_id))
    document = found.document
    return render(
        request,
        "drill.html",
        who=who,
        series=found,
        report=document,
        matrix=matrix(document["confusion"]["stages"]),
    )


def matrix(counts: Mapping[str, Mapping[str, int]]) -> Matrix:
    """The counts as rows and columns, in the order of the stages."""
    named = {name for row in counts.values() for name in row} | set(counts)
    columns = sorted(named, key=_place)
    rows = [
        (name, [counts[name].get(column, 0) for column in columns]) for name in sorted(counts, key=_place)
    ]
    return Matrix(columns=columns, rows=rows)


def _place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)
