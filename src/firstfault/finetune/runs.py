"""Training runs in the database of a home: what was trained on what, how it went, what the gates said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Engine, insert, select, update

from firstfault.collection.adapters import FOLDER
from firstfault.collection.database import connect, reading, writing
from firstfault.collection.schema import finetune_runs
from firstfault.errors import InputError, MissingError

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
    """Its files: checkpoints/, peft/, adapter.gguf."""
    record: Mapping[str, Any]
    """`base`, `data`, `recipe`, `points`, `alarms`, `best`, `seconds`, then `bench` and `gate`."""


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
        query = select(finetune_runs).order_by(finetune_runs.c.at.desc(), finetune_runs.c.id.desc())
        if run_id != "last":
            query = query.where(finetune_runs.c.id.startswith(run_id, autoescape=True))
        with reading(self._engine) as connection:
            rows = connection.execute(query.limit(1 if run_id == "last" else 3)).all()
        rows = [row for row in rows if row.id == run_id] or list(rows)
        if not rows or not run_id:
            raise InputError(f"No training run '{run_id}'.", hint="`firstfault finetune runs` lists them.")
        if len(rows) > 1:
            raise InputError(
                f"Several training runs begin with '{run_id}': {', '.join(row.id for row in rows)}.",
                hint="Give more of the id.",
            )
        return self._run(rows[0])

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
