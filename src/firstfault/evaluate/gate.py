"""The gate for CI: a run, its limits and perhaps a baseline in, what fails out."""

from collections.abc import Sequence
from dataclasses import dataclass

from firstfault.evaluate.aggregate import failing
from firstfault.evaluate.compare import Difference
from firstfault.types import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether a run may pass, and why not."""

    passed: bool
    failing: tuple[str, ...]
    """Metrics beyond their limit."""
    regressed: tuple[str, ...]
    """Metrics that are worse than in the baseline, beyond chance."""
    unmeasured: tuple[str, ...]
    """Metrics that have a limit and no value. They fail the gate only when no other limit was checked."""


def judge(run: Run, differences: Sequence[Difference] = ()) -> Gate:
    """Judge a run by its limits, and by its paired differences to a baseline.

    A run in which every request failed, or in which no limit could be checked, does not pass.
    """
    beyond = tuple(failing(run.metrics))
    regressed = tuple(difference.name for difference in differences if difference.verdict == "worse")
    limited = {name: metric for name, metric in run.metrics.items() if metric.limit is not None}
    unmeasured = tuple(name for name, metric in limited.items() if metric.value is None)
    checked = [name for name in limited if name not in unmeasured and name != "error_rate"]
    return Gate(
        passed=not beyond and not regressed and bool(checked),
        failing=beyond,
        regressed=regressed,
        unmeasured=unmeasured,
    )
