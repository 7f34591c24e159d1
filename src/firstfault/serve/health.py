"""Whether the server runs, whether it should get requests, and its metrics."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from firstfault.serve import examples
from firstfault.serve.access import Reading
from firstfault.serve.metrics import CONTENT_TYPE
from firstfault.serve.native import reply
from firstfault.serve.state import served

router = APIRouter(tags=["health"])


@router.get("/healthz", responses=examples.HEALTH)
async def healthz() -> Response:
    """200 while the process answers; nothing else is looked at."""
    return reply({"status": "ok"})


@router.get("/readyz", responses=examples.READY)
async def readyz(request: Request) -> Response:
    """200 when a request would be taken; 503 while models load, when the queue is full, and when stopping.

    It turns back by itself when the reason is gone.
    """
    engine = served(request).engine
    reasons = dict(engine.ready)
    if engine.admission.closed:
        reasons["stopping"] = "the server finishes what it has"
    elif engine.admission.saturated:
        reasons["saturated"] = f"{engine.admission.working} at work, {engine.admission.waiting} waiting"
    document = {
        "ready": not reasons,
        "reasons": reasons,
        "working": engine.admission.working,
        "waiting": engine.admission.waiting,
    }
    return reply(document, status=503 if reasons else 200)


@router.get(
    "/metrics",
    responses={200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
)
async def metrics(request: Request, key: Reading) -> Response:
    """Counters and histograms for Prometheus."""
    return Response(served(request).metrics.text(), media_type=CONTENT_TYPE)
