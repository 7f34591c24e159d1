"""Commands through a running server: the same output as without one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.cli.state import print_json

if TYPE_CHECKING:
    from firstfault.serve.client import Client
    from firstfault.types import Trace


def ask(
    client: "Client",
    question: str,
    *,
    where: str | None,
    policy: str | None,
    schema: Mapping[str, Any] | None,
    adapter: str | None,
    as_json: bool,
) -> None:
    """`ask`."""
    from firstfault.cli import render

    document = client.ask(question, where=where, policy=policy, schema=schema, adapter=adapter)
    if as_json:
        print_json(document)
        return
    trace = _trace(client, document["trace_id"])
    out = render.console()
    assert trace.answer is not None
    render.shown(out, trace)
    out.print()
    render.waterfall(out, trace)
    out.print(f"  [dim]trace {trace.id}, through {client.url}[/]")


def search(
    client: "Client", question: str, *, where: str | None, limit: int, exact: bool, as_json: bool
) -> None:
    """`search`."""
    body = {"question": question, "where": where, "limit": limit, "exact": exact}
    document = client.post("/search", {**body, "collection": client.collection})
    if as_json:
        print_json(document)
        return
    from pydantic import TypeAdapter

    from firstfault.cli import render
    from firstfault.types import Hit

    hits = TypeAdapter(tuple[Hit, ...]).validate_python(document["hits"])
    render.hits(render.console(), hits, limit=limit)


def ingest(client: "Client", paths: list[Path], *, metadata: Any, prune: bool, progress: Any) -> Any:
    """`ingest`: files are read here and stored there."""
    from firstfault.ingest import ingest as run
    from firstfault.serve.client import RemoteCollection

    collection = RemoteCollection(client)
    return run(
        collection,
        paths,
        chunker=collection.chunker,  # type: ignore[arg-type]  # the server cuts
        metadata=metadata,
        prune=prune,
        progress=progress,
    )


def status(client: "Client") -> tuple[Any, Any]:
    """What `status` shows: the collection's state and its failures."""
    from pydantic import TypeAdapter

    from firstfault.collection.records import CollectionInfo, Failure

    document = client.get("/status", collection=client.collection)
    failures = TypeAdapter(list[Failure]).validate_python(document.pop("failed"))
    return TypeAdapter(CollectionInfo).validate_python(document), failures


def documents(client: "Client", limit: int) -> Any:
    """What `documents` lists."""
    from pydantic import TypeAdapter

    from firstfault.collection.records import DocumentRow

    found = client.get("/documents", collection=client.collection, limit=limit or 100_000)
    return TypeAdapter(list[DocumentRow]).validate_python(found["documents"])


def _trace(client: "Client", trace_id: str) -> "Trace":
    from pydantic import TypeAdapter

    from firstfault.types import Trace

    return TypeAdapter(Trace).validate_python(client.get(f"/traces/{trace_id}"))
