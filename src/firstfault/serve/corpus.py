"""Documents over HTTP: what is stored, and changes of it as jobs, one writer at a time."""

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from firstfault.errors import InputError
from firstfault.ingest import Chunker
from firstfault.serve import examples
from firstfault.serve.access import Administering, Asking, Ingesting, Reading, open_to
from firstfault.serve.jobs import FINISHED, Job
from firstfault.serve.native import reply
from firstfault.serve.problems import UnknownError
from firstfault.serve.schemas import COLLECTION, DeleteBody, DocumentsBody, DocumentText, FailuresBody, GcBody
from firstfault.serve.state import Served, served

router = APIRouter()

MOST_WAIT_S = 60
CollectionName = Annotated[str, Query(pattern=COLLECTION, description="Which collection of the home.")]
Wait = Annotated[
    float, Query(ge=0, le=MOST_WAIT_S, description="Seconds to wait for the job before answering.")
]


@router.post("/documents", status_code=202, responses=examples.ACCEPTED, tags=["documents"])
async def add(request: Request, body: DocumentsBody, key: Ingesting, wait: Wait = 0) -> Response:
    """Add or replace documents, as a job. An unchanged document is skipped."""
    server = served(request)
    rows = [document.model_dump() for document in body.documents]
    ids = [row["id"] for row in rows]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise InputError(f"Two documents have the id {twice!r}.", hint="Give each its own.")
    return await submit(server, "ingest", {"documents": rows}, open_to(key, body.collection), wait)


@router.post("/documents/delete", status_code=202, responses=examples.ACCEPTED, tags=["documents"])
async def delete_several(request: Request, body: DeleteBody, key: Ingesting, wait: Wait = 0) -> Response:
    """Retire documents, as a job. Recorded requests can still be replayed until the retention ends."""
    return await submit(served(request), "delete", {"ids": body.ids}, open_to(key, body.collection), wait)


@router.get("/documents", responses=examples.DOCUMENTS, tags=["documents"])
async def documents(
    request: Request,
    key: Asking,
    collection: CollectionName = "default",
    limit: Annotated[int, Query(ge=1, le=100_000)] = 100,
    after: Annotated[str, Query(max_length=512, description="Only ids after this one, to page on.")] = "",
) -> Response:
    """The live documents, by id."""
    stored = served(request).engine.parts.collection(open_to(key, collection))

    def read() -> list[dict[str, Any]]:
        found = []
        for row in stored.documents():
            if row.id > after:
                found.append(asdict(row))
            if len(found) == limit:
                break
        return found

    return reply({"documents": await served(request).engine.read(read)})


@router.get("/documents/{document_id:path}", responses=examples.DOCUMENT, tags=["documents"])
async def document(
    request: Request, document_id: str, key: Asking, collection: CollectionName = "default"
) -> Response:
    """One document, with the text that every offset points into."""
    stored = served(request).engine.parts.collection(open_to(key, collection))

    def read() -> dict[str, Any]:
        try:
            return asdict(stored.document(document_id))
        except InputError as error:
            raise UnknownError(error.message, hint=error.hint) from None

    return reply(await served(request).engine.read(read))


@router.put("/documents/{document_id:path}", status_code=202, responses=examples.ACCEPTED, tags=["documents"])
async def replace(  # noqa: PLR0917 - its parameters are the address and the query
    request: Request,
    document_id: str,
    body: DocumentText,
    key: Ingesting,
    collection: CollectionName = "default",
    wait: Wait = 0,
) -> Response:
    """Add or replace one document, as a job."""
    row = {"id": _checked_id(document_id), **body.model_dump()}
    return await submit(served(request), "ingest", {"documents": [row]}, open_to(key, collection), wait)


@router.delete(
    "/documents/{document_id:path}", status_code=202, responses=examples.ACCEPTED, tags=["documents"]
)
async def delete(
    request: Request,
    document_id: str,
    key: Ingesting,
    collection: CollectionName = "default",
    wait: Wait = 0,
) -> Response:
    """Retire one document, as a job."""
    ids = [_checked_id(document_id)]
    return await submit(served(request), "delete", {"ids": ids}, open_to(key, collection), wait)


@router.get("/status", responses=examples.STATUS, tags=["documents"])
async def status(request: Request, key: Asking, collection: CollectionName = "default") -> Response:
    """How much is stored, with which embedder, and what failed."""
    stored = served(request).engine.parts.collection(open_to(key, collection))

    def read() -> dict[str, Any]:
        return {**asdict(stored.info()), "failed": [asdict(failure) for failure in stored.failures()]}

    return reply(await served(request).engine.read(read))


@router.get("/revisions", responses=examples.STATUS, tags=["documents"])
async def revisions(request: Request, key: Ingesting, collection: CollectionName = "default") -> Response:
    """Every live document's revision and source: what a client needs to send only what has changed."""
    engine = served(request).engine
    stored = engine.parts.collection(open_to(key, collection), create=True)
    settings, embedder = engine.settings, engine.parts.embedder()

    def read() -> dict[str, Any]:
        sources = {row.id: row.source for row in stored.documents()}
        return {
            "chunker": Chunker(settings.chunking, embedder).fingerprint,
            "revisions": stored.revisions(),
            "sources": sources,
            "failures": [asdict(failure) for failure in stored.failures()],
        }

    return reply(await served(request).engine.read(read))


@router.post("/failures", responses=examples.STATUS, tags=["documents"])
async def failures(request: Request, body: FailuresBody, key: Ingesting) -> Response:
    """Note sources that a client could not read, or forget them; `GET /status` shows them."""
    stored = served(request).engine.parts.collection(open_to(key, body.collection))

    def write() -> None:
        for failure in body.failures:
            stored.record_failure(
                failure.source, failure.reason, document_id=failure.document_id, stale=failure.stale
            )
        if body.forget:
            stored.forget_failures(body.forget)

    await served(request).engine.read(write)
    return reply({"recorded": len(body.failures), "forgotten": len(body.forget)})


@router.post("/gc", status_code=202, responses=examples.ACCEPTED, tags=["jobs"])
async def collect_garbage(request: Request, body: GcBody, key: Administering, wait: Wait = 0) -> Response:
    """Drop traces and retired revisions that are older than the retention, as a job."""
    collection = open_to(key, body.collection)
    return await submit(served(request), "gc", {"keep_days": body.keep_days}, collection, wait)


@router.get("/jobs", responses=examples.JOBS, tags=["jobs"])
async def jobs(request: Request, key: Reading, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Response:
    """The newest jobs."""
    found = served(request).jobs.newest(limit)
    return reply({"jobs": [job.document() for job in found if key.opens(job.collection)]})


@router.get("/jobs/{job_id}", responses=examples.JOB, tags=["jobs"])
async def job(request: Request, job_id: str, key: Asking, wait: Wait = 0) -> Response:
    """One job, with its progress and result."""
    server = served(request)
    found = server.jobs.get(job_id)
    open_to(key, found.collection)
    return reply((await _waited(server, found, wait)).document())


@router.delete("/jobs/{job_id}", responses=examples.JOB, tags=["jobs"])
async def cancel(request: Request, job_id: str, key: Ingesting) -> Response:
    """End a job at its next step. What it committed stays."""
    server = served(request)
    open_to(key, server.jobs.get(job_id).collection)
    return reply((await server.engine.read(lambda: server.jobs.cancel(job_id))).document())


async def submit(server: Served, kind: str, payload: Any, collection: str, wait: float) -> Response:
    """Accept a job: 202 with its address, or 200 when it finished within the wait."""
    accepted = await server.engine.read(lambda: server.jobs.submit(kind, payload, collection=collection))
    now = await _waited(server, accepted, wait)
    response = reply(now.document(), status=200 if now.state in FINISHED else 202)
    response.headers["location"] = f"/jobs/{now.id}"
    return response


async def _waited(server: Served, job: Job, wait: float) -> Job:
    if wait <= 0 or job.state in FINISHED:
        return job
    return await server.engine.read(lambda: server.jobs.wait(job.id, wait))


def _checked_id(document_id: str) -> str:
    if len(document_id) > 512 or not document_id.isprintable():
        raise InputError(
            f"{json.dumps(document_id[:80])} cannot be a document's id.",
            hint="Use up to 512 printable characters.",
        )
    return document_id
