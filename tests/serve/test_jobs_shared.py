"""Jobs that several servers share: each done once, also when the server that had it is killed."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firstfault.collection.database import bind, connect, database_of
from firstfault.config import Settings
from firstfault.serve.jobs import Job, Progress
from firstfault.serve.jobs_shared import SharedJobs
from firstfault.serve.problems import UnknownError

Postgres = Callable[[], str]
Servers = Callable[[Any], SharedJobs]


@pytest.fixture
def home(tmp_path: Path, postgres: Postgres) -> Path:
    bind(tmp_path, Settings().override({"home.database": postgres()}))
    return tmp_path


@pytest.fixture
def servers(home: Path) -> Iterator[Callable[[Any], SharedJobs]]:
    opened: list[SharedJobs] = []

    def open_(work: Any) -> SharedJobs:
        made = SharedJobs(home, connect(home), {"ingest": ("write", work), "evaluate": ("measure", work)})
        opened.append(made)
        return made

    yield open_
    for one in opened:
        one.stop(10)


def test_three_servers_do_every_job_once(servers: Callable[[Any], SharedJobs]) -> None:
    done: list[tuple[int, int]] = []
    lock = threading.Lock()

    def worker(number: int) -> Any:
        def work(job: Job, payload: Any, progress: Progress) -> Any:
            time.sleep(0.02)
            progress(1, 1)
            with lock:
                done.append((number, payload))
            return {"doubled": payload * 2}

        return work

    three = [servers(worker(number)) for number in range(3)]
    submitted = [three[0].submit("ingest", at) for at in range(24)]
    assert three[1].waiting() == {"write": 24, "measure": 0}
    for server in three:
        server.start()
    finished = [three[2].wait(job.id, 30) for job in submitted]
    assert [job.state for job in finished] == ["done"] * 24
    assert [job.result for job in finished] == [{"doubled": at * 2} for at in range(24)]
    assert sorted(payload for _, payload in done) == list(range(24))
    assert len({number for number, _ in done}) > 1
    assert [job.id for job in three[0].newest(3)] == sorted((j.id for j in submitted), reverse=True)[:3]
    with pytest.raises(UnknownError):
        three[0].get("job-none")


def test_what_a_killed_server_had_is_done_by_another(
    home: Path, servers: Callable[[Any], SharedJobs]
) -> None:
    database = database_of(home).database
    code = f"""
import os, signal, time
from pathlib import Path
from firstfault.collection.database import bind, connect
from firstfault.config import Settings
from firstfault.serve.jobs_shared import SharedJobs
home = Path({str(home)!r})
bind(home, Settings().override({{"home.database": {database!r}}}))
def work(job, payload, progress):
    os.kill(os.getpid(), signal.SIGKILL)
jobs = SharedJobs(home, connect(home), {{"ingest": ("write", work)}})
jobs.submit("ingest", "mine")
jobs.start()
time.sleep(30)
"""
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert died.returncode == -9, died.stderr
    other = servers(lambda job, payload, progress: payload)
    (left,) = other.newest(9)
    assert left.state in ("queued", "running")
    other.start()
    ended = other.wait(left.id, 30)
    assert (ended.state, ended.result) == ("done", "mine")


def test_jobs_are_cancelled_from_another_server_and_failures_are_kept(
    servers: Callable[[Any], SharedJobs],
) -> None:
    began = threading.Event()

    def slow(job: Job, payload: Any, progress: Progress) -> Any:
        if payload == "fail":
            raise ValueError("no")
        began.set()
        for at in range(600):
            time.sleep(0.05)
            progress(at, 600)
        return None

    one, other = servers(slow), servers(slow)
    waiting = other.submit("ingest", "never begun")
    assert other.cancel(waiting.id).state == "cancelled"
    failing = other.submit("evaluate", "fail")
    running = other.submit("ingest", "long")
    one.start()
    assert began.wait(20)
    other.cancel(running.id)
    assert other.wait(running.id, 20).state == "cancelled"
    ended = other.wait(failing.id, 20)
    assert ended.state == "failed"
    assert ended.error is not None
    assert "ValueError" in ended.error["detail"]
