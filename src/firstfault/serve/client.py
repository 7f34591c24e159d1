"""A client of a running server, for the command line: calls in, plain JSON values and traces out.

Uses the standard library alone, so that a command which finds a server starts faster than one that does not.
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from firstfault.errors import FirstfaultError, InputError, MissingError, RemoteError

if TYPE_CHECKING:
    import ssl

    from firstfault.types import ChunkedDocument, Document

KEY_VARIABLE = "FIRSTFAULT_API_KEY"
TIMEOUT_S = 600
BATCH_DOCUMENTS = 256
BATCH_CHARACTERS = 4_000_000
WAIT_S = 60


class Client:
    """One server. `certificate` is the PEM file of a server of this machine, trusted under any name."""

    def __init__(self, url: str, collection: str = "default", *, certificate: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(f"--url {url!r} is not an HTTP address.", hint="Write http://127.0.0.1:8765.")
        self.url = url.rstrip("/")
        self.collection = collection
        self._certificate = certificate if self.url.startswith("https://") else None

    def get(self, path: str, **query: Any) -> Any:
        """GET a document."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, body: Mapping[str, Any], **query: Any) -> Any:
        """POST a document and return the reply."""
        return self._call("POST", f"{path}?{urlencode(query)}" if query else path, body)

    def ask(
        self,
        question: str,
        *,
        where: str | None,
        policy: str | None,
        schema: Mapping[str, Any] | None = None,
        adapter: str | None = None,
    ) -> Any:
        """The JSON document of an answer."""
        body: dict[str, Any] = {"question": question, "where": where, "policy": policy}
        if schema is not None:
            body["schema"] = schema
        if adapter is not None:
            body["adapter"] = adapter
        return self.post("/ask", {**body, "collection": self.collection})

    def finished(self, job: Any, progress: Callable[[int, int], None] | None = None) -> Any:
        """The result of a job, when it is done; `progress` is told how far it is, about once a second.

        Raises:
            FirstfaultError: the job failed.
        """
        while job["state"] in {"queued", "running"}:
            job = self.get(f"/jobs/{quote(job['id'])}", wait=1 if progress else WAIT_S)
            if progress is not None:
                progress(job["done"], job["total"])
        if job["state"] != "done":
            said = job["error"] or {"detail": f"The job was {job['state']}.", "hint": "Submit it again."}
            raise _error(said.get("status", 400), said)
        return job["result"]

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        headers = {"accept": "application/json"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["authorization"] = f"Bearer {key}"
        data = None
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310
        try:
            trusted = _trusting(self._certificate) if self._certificate else None
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trusted) as reply:  # noqa: S310 - http(s), see __init__
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            try:
                said = json.loads(error.read())
            except ValueError:
                said = {"detail": f"{self.url} answered {error.code}.", "hint": "Is it a Firstfault server?"}
            raise _error(error.code, said) from None
        except (urllib.error.URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise RemoteError(
                f"The server at {self.url} does not answer: {reason}.",
                hint="Check that it runs: curl URL/healthz; or stop it to work on the home directly.",
                transient=True,
            ) from None


def _trusting(certificate: str) -> "ssl.SSLContext":
    """Trust in one certificate alone: its name is the one by which other machines reach the server."""
    import ssl

    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _error(status: int, said: Mapping[str, Any]) -> FirstfaultError:
    """The server's problem as the error that the command would have raised itself."""
    message, hint = str(said.get("detail") or said.get("message")), str(said.get("hint") or "")
    error: FirstfaultError
    if status in {401, 403}:
        error = InputError(message, hint=f"{hint} The key is taken from {KEY_VARIABLE}.")
    elif status == 404:
        error = MissingError(message, hint=hint)
    elif status >= 500 or status == 429:
        error = RemoteError(message, hint=hint, transient=status in {429, 503})
    else:
        error = InputError(message, hint=hint)
    if said.get("trace_id"):
        error.add_note(f"trace {said['trace_id']}")
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A document that the server has."""

    id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A document that the server has on disk."""

    document_id: str
    chunks: int
    cached: int
    truncated: int
    replaced: bool
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedSource:
    """A source that an earlier ingest could not read."""

    source: str


class Uncut:
    """In the place of a chunker: documents are cut by the server."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def chunk_all(self, documents: Iterable["Document"]) -> "list[ChunkedDocument]":
        """The documents, whole."""
        from firstfault.types import ChunkedDocument

        return [ChunkedDocument(document=document, spans=()) for document in documents]


class RemoteCollection:
    """A server's collection, as far as an ingest needs one: files are read here and stored there."""

    def __init__(self, client: Client) -> None:
        self._client = client
        known = client.get("/revisions", collection=client.collection)
        self._revisions: dict[str, str] = known["revisions"]
        self._sources: dict[str, str] = known["sources"]
        self._failures: list[str] = [failure["source"] for failure in known["failures"]]
        self.chunker = Uncut(known["chunker"])

    def revisions(self) -> dict[str, str]:
        """Live document id → revision."""
        return self._revisions

    def documents(self) -> list[Row]:
        """Live documents."""
        return [Row(id=identity, source=source) for identity, source in self._sources.items()]

    def add_all(self, documents: "Iterable[ChunkedDocument]") -> Iterator[Acknowledged]:
        """Send documents in batches; each is yielded once the server has it on disk."""
        batch: list[Document] = []
        size = 0
        for one in documents:
            batch.append(one.document)
            size += len(one.document.text)
            if len(batch) >= BATCH_DOCUMENTS or size >= BATCH_CHARACTERS:
                yield from self._send(batch)
                batch, size = [], 0
        if batch:
            yield from self._send(batch)

    def retire(self, document_ids: Iterable[str]) -> int:
        """Take documents out of what is live."""
        ids = list(document_ids)
        job = self._client.post(
            "/documents/delete", {"ids": ids, "collection": self._client.collection}, wait=WAIT_S
        )
        return int(self._client.finished(job)["retired"])

    def failures(self) -> list[FailedSource]:
        """Sources that could not be ingested."""
        return [FailedSource(source=source) for source in self._failures]

    def record_failure(
        self, source: str, reason: str, *, document_id: str | None = None, stale: int = 0
    ) -> None:
        """Remember that a source could not be ingested."""
        failure = {"source": source, "reason": reason, "document_id": document_id, "stale": stale}
        self._client.post("/failures", {"failures": [failure], "collection": self._client.collection})

    def forget_failures(self, sources: Iterable[str]) -> None:
        """Drop what was remembered against sources."""
        forgotten = list(sources)
        if forgotten:
            self._client.post("/failures", {"forget": forgotten, "collection": self._client.collection})

    def _send(self, batch: "list[Document]") -> Iterator[Acknowledged]:
        rows = [
            {
                "id": document.id,
                "title": document.title,
                "text": document.text,
                "metadata": dict(document.metadata),
                "source": document.source,
                "revision": document.revision,
            }
            for document in batch
        ]
        body = {"documents": rows, "collection": self._client.collection}
        stored = self._client.finished(self._client.post("/documents", body, wait=WAIT_S))["stored"]
        done = {row["document_id"]: row for row in stored}
        for document in batch:
            row = done.get(document.id) or {"chunks": 0, "cached": 0, "truncated": 0, "replaced": False}
            yield Acknowledged(
                document_id=document.id,
                chunks=row["chunks"],
                cached=row["cached"],
                truncated=row["truncated"],
                replaced=row["replaced"],
                dropped=tuple(row.get("dropped", ())),
            )
