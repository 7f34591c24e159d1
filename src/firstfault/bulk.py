"""Bulk work on the workers of a Ray cluster: items in, the result of each out, in the order they get done.

A worker makes its state once and keeps it. Workers only read; whoever asked for the work writes, alone, so an
item that was worked on twice does no harm. Needs the extra `ray`; nothing of it is imported before.
"""

import os
import secrets
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from firstfault.config import BulkConfig
from firstfault.errors import FirstfaultError, MissingError, RemoteError

ATTEMPTS = 3
"""How often an item is worked on before it ends the work, where the fault may lie with the worker."""
START_S = 300
"""How long the first worker may take to have its state: models may have to be pulled."""
RESTARTS = 3
"""How often Ray starts a worker anew that died, on whatever node is left."""
OWN_CLUSTER = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else an outward address is taken in the place of 127.0.0.1
    "RAY_AUTH_MODE": "token",
    "RAY_raylet_start_wait_time_s": "120",  # these three are too short for a busy machine
    "RAY_gcs_server_request_timeout_seconds": "120",
    "RAY_agent_register_timeout_ms": "120000",
}
"""Environment of a cluster on this machine."""
_AHEAD = 2
"""Items that a worker has at a time: one that it works on and one that waits."""
_OBJECTS = 256 * 2**20
"""Bytes of shared memory of a cluster on this machine."""

State = TypeVar("State")
Item = TypeVar("Item")
Result = TypeVar("Result")

_within = False


def spreads(settings: BulkConfig) -> bool:
    """Whether bulk work is to be spread. Within a worker it is not: what it was given, it does itself."""
    return settings.kind == "ray" and not _within


class Crew(Generic[State, Item, Result]):
    """Workers of a cluster. Use it as a context manager; they start with the first item.

    `build` gives a worker its state, closed at the end; `work` is called with it and an item. Both travel, as
    do items and results.
    """

    def __init__(
        self,
        settings: BulkConfig,
        build: Callable[[], AbstractContextManager[State]],
        work: Callable[[State, Item], Result],
    ) -> None:
        self._settings = settings
        self._build = build
        self._work = work
        self._workers: list[Any] = []
        self._connection = ExitStack()

    def map_unordered(
        self, items: Sequence[Item], name: Callable[[int], str]
    ) -> Iterator[tuple[int, Result]]:
        """Yield the position and the result of every item, each exactly once, as they get done.

        What a lost worker had is given to another. `name` says in errors which item it was.

        Raises:
            MissingError: Ray is not installed, or no worker started.
            RemoteError: an item was tried several times in vain, or no worker is left.
            FirstfaultError: the work itself says that it cannot be done.
        """
        if not items:
            return
        self._start()
        import ray

        waiting = deque(enumerate(items))
        tried = [0] * len(items)
        running: dict[Any, tuple[Any, int]] = {}
        while waiting or running:
            busy = [worker for worker, _ in running.values()]
            for worker in self._workers * _AHEAD:
                if waiting and busy.count(worker) < _AHEAD:
                    position, item = waiting.popleft()
                    running[worker.work.remote(item)] = worker, position
                    busy.append(worker)
            done, _ = ray.wait(list(running), num_returns=1)
            worker, position = running.pop(done[0])
            try:
                outcome = ray.get(done[0])
            except ray.exceptions.RayError as error:
                outcome = _explained(error)
                if isinstance(error, ray.exceptions.ActorDiedError):
                    self._dismiss(worker, outcome)
            if not isinstance(outcome, FirstfaultError):
                yield position, outcome[0]
                continue
            tried[position] += 1
            if tried[position] >= ATTEMPTS or not getattr(outcome, "transient", False):
                outcome.message = f"{name(position)}: {outcome.message}"
                raise outcome
            waiting.append((position, items[position]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._workers:
            import ray

            ray.wait([w.close.remote() for w in self._workers], num_returns=len(self._workers), timeout=10)
            for worker in self._workers:
                ray.kill(worker)
            self._workers = []
        self._connection.close()

    def _start(self) -> None:
        """Connect and start the workers; returns when one of them has its state."""
        if self._workers:
            return
        ray = connect(self._settings, self._connection)
        kind = ray.remote(_Worker).options(
            max_restarts=RESTARTS, max_task_retries=ATTEMPTS - 1, scheduling_strategy="SPREAD"
        )
        self._workers = [kind.remote(self._build, self._work) for _ in range(self._settings.workers)]
        starting = [worker.begin.remote() for worker in self._workers]
        begun, _ = ray.wait(starting, num_returns=1, timeout=START_S)
        if not begun:
            raise MissingError(
                f"None of {self._settings.workers} workers started within {START_S} s.",
                hint="`ray status` shows what the cluster has left: a worker needs one CPU to start.",
            )
        try:
            refused = ray.get(begun[0])
        except ray.exceptions.RayError as error:
            raise _explained(error) from None
        if refused is not None:
            raise refused

    def _dismiss(self, worker: Any, why: FirstfaultError) -> None:
        """Go on without a worker that Ray has given up."""
        self._workers = [one for one in self._workers if one is not worker]
        if not self._workers:
            raise RemoteError(
                f"No worker is left. The last one: {why.message}",
                hint="Look at the cluster (`ray status`), then run the command again: what is done is kept.",
            )


class _Worker:
    """One worker, in its own process; Ray makes it an actor."""

    def __init__(self, build: Callable[[], AbstractContextManager[Any]], work: Callable[[Any, Any], Any]):
        global _within  # noqa: PLW0603 - the process is this worker's own
        _within = True
        self._build = build
        self._work = work
        self._open = ExitStack()
        self._states: list[Any] = []

    def begin(self) -> FirstfaultError | None:
        """Make the state; what makes that impossible is returned."""
        try:
            if not self._states:
                self._states.append(self._open.enter_context(self._build()))
        except FirstfaultError as error:
            return error
        return None

    def work(self, item: Any) -> tuple[Any] | FirstfaultError:
        """The result of one item in a tuple, or the error that says why there is none."""
        refused = self.begin()  # once more after a restart
        if refused is not None:
            return refused
        try:
            return (self._work(self._states[0], item),)
        except FirstfaultError as error:
            return error

    def close(self) -> None:
        """Close the state."""
        self._open.close()


def connect(settings: BulkConfig, stack: ExitStack) -> Any:
    """Ray, connected to the cluster of the settings; without one, to a cluster made here until `stack` ends.

    Usage statistics are off. A cluster made here listens on loopback alone, and asks every caller for a token
    that only this process and its workers have.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if settings.address is None:
        for name, value in OWN_CLUSTER.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise MissingError(
            'bulk.kind = "ray" needs Ray.', hint="Install it: pip install 'firstfault[ray]'"
        ) from error
    if ray.is_initialized():
        return ray
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if settings.address is None:
        folder = tempfile.mkdtemp(prefix="ff-ray-", dir="/tmp")  # short: the path of a socket is limited
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        quiet |= {
            "num_cpus": settings.workers,
            "include_dashboard": False,
            "object_store_memory": _OBJECTS,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": folder,
        }
    try:
        ray.init(address=settings.address or "local", **quiet)
    except Exception as error:
        where = settings.address or "this machine"
        raise MissingError(
            f"Ray could not be reached or started on {where}: {str(error)[:300]}",
            hint="Check bulk.address: this machine must be a node of it. Or set bulk.kind to local.",
        ) from error
    stack.callback(ray.shutdown)
    return ray


def _explained(error: Exception) -> RemoteError:
    """What Ray raised, in plain words; worth another try."""
    import ray

    cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
    lost = isinstance(error, ray.exceptions.RayActorError)
    what = "its worker was lost" if lost else f"{type(cause).__name__}: {str(cause)[:300]}"
    return RemoteError(f"{what}.", hint="Run the command again: what is done is kept.", transient=True)
