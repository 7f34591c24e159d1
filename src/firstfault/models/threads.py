"""How many threads a model may use: physical cores, within what the process and its container may use."""

import math
import os
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_SIBLINGS = "/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"


def default_threads() -> int:
    """Physical cores that this process may run on, limited by the container's CPU quota; at least 1."""
    if not hasattr(os, "sched_getaffinity"):
        return max(1, (os.cpu_count() or 2) // 2)
    cpus = os.sched_getaffinity(0)
    cores = {_first_line(Path(_SIBLINGS.format(cpu=cpu))) or str(cpu) for cpu in cpus}
    quota, _, period = _first_line(_CPU_MAX).partition(" ")
    limit = math.ceil(int(quota) / int(period)) if quota.isdigit() and period.isdigit() else len(cores)
    return max(1, min(len(cores), limit))


def _first_line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
