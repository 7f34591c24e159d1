"""Threads for models: how many there may be, and work in order on several of them."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_SIBLINGS = "/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"


def default_threads() -> int:
    """Physical cores that this process may run on, limited by the container's CPU quota and by
    OMP_NUM_THREADS, which schedulers such as Ray set; at least 1."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return min(int(given), _cores())
    return _cores()


def _cores() -> int:
    if not hasattr(os, "sched_getaffinity"):
        return max(1, (os.cpu_count() or 2) // 2)
    cpus = os.sched_getaffinity(0)
    cores = {_first_line(Path(_SIBLINGS.format(cpu=cpu))) or str(cpu) for cpu in cpus}
    quota, _, period = _first_line(_CPU_MAX).partition(" ")
    limit = math.ceil(int(quota) / int(period)) if quota.isdigit() and period.isdigit() else len(cores)
    return max(1, min(len(cores), limit))


def run_ahead(work: Callable[[In], Out], items: Sequence[In], threads: int) -> Iterator[Out]:
    """Yield `work(item)` in the order of the items, computing a few ahead on `threads` threads.

    One item, or one thread, is worked on in the caller's own thread. Closing the iterator drops what has
    not begun.
    """
    if threads == 1 or len(items) <= 1:
        for item in items:
            yield work(item)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
    try:
        pending: deque[Future[Out]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _first_line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
