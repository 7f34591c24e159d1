"""Re-running cases: an arm (settings over a collection) and cases in, their results out.

A case is replayed from the first stage that the arm touches; results of earlier stages are those of the run.
Nothing is stored as a trace. Every result is kept, so that no case is run twice under the same arm.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from firstfault.answer.replay import first_stage
from firstfault.config import Settings
from firstfault.diagnose.patches import Patch, patched
from firstfault.errors import InputError
from firstfault.evaluate import Locator
from firstfault.evaluate.run import run_case
from firstfault.stages import Stage
from firstfault.types import CaseResult, Run, Trace

if TYPE_CHECKING:
    from firstfault.answer import Application
    from firstfault.diagnose.shadows import Shadow

Progress = Callable[[str, int, int], None]
"""Called with what is tried, how many cases (or documents, to be cut anew) are done, and of how many."""

_ORDER = list(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of answering the cases."""

    app: "Application"
    """Over the live collection, or over a shadow."""
    settings: Settings
    start: Stage | None
    """The first stage that is run again; None = the whole path, and nothing of the run is used."""
    shadow: "Shadow | None" = None
    """The collection, where it is not the live one."""
    recorded: bool = False
    """The run itself: its results are there already."""

    def generates(self) -> bool:
        """Whether a language model writes the answers again."""
        if self.settings.generator.kind == "extractive":
            return False
        return self.start is None or _ORDER.index(self.start) <= _ORDER.index(Stage.GENERATE)


class Rerun:
    """The cases of one run, under any arm."""

    def __init__(self, app: "Application", run: Run, results: Sequence[CaseResult]) -> None:
        self._app = app
        self._run = run
        self._recorded = {result.case_id: result for result in results}
        self._done: dict[tuple[str, bool], dict[str, CaseResult]] = {}
        self.generations = 0
        """Answers that a language model was asked for so far."""

    @property
    def settings(self) -> Settings:
        """Those of the run, with the limits that are in force now."""
        now = self._app.settings
        limits = {"evaluate": now.evaluate, "latency": now.latency, "diagnose": now.diagnose}
        return Settings.model_validate(self._run.settings).model_copy(update=limits)

    @property
    def answers(self) -> bool:
        """Whether the run generated answers."""
        return self._run.generation

    def base(self) -> Arm:
        """The run as it was recorded."""
        return Arm(app=self._app, settings=self.settings, start=Stage.FILTER, recorded=True)

    def arm(self, patch: Patch) -> Arm:
        """A patch over the live collection.

        Raises:
            ConfigError: the patch shapes what is stored.
        """
        changes = {name: str(value) for name, value in patch.items()}
        start = first_stage(changes, where_changed=False)
        return Arm(app=self._app, settings=patched(self.settings, patch), start=start)

    def again(self, like: Arm) -> Arm:
        """The run's own settings, from the stage at which another arm starts: timed under the same load."""
        return Arm(app=self._app, settings=self.settings, start=like.start)

    def cost(self, arm: Arm, cases: int, *, generate: bool) -> int:
        """Generations that so many cases take, at most."""
        return cases if generate and self.answers and not arm.recorded and arm.generates() else 0

    def results(
        self,
        arm: Arm,
        cases: Sequence[str],
        *,
        generate: bool,
        progress: Callable[[int, int], None] | None = None,
    ) -> dict[str, CaseResult]:
        """Case id → result, for each of the cases. Without `generate` the path ends at the packed context."""
        if arm.recorded:
            return {case: self._recorded[case] for case in cases}
        done = self._done.setdefault((_key(arm), generate and self.answers), {})
        waiting = [case for case in cases if case not in done]
        self.generations += self.cost(arm, len(waiting), generate=generate)
        if waiting:
            self._app.run(self._run_all(arm, waiting, generate and self.answers, done, progress))
        return {case: done[case] for case in cases}

    async def _run_all(
        self,
        arm: Arm,
        waiting: Sequence[str],
        generate: bool,
        done: dict[str, CaseResult],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        remote = generate and arm.settings.generator.kind == "openai"
        locator = Locator(arm.app)
        queue = iter(waiting)
        before = len(done)

        async def work() -> None:
            for case in queue:
                done[case] = await self._run_one(arm, case, locator, generate)
                if progress:
                    progress(len(done) - before, len(waiting))

        async with asyncio.TaskGroup() as group:
            for _ in range(arm.settings.evaluate.parallel if remote else 1):
                group.create_task(work())

    async def _run_one(self, arm: Arm, case_id: str, locator: Locator, generate: bool) -> CaseResult:
        recorded = self._recorded[case_id]
        assert recorded.case is not None  # checked when the fix began
        prior = self._prior(recorded) if arm.start is not None else None
        start = arm.start if arm.start is not None and prior is not None else Stage.FILTER
        result = await run_case(
            arm.app,
            recorded.case,
            locator,
            generation=generate,
            settings=arm.settings,
            prior=prior,
            start=start,
            keep=False,
        )
        return replace(result, timings_ms=_timings(recorded, result, start)) if prior else result

    def _prior(self, recorded: CaseResult) -> Trace | None:
        """The trace of the run, unless it failed or `gc` has dropped it."""
        if recorded.trace_id is None or recorded.error is not None:
            return None
        try:
            return self._app.traces.get(recorded.trace_id)
        except InputError:
            return None


def require_cases(results: Sequence[CaseResult]) -> None:
    """Whether the run kept its cases.

    Raises:
        InputError: it did not, since an older version made it.
    """
    if any(result.case is None for result in results):
        raise InputError("The run does not hold its cases.", hint="Run it again: firstfault eval CASES")


def _key(arm: Arm) -> str:
    start = "" if arm.start is None else arm.start.value
    shadow = "" if arm.shadow is None else f"{arm.shadow.home}/{arm.shadow.collection}"
    return f"{arm.settings.fingerprint()}:{start}:{shadow}"


def _timings(recorded: CaseResult, again: CaseResult, start: Stage) -> Mapping[str, float]:
    """Timings of the whole request: of the run before the first stage that ran again, else of the replay."""
    reused = {
        stage.value: recorded.timings_ms[stage.value]
        for stage in _ORDER[: _ORDER.index(start)]
        if stage.value in recorded.timings_ms
    }
    earlier = sum(reused.values())
    moved = {
        name: again.timings_ms[name] + earlier
        for name in ("time_to_first_token", "total")
        if name in again.timings_ms
    }
    return {**reused, **again.timings_ms, **moved}
