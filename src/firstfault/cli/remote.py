"""Commands through a running server: the same output as without one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.cli.state import print_json

if TYPE_CHECKING:
    from firstfault.finetune import Release
    from firstfault.finetune.runs import TrainingRun
    from firstfault.monitor import Alert, Entry, Health, Incident
    from firstfault.serve.client import Client
    from firstfault.types import Case, CaseResult, Diagnosis, Run, Trace

Progress = Callable[[int, int], None]


def ask(
    client: "Client",
    question: str,
    *,
    where: str | None,
    policy: str | None,
    schema: Mapping[str, Any] | None,
    adapter: str | None,
    as_json: bool,
) -> bool:
    """`ask`; whether the answer satisfies its schema, if there is one."""
    from firstfault.cli import render

    document = client.ask(question, where=where, policy=policy, schema=schema, adapter=adapter)
    made = document.get("format")
    valid = made is None or bool(made["valid"])
    if as_json:
        print_json(document)
        return valid
    found = trace(client, document["trace_id"])
    out = render.console()
    assert found.answer is not None
    render.shown(out, found)
    out.print()
    render.waterfall(out, found)
    out.print(f"  [dim]trace {found.id}, through {client.url}[/]")
    return valid


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


def evaluate(
    client: "Client", cases: "Sequence[Case]", *, source: str, generation: bool, progress: Progress
) -> "tuple[Run, list[CaseResult]]":
    """`eval`: the cases are read here and run there."""
    from dataclasses import asdict

    rows = [{name: value for name, value in asdict(case).items() if value is not None} for case in cases]
    body = {"cases": rows, "source": source, "generation": generation, "collection": client.collection}
    done = client.finished(client.post("/evaluate", body), progress)
    return stored_run(client, done["run_id"])


def stored_run(client: "Client", run_id: str) -> "tuple[Run, list[CaseResult]]":
    """A run that the server keeps, with its results."""
    from urllib.parse import quote

    from pydantic import TypeAdapter

    from firstfault.types import CaseResult

    document = client.get(f"/runs/{quote(run_id, safe='')}")
    results = TypeAdapter(list[CaseResult]).validate_python(document.pop("cases"))
    return _run({**document, "cases": document.pop("source")}), results


def runs(client: "Client", limit: int) -> "list[Run]":
    """`runs`."""
    return [_run(document) for document in client.get("/runs", limit=limit)["runs"]]


def _run(document: dict[str, Any]) -> "Run":
    from pydantic import TypeAdapter

    from firstfault.types import Run

    return TypeAdapter(Run).validate_python({"id": document.pop("run_id"), **document})


def traces(client: "Client", limit: int) -> "list[Trace]":
    """`traces`: whole, since a list shows what each came to."""
    return [trace(client, row["trace_id"]) for row in client.get("/traces", limit=limit)["traces"]]


def diagnose(client: "Client", wanted: Mapping[str, Any], progress: Progress) -> "Diagnosis":
    """`diagnose`."""
    from pydantic import TypeAdapter

    from firstfault.types import Diagnosis

    body = {**wanted, "collection": client.collection}
    found = client.finished(client.post("/diagnose", body), progress)
    return TypeAdapter(Diagnosis).validate_python(found)


def fix(client: "Client", run: str, budget: int | None, progress: Progress) -> Any:
    """`fix --json`: the trials are made there, nothing is applied."""
    body = {"run": run, "budget": budget, "collection": client.collection}
    return client.finished(client.post("/fix", body), progress)


def gc(client: "Client", keep_days: int | None) -> Any:
    """`gc --json`."""
    body = {"keep_days": keep_days, "collection": client.collection}
    return client.finished(client.post("/gc", body))


def health(client: "Client", *, hours: float, model: str | None, adapter: str | None) -> "Health":
    """`monitor`, held against the day before."""
    from pydantic import TypeAdapter

    from firstfault.monitor import Health

    wanted = {"collection": client.collection, "hours": hours, "model": model, "adapter": adapter}
    given = {name: value for name, value in wanted.items() if value is not None}
    return TypeAdapter(Health).validate_python(client.get("/monitor", **given))


def incidents(client: "Client") -> "list[Incident]":
    """`incident` without an id."""
    from pydantic import TypeAdapter

    from firstfault.monitor import Incident

    return TypeAdapter(list[Incident]).validate_python(client.get("/incidents")["incidents"])


def incident(client: "Client", incident_id: str) -> "tuple[Incident, list[Entry], list[Alert]]":
    """An incident that the server keeps, its timeline and its alerts; "last" is the newest."""
    from urllib.parse import quote

    from pydantic import TypeAdapter

    from firstfault.monitor import Alert, Entry, Incident

    document = client.get(f"/incidents/{quote(incident_id, safe='')}")
    timeline = TypeAdapter(list[Entry]).validate_python(document.pop("timeline"))
    alerts = TypeAdapter(list[Alert]).validate_python(document.pop("alerts"))
    return TypeAdapter(Incident).validate_python(document), timeline, alerts


def training_runs(client: "Client") -> list[dict[str, Any]]:
    """`finetune runs`: rows of `run_id`, `at`, `status`, `examples`, `base`, and more."""
    rows: list[dict[str, Any]] = client.get("/finetunes")["finetunes"]
    return rows


def training_run(client: "Client", run_id: str) -> "TrainingRun":
    """`finetune show`: a training run that the server keeps; its folder is there, in the server's home."""
    from urllib.parse import quote

    from firstfault.collection.adapters import FOLDER
    from firstfault.finetune.runs import TrainingRun

    document = client.get(f"/finetunes/{quote(run_id, safe='')}")
    for made_there in ("gates", "diagnosis", "releases"):
        del document[made_there]
    run_id, at, status = (document.pop(name) for name in ("run_id", "at", "status"))
    folder = Path(FOLDER, "runs", run_id)
    return TrainingRun(id=run_id, at=at, status=status, folder=folder, record=document)


def releases(client: "Client", name: str | None) -> "tuple[Release, ...]":
    """`finetune releases`."""
    from pydantic import TypeAdapter

    from firstfault.finetune import Release

    found = TypeAdapter(tuple[Release, ...]).validate_python(client.get("/releases")["releases"])
    return tuple(one for one in found if name is None or one.name == name)


def release(client: "Client", run: str, name: str, *, licence: str) -> dict[str, Any]:
    """`finetune release --json`, with `loaded` and `reason`: whether the server has it in use."""
    document: dict[str, Any] = client.post("/releases", {"run": run, "name": name, "licence": licence})
    return document


def rollback(client: "Client", name: str) -> dict[str, Any]:
    """`finetune rollback --json`; see `release`."""
    document: dict[str, Any] = client.post("/releases/rollback", {"name": name})
    return document


def replay(
    client: "Client", trace_id: str, changes: Mapping[str, str], where: str | None
) -> "tuple[Any, Trace, Trace]":
    """`replay`: its JSON document, the request as it was, and as it is now."""
    before = trace(client, trace_id)
    document = client.post("/replay", {"trace_id": before.id, "changes": dict(changes), "where": where})
    return document, before, trace(client, document["trace_id"])


def trace(client: "Client", trace_id: str) -> "Trace":
    """A request that the server keeps."""
    from pydantic import TypeAdapter

    from firstfault.types import Trace

    return TypeAdapter(Trace).validate_python(client.get(f"/traces/{trace_id}"))
