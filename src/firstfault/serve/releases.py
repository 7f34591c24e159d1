"""Fine-tunes and releases over HTTP: runs and what their names mean in; a moved pointer out.

A release or a rollback reaches the running server without a pause: what the name will mean is loaded first.
"""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from firstfault.diagnose.diagnosis import open_playbook
from firstfault.errors import InputError, MissingError
from firstfault.finetune import Release, line, list_releases
from firstfault.finetune import rollback as back
from firstfault.finetune.diagnose import diagnose
from firstfault.finetune.gates import gate, passed
from firstfault.finetune.releases import before
from firstfault.finetune.runs import TrainingRun, TrainingRuns
from firstfault.models.adapters import Adapter, file_digest
from firstfault.serve import examples
from firstfault.serve.access import Administering, Reading
from firstfault.serve.engine import Switched
from firstfault.serve.keys import Key
from firstfault.serve.native import reply
from firstfault.serve.problems import DeniedError, UnknownError
from firstfault.serve.schemas import ReleaseBody, RollbackBody
from firstfault.serve.state import Served, served

router = APIRouter(tags=["fine-tunes"])


@router.get("/finetunes", responses=examples.FINETUNES)
async def finetunes(
    request: Request, key: Reading, limit: Annotated[int, Query(ge=1, le=1000)] = 20
) -> Response:
    """The newest training runs: how far each came, its gates, and what was released of it."""
    home = served(request).engine.config.home

    def read() -> list[dict[str, Any]]:
        made = list_releases(home)
        return [_row(run, made) for run in newest(home, limit)]

    return reply({"finetunes": await served(request).engine.read(read)})


@router.get("/finetunes/{run_id}", responses=examples.FINETUNE)
async def finetune(request: Request, run_id: str, key: Reading) -> Response:
    """One training run; `last` is the newest. Keys that open some collections only get no samples."""
    engine = served(request).engine
    home = engine.config.home

    def read() -> dict[str, Any]:
        run = find_run(home, run_id)
        ended = run.status != "training"  # nothing is judged before the end
        made = asdict(diagnose(run, open_playbook(engine.settings))) if ended else None
        record = dict(run.record)
        if record.get("bench") and key.collections:
            record["bench"] = {**record["bench"], "samples": []}
        return {
            "run_id": run.id,
            "at": run.at,
            "status": run.status,
            **record,
            "gates": made.pop("gates") if made else [],
            "diagnosis": made,
            "releases": _released(run, list_releases(home)),
        }

    return reply(await engine.read(read))


@router.get("/releases", responses=examples.RELEASES)
async def releases(request: Request, key: Reading) -> Response:
    """Every release of every adapter, and which one each name means (`current`)."""
    home = served(request).engine.config.home
    found = await served(request).engine.read(lambda: list_releases(home))
    return reply({"releases": [one.document() for one in found]})


@router.post("/releases", status_code=201, responses=examples.RELEASED)
async def release(request: Request, body: ReleaseBody, key: Administering) -> Response:
    """Make the adapter of a training run the current release of a name, if every gate passes.

    It is loaded before the name means it: requests at work keep what they began with, the next one uses it.
    """
    made = await release_run(served(request), body.run, body.name, licence=body.licence, key=key)
    return reply(_switched(made), status=201)


@router.post("/releases/rollback", responses=examples.ROLLED_BACK)
async def rollback(request: Request, body: RollbackBody, key: Administering) -> Response:
    """Make a name mean the release before its current one, without a pause."""
    return reply(_switched(await roll_back(served(request), body.name, key=key)))


async def release_run(server: Served, run_id: str, name: str, *, licence: str, key: Key) -> Switched[Release]:
    """Release the adapter of a run under a name, here and in the running server.

    Raises:
        DeniedError: the key opens some collections only.
        UnknownError: there is no such run.
        InputError: a gate failed, or the name cannot be used.
        MissingError: the run has no adapter file.
        MismatchError: the server answers with this name, and the adapter is for another model.
    """
    _for_all(key)
    home = server.engine.config.home

    def find() -> tuple[TrainingRun, Adapter]:
        run = find_run(home, run_id)
        line.releasable(home, run, name)
        file = run.folder / "adapter.gguf"
        digest = run.record["base"]["digest"] or None
        return run, Adapter(name=name, path=file, digest=file_digest(file), base_digest=digest)

    run, adapter = await server.engine.read(find)
    return await server.engine.switch(adapter, lambda: line.release(home, run, name, licence=licence))


async def roll_back(server: Served, name: str, *, key: Key) -> Switched[Release]:
    """Make a name mean the release before its current one, here and in the running server.

    Raises:
        DeniedError: the key opens some collections only.
        UnknownError: nothing of this name was released.
        InputError: the current release is the first.
    """
    _for_all(key)
    home = server.engine.config.home

    def find() -> Adapter:
        try:
            earlier = before(home, name)
        except MissingError as error:
            raise UnknownError(error.message, hint="GET /releases lists them.") from None
        return Adapter(
            name=name,
            path=earlier.gguf,
            digest=earlier.digest,
            base_digest=earlier.base_digest or None,
            release=earlier.number,
        )

    adapter = await server.engine.read(find)
    return await server.engine.switch(adapter, lambda: back(home, name))


def newest(home: Any, limit: int) -> list[TrainingRun]:
    """The newest training runs of the home."""
    store = TrainingRuns(home)
    try:
        return list(store.newest(limit=limit))
    finally:
        store.close()


def find_run(home: Any, run_id: str) -> TrainingRun:
    """A training run by its id, the beginning of it, or `last`.

    Raises:
        UnknownError: there is none, or several.
    """
    store = TrainingRuns(home)
    try:
        return store.get(run_id)
    except InputError as error:
        raise UnknownError(error.message[:200], hint="GET /finetunes lists them.") from None
    finally:
        store.close()


def _for_all(key: Key) -> None:
    if key.collections:
        raise DeniedError(
            "A release changes the answers of every collection, and the key opens only some.",
            hint="Use a key that is not limited to collections.",
            status=403,
        )


def _row(run: TrainingRun, made: tuple[Release, ...]) -> dict[str, Any]:
    points = run.record.get("points") or []
    kept = next((one for one in points if one["step"] == run.record.get("best")), None)
    verdicts = gate(run.record) if run.status != "training" else ()
    loss = None
    if kept is not None:
        loss = {
            "before": points[0]["validation_loss"],
            "best": kept["validation_loss"],
            "step": kept["step"],
        }
    failed = [verdict.name for verdict in verdicts if verdict.status not in {"ok", "warn"}]
    return {
        "run_id": run.id,
        "at": run.at,
        "status": run.status,
        "base": run.record["base"]["name"],
        "examples": run.record["data"]["training"],
        "validation_loss": loss,
        "gates": {"passed": passed(verdicts), "failed": failed} if verdicts else None,
        "releases": _released(run, made),
    }


def _released(run: TrainingRun, made: tuple[Release, ...]) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "number": one.number, "current": one.current}
        for one in made
        if one.run_id == run.id
    ]


def _switched(done: Switched[Release]) -> dict[str, Any]:
    return {**done.moved.document(), "loaded": done.loaded, "reason": done.reason}
