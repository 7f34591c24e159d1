"""*Diagnosis*: the job that names the first fault, its decision tree, and the job that proves a fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from firstfault.errors import InputError
from firstfault.serve.access import open_to
from firstfault.serve.jobs import FINISHED, Job
from firstfault.serve.native import find_trace, reply
from firstfault.serve.pages.evaluations import known, over_runs
from firstfault.serve.pages.rendering import render, to
from firstfault.serve.pages.session import Reader, Viewer, acting
from firstfault.serve.problems import UnknownError
from firstfault.serve.state import Served, served

router = APIRouter()

MOST_JOBS = 200
SHOWN = 40
KINDS = ("diagnose", "fix", "prove")
PROOFS = ("fix", "prove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node of the decision tree as it is drawn."""

    stage: str
    question: str
    measured: str
    examined: int
    lost: int
    state: Literal["fault", "also", "kept", "skipped"]
    on_path: bool
    """Whether the way to the first fault leads through it."""


@router.get("/diagnosis")
async def diagnoses(request: Request, who: Reader) -> Response:
    """Diagnoses and proofs, newest first."""
    jobs = [job for job in served(request).jobs.newest(MOST_JOBS) if job.kind in KINDS]
    shown = [job for job in jobs if who.key.opens(job.collection)][:SHOWN]
    return render(request, "diagnoses.html", who=who, jobs=shown)


@router.get("/diagnosis/{job_id}")
async def diagnosis(request: Request, job_id: str, who: Reader) -> Response:
    """One of them: while it runs, how far it is; then what it found."""
    job = _job(served(request), job_id, who)
    if job.state != "done":
        return render(request, "job.html", who=who, job=job)
    if job.kind in PROOFS:
        return render(request, "fix.html", who=who, job=job, fix=job.result)
    return render(
        request,
        "diagnosis.html",
        who=who,
        job=job,
        found=job.result,
        steps=steps(job.result),
        run_id=job.result.get("run_id"),
        trace_id=job.result.get("trace_id"),
    )


@router.get("/diagnosis/{job_id}/state")
async def state(request: Request, job_id: str, who: Reader) -> Response:
    """How far it is, for the script that waits."""
    job = _job(served(request), job_id, who)
    return reply(
        {"state": job.state, "done": job.done, "total": job.total, "finished": job.state in FINISHED}
    )


@router.post("/diagnosis")
async def begin(request: Request) -> Response:
    """Start a diagnosis of a run or of one request, or a proof of the fix for a run."""
    who, fields = await acting(request, "admin")
    server = served(request)
    kind, run, trace = fields.get("kind", ""), fields.get("run", ""), fields.get("trace", "")
    if kind not in ("diagnose", "fix"):
        raise InputError("The form names no work.", hint="Go back and press a button.")
    payload: dict[str, str] = {}
    collection = "default"
    if trace:
        found = await find_trace(server, trace, who.key)
        payload, collection = {"trace": found.id}, found.collection
    else:
        measured = await server.engine.read(
            lambda: over_runs(server, lambda store: known(store, run or "last", who))
        )
        payload, collection = {"run": measured.id}, measured.collection
    open_to(who.key, collection)
    job = await server.engine.read(lambda: server.jobs.submit(kind, payload, collection=collection))
    return to(f"/ui/diagnosis/{job.id}")


@router.post("/diagnosis/{job_id}/cancel")
async def cancel(request: Request, job_id: str) -> Response:
    """End it at its next step."""
    who, _ = await acting(request, "admin")
    job = _job(served(request), job_id, who)
    await served(request).engine.read(lambda: served(request).jobs.cancel(job.id))
    return to(f"/ui/diagnosis/{job.id}")


def steps(found: Mapping[str, Any]) -> list[Step]:
    """The decision tree; the way to the first fault is marked."""
    primary = found["primary"]["stage"] if found["primary"] else None
    blamed = {finding["stage"] for finding in found["findings"]}
    drawn, on_path = [], True
    for node in found["path"]:
        stage = node["stage"]
        if node["examined"] == 0:
            state: Literal["fault", "also", "kept", "skipped"] = "skipped"
        elif stage == primary:
            state = "fault"
        else:
            state = "also" if stage in blamed else "kept"
        drawn.append(Step(**node, state=state, on_path=on_path))
        on_path = on_path and stage != primary
    return drawn


def _job(server: Served, job_id: str, who: Viewer) -> Job:
    found = server.jobs.get(job_id)
    if found.kind not in KINDS or not who.key.opens(found.collection):
        raise UnknownError(
            f"There is no diagnosis '{job_id[:80]}'.", hint="The list of diagnoses has them all."
        )
    return found
