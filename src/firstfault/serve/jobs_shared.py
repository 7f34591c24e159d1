"""The jobs of several servers that share a PostgreSQL: any of them takes the next, and none is done by two.

In: a kind and a payload, in a row of the table. Out: a job that every server can watch. Who works on a job
holds an advisory lock, which ends with its connection: what a killed server left is taken up by another.
"""

import json
import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update

from firstfault.collection.database import reading, writing
from firstfault.collection.postgres import lock_key
from firstfault.collection.schema import jobs
from firstfault.errors import StorageError
from firstfault.serve.admission import RefusedError
from firstfault.serve.jobs import (
    FINISHED,
    MOST_KEPT,
    MOST_WAITING,
    Job,
    JobCancelledError,
    Jobs,
    Lane,
    Work,
    new_job,
    now,
)
from firstfault.serve.problems import UnknownError

logger = logging.getLogger(__name__)

POLL_S = 0.5
"""How often a lane that has nothing to do looks for work."""
_STEP_S = 0.5
"""How often the progress of a job is written."""
_CANCELLING = "cancelling"


class SharedJobs(Jobs):
    """The jobs of a database that several servers share."""

    def __init__(self, home: Path, engine: Engine, kinds: Mapping[str, tuple[Lane, Work]]) -> None:
        super().__init__(home, kinds)
        self._engine = engine
        self._stop = threading.Event()
        self._reported: dict[str, float] = {}
        """When the progress of a job was written last."""

    def start(self) -> int:
        """Begin to work; returns how many jobs wait."""
        waiting = sum(self.waiting().values())
        self._start_lanes()
        return waiting

    def submit(self, kind: str, payload: Any, *, collection: str = "default") -> Job:
        """See `Jobs.submit`."""
        lane, _ = self._kinds[kind]
        if self._stopping or self.waiting()[lane] >= MOST_WAITING:
            raise RefusedError(
                "No further job is taken now.", hint="Try again later.", status=503, retry_after_s=10
            )
        job = new_job(kind, lane, collection)
        row = {**_row(job), "id": job.id, "lane": lane, "payload": json.dumps(payload)}
        with writing(self._engine, catalog=False) as connection:
            connection.execute(insert(jobs).values(row))
        return job

    def get(self, job_id: str) -> Job:
        """See `Jobs.get`."""
        with reading(self._engine) as connection:
            record = connection.scalar(select(jobs.c.record).where(jobs.c.id == job_id))
        if record is None:
            raise UnknownError(f"There is no job '{job_id[:80]}'.", hint="GET /jobs lists them.")
        return Job(**json.loads(record))

    def newest(self, limit: int) -> list[Job]:
        """See `Jobs.newest`."""
        query = select(jobs.c.record).order_by(jobs.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [Job(**json.loads(record)) for record in connection.scalars(query)]

    def wait(self, job_id: str, seconds: float) -> Job:
        """See `Jobs.wait`."""
        until = time.monotonic() + seconds
        while (job := self.get(job_id)).state not in FINISHED and time.monotonic() < until:
            time.sleep(min(0.1, max(0.0, until - time.monotonic())))
        return job

    def cancel(self, job_id: str) -> Job:
        """See `Jobs.cancel`."""
        job = self.get(job_id)
        ended = replace(job, state="cancelled", finished=now())
        ours = jobs.c.id == job_id
        with writing(self._engine, catalog=False) as connection:
            waiting = update(jobs).where(ours, jobs.c.state == "queued")
            if not connection.execute(waiting.values(**_row(ended), payload=None)).rowcount:
                running = update(jobs).where(ours, jobs.c.state == "running")
                connection.execute(running.values(state=_CANCELLING))
        return self.get(job_id)

    def waiting(self) -> dict[str, int]:
        """See `Jobs.waiting`."""
        query = select(jobs.c.lane, func.count()).where(jobs.c.state.not_in(FINISHED)).group_by(jobs.c.lane)
        with reading(self._engine) as connection:
            counted = {lane: number for lane, number in connection.execute(query)}  # noqa: C416 - rows are typed
        return {lane: counted.get(lane, 0) for lane in self._lanes}

    def stop(self, limit_s: float) -> None:
        """See `Jobs.stop`."""
        self._stopping = True
        self._stop.set()
        for thread in self._threads:
            thread.join(limit_s)
        self._engine.dispose()

    def _work(self, lane: Lane) -> None:
        while not self._stopping:
            job = None
            try:
                with self._engine.connect() as connection:
                    try:
                        job = _claim(connection, lane)
                        if job is not None:
                            self._run(replace(job, state="running", started=now()))
                    finally:
                        connection.invalidate()  # the lock goes with it
            except Exception as error:  # noqa: BLE001 - the lane must go on when the database comes back
                logger.warning("The %s lane lost its database: %s", lane, error)
                self._stop.wait(5 * POLL_S)
            if job is None:
                self._stop.wait(POLL_S)
        # what was running is queued again by whoever finds its lock free

    def _payload(self, job_id: str) -> Any:
        with reading(self._engine) as connection:
            return json.loads(connection.scalar(select(jobs.c.payload).where(jobs.c.id == job_id)) or "null")

    def _report(self, job: Job, done: int, total: int) -> None:
        at = time.monotonic()
        if at - self._reported.get(job.id, 0.0) < _STEP_S:
            return
        self._reported[job.id] = at
        self._set(replace(job, done=done, total=total))
        with reading(self._engine) as connection:
            cancelled = connection.scalar(select(jobs.c.state).where(jobs.c.id == job.id)) == _CANCELLING
        if cancelled:
            self._cancelled.add(job.id)
        if cancelled or self._stopping:
            raise JobCancelledError

    def _set(self, job: Job) -> None:
        values: dict[str, Any] = _row(job)
        if job.state not in FINISHED:
            del values["state"]  # it may be `cancelling` meanwhile
        with writing(self._engine, catalog=False) as connection:
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))

    def _finish(self, job: Job, **changes: Any) -> None:
        ended = replace(self.get(job.id), finished=now(), **changes)
        with suppress(StorageError), writing(self._engine, catalog=False) as connection:
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(**_row(ended), payload=None))
            kept = select(jobs.c.id).order_by(jobs.c.id.desc()).limit(MOST_KEPT)
            old = (jobs.c.state.in_(FINISHED), jobs.c.id.not_in(kept))
            connection.execute(delete(jobs).where(*old))
        self._cancelled.discard(job.id)
        self._reported.pop(job.id, None)


def _claim(connection: Connection, lane: Lane) -> Job | None:
    """Take the oldest job of a lane that nobody works on; this session then holds its lock."""
    query = (
        select(jobs.c.id, jobs.c.record)
        .where(jobs.c.lane == lane, jobs.c.state.in_(("queued", "running", _CANCELLING)))
        .order_by(jobs.c.id)
        .with_for_update(skip_locked=True)
    )
    with connection.begin():
        for job_id, record in connection.execute(query).all():
            taken = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": lock_key(job_id)})
            if taken:
                ours = update(jobs).where(jobs.c.id == job_id, jobs.c.state == "queued")
                connection.execute(ours.values(state="running"))
                return Job(**json.loads(record))
    return None


def _row(job: Job) -> dict[str, Any]:
    return {"state": job.state, "record": json.dumps(job.document())}
