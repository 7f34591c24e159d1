"""Evaluation and diagnosis over HTTP: jobs, with the results of the command line's `--json`."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from firstfault.answer.documents import run_document
from firstfault.collection.database import connect
from firstfault.errors import InputError
from firstfault.evaluate import RunStore
from firstfault.serve import examples
from firstfault.serve.access import Administering, Reading, open_to
from firstfault.serve.corpus import Wait, submit
from firstfault.serve.native import find_trace, reply
from firstfault.serve.problems import UnknownError
from firstfault.serve.schemas import DiagnoseBody, DrillBody, EvaluateBody, FixBody
from firstfault.serve.state import served
from firstfault.serve.work import cases_of

router = APIRouter()


@router.post("/evaluate", status_code=202, responses=examples.ACCEPTED, tags=["measuring"])
async def evaluate(request: Request, body: EvaluateBody, key: Administering, wait: Wait = 0) -> Response:
    """Run cases over the application and measure every stage, as a job."""
    cases_of(body.cases)
    payload = body.model_dump(exclude={"collection"})
    return await submit(served(request), "evaluate", payload, open_to(key, body.collection), wait)


@router.post("/diagnose", status_code=202, responses=examples.ACCEPTED, tags=["measuring"])
async def diagnose(request: Request, body: DiagnoseBody, key: Administering, wait: Wait = 0) -> Response:
    """Name the first stage that broke, as a job."""
    server = served(request)
    if sum(what is not None for what in (body.run, body.trace, body.since)) > 1:
        raise InputError(
            "run, trace and since exclude each other.", hint="Give the one that names what broke."
        )
    if body.trace is not None:
        await find_trace(server, body.trace, key)
    payload = body.model_dump(exclude={"collection"})
    return await submit(server, "diagnose", payload, open_to(key, body.collection), wait)


@router.post("/fix", status_code=202, responses=examples.ACCEPTED, tags=["measuring"])
async def fix(request: Request, body: FixBody, key: Administering, wait: Wait = 0) -> Response:
    """Diagnose a run, try repairs and prove them on cases they were not chosen on, as a job.

    Nothing is applied: write the patch into the configuration and reload (SIGHUP).
    """
    payload = body.model_dump(exclude={"collection"})
    return await submit(served(request), "fix", payload, open_to(key, body.collection), wait)


@router.post("/drill", status_code=202, responses=examples.ACCEPTED, tags=["measuring"])
async def drill(request: Request, body: DrillBody, key: Administering, wait: Wait = 0) -> Response:
    """Break a copy of the application, one fault at a time, and diagnose it, as a job."""
    from firstfault.drill.library import named

    named(body.faults)
    payload = body.model_dump(exclude={"collection"})
    return await submit(served(request), "drill", payload, open_to(key, body.collection), wait)


@router.get("/runs", responses=examples.RUNS, tags=["measuring"])
async def runs(request: Request, key: Reading, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> Response:
    """The newest evaluation runs."""
    home = served(request).engine.config.home

    def read() -> list[dict[str, Any]]:
        store = RunStore(connect(home))
        try:
            return [run_document(run) for run in store.newest(limit=limit) if key.opens(run.collection)]
        finally:
            store.close()

    return reply({"runs": await served(request).engine.read(read)})


@router.get("/runs/{run_id}", responses=examples.RUNS, tags=["measuring"])
async def run(request: Request, run_id: str, key: Reading) -> Response:
    """One run with its cases; `last` is the newest."""
    home = served(request).engine.config.home

    def read() -> dict[str, Any]:
        store = RunStore(connect(home))
        unknown = UnknownError(f"There is no run '{run_id[:80]}'.", hint="GET /runs lists them.")
        try:
            found = store.get(run_id)
            if not key.opens(found.collection):
                raise unknown
            results = store.results(found.id).values()
            document = {**run_document(found), "source": found.cases}
            return {**document, "cases": [asdict(result) for result in results]}
        except InputError:
            raise unknown from None
        finally:
            store.close()

    return reply(await served(request).engine.read(read))
