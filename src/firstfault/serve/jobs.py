"""Work that takes longer than a request: accepted, done one after the other, and finished after a crash too.

In: a kind and a payload. Out: a job that can be watched. What was accepted is on disk before the client hears
of it, and is done again at the next start if the process died meanwhile; every kind may be done twice. Two
lanes, each with a thread of its own: one for changes of the corpus, so that there is one writer, and one for
measuring.
"""

import json
import logging
import os
import queue
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from firstfault.errors import FirstfaultError, StorageError
from firstfault.serve.admission import RefusedError
from firstfault.serve.problems import UnknownError, problem_of
from firstfault.trace.record import new_trace_id

logger = logging.getLogger(__name__)

FOLDER = "jobs"
MOST_WAITING = 256
"""Jobs that may wait in a lane; further ones are refused."""
MOST_KEPT = 1000
"""Finished jobs that are remembered; the oldest are forgotten first."""

Lane = Literal["write", "measure"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: frozenset[State] = frozenset({"done", "failed", "cancelled"})

_ID = re.compile(r"job-[0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work."""

    id: str
    kind: str
    lane: Lane
    collection: str
    state: State
    created: str
    """ISO 8601 in UTC."""
    started: str | None = None
    finished: str | None = None
    done: int = 0
    """Of what the job counts: documents, cases."""
    total: int = 0
    """0 = not known yet."""
    result: Any = None
    """What came of it, when it is done."""
    error: Mapping[str, Any] | None = None
    """The problem, when it failed."""

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


class JobCancelledError(Exception):
    """The job was to end."""


Progress = Callable[[int, int], None]
Work = Callable[[Job, Any, Progress], Any]
"""Called with the job, its payload, and a function that takes (done, total) and may end the work."""


class Jobs:
    """The jobs of a home."""

    def __init__(self, home: Path, kinds: Mapping[str, tuple[Lane, Work]]) -> None:
        self._folder = home / FOLDER
        self._kinds = kinds
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._cancelled: set[str] = set()
        self._changed = threading.Condition(self._lock)
        self._lanes: dict[Lane, queue.Queue[str | None]] = {"write": queue.Queue(), "measure": queue.Queue()}
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def start(self) -> int:
        """Take up what an earlier process left; returns how many jobs that were."""
        left = 0
        for path in sorted(self._folder.glob("job-*.json")):
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                job = Job(**record["job"])
            except (OSError, ValueError, TypeError, KeyError):
                logger.warning("A job record cannot be read and is left alone: %s", path.name)
                continue
            if job.state not in FINISHED:
                job = replace(job, state="queued", started=None, done=0)
                self._lanes[job.lane].put(job.id)
                left += 1
            self._jobs[job.id] = job
        self._start_lanes()
        return left

    def _start_lanes(self) -> None:
        for lane in self._lanes:
            thread = threading.Thread(target=self._work, args=(lane,), name=f"jobs-{lane}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def submit(self, kind: str, payload: Any, *, collection: str = "default") -> Job:
        """Accept work: it is on disk when this returns.

        Raises:
            RefusedError: too many wait.
            StorageError: it cannot be written.
        """
        lane, _ = self._kinds[kind]
        if self._stopping or self._lanes[lane].qsize() >= MOST_WAITING:
            raise RefusedError(
                "No further job is taken now.", hint="Try again later.", status=503, retry_after_s=10
            )
        job = new_job(kind, lane, collection)
        self._store(job, payload)
        with self._lock:
            self._jobs[job.id] = job
        self._lanes[lane].put(job.id)
        return job

    def get(self, job_id: str) -> Job:
        """A job.

        Raises:
            UnknownError: there is none.
        """
        with self._lock:
            if job_id not in self._jobs:
                raise UnknownError(f"There is no job '{job_id[:80]}'.", hint="GET /jobs lists them.")
            return self._jobs[job_id]

    def newest(self, limit: int) -> list[Job]:
        """Jobs, newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)[:limit]

    def wait(self, job_id: str, seconds: float) -> Job:
        """The job as soon as it is finished, or as it is when the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs[job_id].state in FINISHED, timeout=seconds)
            return self._jobs[job_id]

    def cancel(self, job_id: str) -> Job:
        """End a job: at once while it waits, else at its next step. What it committed stays."""
        job = self.get(job_id)
        if job.state in FINISHED:
            return job
        self._cancelled.add(job_id)
        if job.state == "queued":
            self._finish(job, state="cancelled")
        return self.get(job_id)

    def waiting(self) -> dict[str, int]:
        """Lane → jobs that wait or run."""
        with self._lock:
            return {
                lane: sum(job.lane == lane and job.state not in FINISHED for job in self._jobs.values())
                for lane in self._lanes
            }

    def stop(self, limit_s: float) -> None:
        """Let the running jobs end at their next step; they are taken up at the next start."""
        self._stopping = True
        for lane in self._lanes.values():
            lane.put(None)
        for thread in self._threads:
            thread.join(limit_s)

    def _work(self, lane: Lane) -> None:
        while True:
            job_id = self._lanes[lane].get()
            if job_id is None or self._stopping:
                return
            with self._lock:
                job = self._jobs.get(job_id)
            if job is not None and job.state == "queued":
                self._run(replace(job, state="running", started=now()))

    def _run(self, job: Job) -> None:
        self._set(job)

        def progress(done: int, total: int) -> None:
            self._report(job, done, total)

        try:
            payload = self._payload(job.id)
            result = self._kinds[job.kind][1](job, payload, progress)
        except JobCancelledError:
            if job.id in self._cancelled:
                self._finish(job, state="cancelled")
        except FirstfaultError as error:
            if not self._stopping:  # what fails because the server stops is done again at the next start
                self._finish(job, state="failed", error=problem_of(error).document())
        except Exception as error:  # noqa: BLE001 - the lane must go on, whatever one job does
            if self._stopping:
                return
            logger.error("Job %s failed: %s", job.id, traceback.format_exc())  # noqa: TRY400
            said = {
                "status": 500,
                "detail": f"{type(error).__name__}: {error}",
                "hint": "See the server's log.",
            }
            self._finish(job, state="failed", error=said)
        else:
            self._finish(job, state="done", result=result)

    def _payload(self, job_id: str) -> Any:
        return json.loads(self._path(job_id).read_text(encoding="utf-8"))["payload"]

    def _report(self, job: Job, done: int, total: int) -> None:
        """Note how far a job is; raises JobCancelledError when it is to end."""
        self._set(replace(self.get(job.id), done=done, total=total))
        if job.id in self._cancelled or self._stopping:
            raise JobCancelledError

    def _finish(self, job: Job, **changes: Any) -> None:
        ended = replace(self.get(job.id), finished=now(), **changes)
        try:
            self._store(ended, None)
        except StorageError as error:
            logger.warning("The end of job %s is not recorded, it will be done again: %s", job.id, error)
        self._set(ended)
        self._cancelled.discard(job.id)
        with self._lock:
            finished = sorted(one.id for one in self._jobs.values() if one.state in FINISHED)
            forgotten = finished[:-MOST_KEPT]
            for job_id in forgotten:
                del self._jobs[job_id]
        for job_id in forgotten:
            self._path(job_id).unlink(missing_ok=True)

    def _set(self, job: Job) -> None:
        with self._changed:
            self._jobs[job.id] = job
            self._changed.notify_all()

    def _path(self, job_id: str) -> Path:
        assert _ID.fullmatch(job_id)
        return self._folder / f"{job_id}.json"

    def _store(self, job: Job, payload: Any) -> None:
        path = self._path(job.id)
        partial = path.with_suffix(".partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8", errors="surrogatepass") as file:
                json.dump({"job": job.document(), "payload": payload}, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise StorageError(
                f"The job cannot be written to {self._folder}: {error.strerror}.", hint="Free disk space."
            ) from error


def new_job(kind: str, lane: Lane, collection: str) -> Job:
    """A job that waits to be done."""
    return Job(
        id=f"job-{new_trace_id()}",
        kind=kind,
        lane=lane,
        collection=collection,
        state="queued",
        created=now(),
    )


def now() -> str:
    """UTC, ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
