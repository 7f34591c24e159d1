"""Training runs in the database of a home: what was trained on what, how it went, what the gates said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, insert, select, update

from firstfault.collection.adapters import FOLDER
from firstfault.collection.database import connect, reading, writing
from firstfault.collection.lookup import find
from firstfault.collection.schema import finetune_runs
from firstfault.errors import MissingError

RunStatus = Literal["training", "trained", "stopped", "failed"]
"""`stopped`: a guard ended it with an alarm; `failed`: it could not go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """A training, and everything that was recorded about it."""

    id: str
    at: str
    """When it began, ISO 8601 in UTC."""
    status: RunStatus
    folder: Path
    """Its files: rows, checkpoint.pt, peft/ and adapter.gguf, or model/ of a full training, lm-eval/."""
    record: Mapping[str, Any]
    """`base`, `data`, `recipe`, `points`, `alarms`, `best`, `seconds`, then `bench`, `gate`, `trials`."""


class TrainingRuns:
    """The training runs of one home."""

    def __init__(self, home: Path, *, create: bool = False) -> None:
        self._home = home
        self._engine: Engine = connect(home, create=create)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def begin(self, run_id: str, record: Mapping[str, Any]) -> TrainingRun:
        """Store a run that is about to train, and make its folder."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with writing(self._engine) as connection:
            row = {"id": run_id, "at": at, "status": "training", "record": dict(record)}
            connection.execute(insert(finetune_runs).values(row))
        run = self.get(run_id)
        run.folder.mkdir(parents=True, exist_ok=True)
        return run

    def update(self, run_id: str, changes: Mapping[str, Any], status: RunStatus | None = None) -> None:
        """Replace parts of the record; they survive a crash from here on."""
        with writing(self._engine) as connection:
            found = connection.scalar(select(finetune_runs.c.record).where(finetune_runs.c.id == run_id))
            values: dict[str, Any] = {"record": {**(found or {}), **changes}}
            if status is not None:
                values["status"] = status
            connection.execute(update(finetune_runs).where(finetune_runs.c.id == run_id).values(values))

    def get(self, run_id: str) -> TrainingRun:
        """The run with this id, with the only id that begins with it, or the newest for "last".

        Raises:
            InputError: there is no such run, or several.
        """
        row = find(
            self._engine, finetune_runs, run_id, what="training run", listed_by="firstfault finetune runs"
        )
        return self._run(row)

    def newest(self, *, limit: int = 20) -> Sequence[TrainingRun]:
        """Runs, newest first."""
        query = select(finetune_runs).order_by(finetune_runs.c.at.desc(), finetune_runs.c.id.desc())
        with reading(self._engine) as connection:
            return [self._run(row) for row in connection.execute(query.limit(limit))]

    def _run(self, row: Any) -> TrainingRun:
        folder = self._home / FOLDER / "runs" / row.id
        return TrainingRun(id=row.id, at=row.at, status=row.status, folder=folder, record=row.record)


def open_runs(home: Path) -> TrainingRuns:
    """The training runs of a home that exists.

    Raises:
        MissingError: there is no home yet.
    """
    try:
        return TrainingRuns(home)
    except MissingError as error:
        raise MissingError(
            f"There is nothing at {home} yet.", hint="First: firstfault finetune train DATA"
        ) from error
