"""Proven fixes: a run with its diagnosis in, trials out.

For each finding, the primary one first: candidate patches are chosen on one part of the cases and the best
is proven on the other. What is proven stays in force while later findings are tried on top of it.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from firstfault.config import Settings
from firstfault.diagnose.candidates import Candidate, candidates
from firstfault.diagnose.patches import Patch, patched
from firstfault.diagnose.playbook import OVER_BUDGET, Entry, Playbook, Repair
from firstfault.diagnose.proof import (
    ERROR_RATE,
    Question,
    Results,
    both,
    chance,
    harmed,
    less_is_better,
    median_ms,
    prove,
    side_effects,
    value,
)
from firstfault.diagnose.rerun import Arm, Progress, Rerun, require_cases
from firstfault.diagnose.shadows import Shadow, Shadows
from firstfault.diagnose.split import Split, split
from firstfault.errors import ConfigError, InputError
from firstfault.evaluate.metrics import RETRIEVAL
from firstfault.stages import Stage
from firstfault.types import CaseResult, Diagnosis, Finding, Run, Scalar, Trial

if TYPE_CHECKING:
    from firstfault.answer import Application

LEAST_CHOOSING = 2
"""Cases on which a candidate is tried at least, where generations are limited."""
CHOOSING_SHARE = 0.4
"""Of the generations that are left, what choosing may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A candidate on the cases for choosing."""

    patch: Patch
    repair: Repair | None
    before: float | None
    after: float | None
    """Mean of the metric; None when the candidate could not be tried."""
    n: int
    latency_ms: float | None
    """Median of the whole request."""
    note: str = ""
    """Why it could not be tried, or is not taken."""

    def gain(self, metric: str) -> float:
        """In the direction of better; 0 when it could not be tried."""
        if self.before is None or self.after is None:
            return 0.0
        return self.before - self.after if less_is_better(metric) else self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What came of one finding."""

    finding: Finding
    metric: str | None
    attempts: tuple[Attempt, ...] = ()
    trial: Trial | None = None
    """The best candidate on the holdout; None when nothing was proven or could be tried."""
    reason: str = ""
    """Why there is no trial."""
    sampled: bool = False
    """Whether the budget of generations left some cases out; the means are those of the sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixReport:
    """What was tried and proven for a run."""

    run_id: str
    settings: Settings
    """Those of the run, before any patch."""
    fixes: tuple[Fixed, ...]
    patch: Patch
    """All that is verified, together."""
    repairs: tuple[Repair, ...]
    """What must be made anew for it."""
    shadow: Shadow | None
    """The collection that was proven, closed; `apply` switches to it, `discard` deletes it."""
    generations: int
    """Answers that a language model was asked for."""
    budget: int

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The proofs, in the order in which they were made."""
        return tuple(one.trial for one in self.fixes if one.trial is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What came of choosing."""

    attempts: tuple[Attempt, ...]
    best: Candidate | None = None
    arm: Arm | None = None

    def reason(self) -> str:
        """Why there is no best one."""
        notes = [one.note for one in self.attempts if one.before is None]
        if notes and len(notes) == len(self.attempts):
            return f"nothing could be tried: {notes[0]}"
        return "no candidate gained anything on the cases for choosing"


@dataclass(slots=True, kw_only=True)
class _State:
    """What is in force while findings are worked through."""

    rerun: Rerun
    arm: Arm
    budget: int
    trials: int
    progress: Progress | None
    patch: dict[str, Scalar] = field(default_factory=dict)
    repairs: list[Repair] = field(default_factory=list)
    p_values: list[float] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Generations that may still be asked for."""
        return max(0, self.budget - self.rerun.generations)

    def results(self, arm: Arm, cases: Sequence[str], *, generate: bool, what: str) -> dict[str, CaseResult]:
        """Results of the cases under an arm."""
        return self.rerun.results(arm, cases, generate=generate, progress=self.watch(what))

    def watch(self, what: str) -> Callable[[int, int], None] | None:
        """A callback that tells whoever is watching how far something is."""
        progress = self.progress
        return None if progress is None else lambda done, total: progress(what, done, total)


def fix(
    app: "Application",
    run: Run,
    results: Sequence[CaseResult],
    diagnosis: Diagnosis,
    *,
    playbook: Playbook,
    budget: int | None = None,
    progress: Progress | None = None,
) -> FixReport:
    """Try to repair what a diagnosis of a run found, and prove it. Nothing is changed but for shadows.

    `budget` is how many generations may be asked for, from the settings when None.

    Raises:
        InputError: the run does not hold its cases, or the documents changed since.
    """
    require_cases(results)
    if app.collection.name != run.collection:
        raise InputError(
            f"{run.id} is of the collection '{run.collection}', and '{app.collection.name}' is open.",
            hint=f"firstfault --collection {run.collection} fix --run {run.id}",
        )
    if app.collection.version != run.corpus_version:
        raise InputError(
            f"The documents changed since {run.id}, so its results are no baseline.",
            hint=f"Run the cases again: firstfault eval {run.cases}",
        )
    rerun = Rerun(app, run, results)
    shadows = Shadows(app)
    proposed = {id(f): candidates(f, playbook, rerun.settings) for f in diagnosis.findings}
    state = _State(
        rerun=rerun,
        arm=rerun.base(),
        budget=app.settings.diagnose.budget if budget is None else budget,
        trials=max(1, sum(bool(found) for found in proposed.values())),
        progress=progress,
    )
    fixes: list[Fixed] = []
    try:
        for finding in diagnosis.findings:
            fixes.append(_fix_one(state, shadows, finding, playbook, results))
    except BaseException:
        shadows.close()
        raise
    shadows.close(keep=state.arm.shadow)
    return FixReport(
        run_id=run.id,
        settings=rerun.settings,
        fixes=tuple(fixes),
        patch=state.patch,
        repairs=tuple(state.repairs),
        shadow=state.arm.shadow,
        generations=rerun.generations,
        budget=state.budget,
    )


def _fix_one(
    state: _State,
    shadows: Shadows,
    finding: Finding,
    playbook: Playbook,
    results: Sequence[CaseResult],
) -> Fixed:
    entry = playbook.entry(finding.cause)
    found = candidates(finding, playbook, state.arm.settings)
    if not found:
        reason = f"no setting repairs this. {entry.remedy.advice}".rstrip()
        return Fixed(finding=finding, metric=None, reason=reason)
    cases = [result.case_id for result in results]
    metric = _metric(entry, finding, results, state)
    if metric is None:
        wanted = " or ".join(entry.metrics)
        needs_answers = not state.rerun.answers and not set(entry.metrics) <= {
            *RETRIEVAL,
            ERROR_RATE,
            OVER_BUDGET,
        }
        answers = ": run the cases with answers, without --no-generation" if needs_answers else ""
        return Fixed(finding=finding, metric=None, reason=f"the run measured no {wanted}{answers}")
    parts = split(cases, finding.cases, trials=state.trials)
    if not parts.choosing or not parts.holdout:
        reason = "one case is not enough: a patch is chosen on one case and proven on others"
        return Fixed(finding=finding, metric=metric, reason=reason)
    question = Question(
        finding=finding,
        entry=entry,
        metric=metric,
        settings=state.arm.settings,
        trials=state.trials,
        earlier=tuple(state.p_values),
        failing=parts.failing,
    )
    choice = _choose(state, shadows, question, parts, found)
    if choice.best is None or choice.arm is None:
        return Fixed(finding=finding, metric=metric, attempts=choice.attempts, reason=choice.reason())
    trial = _prove(state, question, parts, choice.best, choice.arm)
    reason = "" if trial else f"no case for proving has a value of {metric} before and after"
    return Fixed(
        finding=finding,
        metric=metric,
        attempts=choice.attempts,
        trial=trial,
        reason=reason,
        sampled=trial is not None and trial.n < len(parts.holdout) and state.left == 0,
    )


def _choose(
    state: _State, shadows: Shadows, question: Question, parts: Split, found: Sequence[Candidate]
) -> _Choice:
    """Try every candidate on the cases for choosing; the best one, if it gains anything."""
    generate = _generates(question)
    tried: list[tuple[tuple[object, ...], Candidate, Arm]] = []
    attempts: list[Attempt] = []
    cases = _affordable(state, parts.choosing, found, question)
    too_dear = len(cases) < min(LEAST_CHOOSING, len(parts.choosing))
    if too_dear:  # what asks no model can be tried all the same
        cases = parts.choosing
    for position, candidate in enumerate(found):
        if candidate.needs_shadow and any(_is_perfect(one, question.metric) for one in attempts):
            continue  # nothing can do better, and making a collection anew is the larger change
        if too_dear and _cost(state, candidate, question):
            left = f"{state.left} of {state.budget} generations are left, too few to try it"
            attempts.append(_untried(candidate, left))
            continue
        try:
            arm = _arm(state, shadows, candidate)
        except ConfigError as error:
            attempts.append(_untried(candidate, error.message))
            continue
        baseline = _baseline(state, arm) if question.metric == OVER_BUDGET else state.arm
        before = state.results(baseline, cases, generate=generate, what="as it is")
        after = state.results(arm, cases, generate=generate, what=candidate.name)
        attempt = _attempt(question, candidate, before, after)
        attempts.append(attempt)
        gained = round(attempt.gain(question.metric) * attempt.n)  # less than half a case is a tie
        if attempt.gain(question.metric) > 0 and not attempt.note:
            key = (-gained, *candidate.size(question.settings), attempt.latency_ms or 0.0, position)
            tried.append((key, candidate, arm))
    if not tried:
        return _Choice(attempts=tuple(attempts))
    _, best, arm = min(tried, key=lambda one: one[0])
    return _Choice(attempts=tuple(attempts), best=best, arm=arm)


def _prove(state: _State, question: Question, parts: Split, best: Candidate, arm: Arm) -> Trial | None:
    """Prove a candidate on the holdout; what is verified is in force from here on.

    Answers are compared on as many cases as the budget allows; what needs no answer, on all of them.
    """

    def compared(baseline: Arm, cases: Sequence[str], *, generate: bool) -> tuple[Results, Results]:
        before = state.results(baseline, cases, generate=generate, what="as it is")
        return before, state.results(arm, cases, generate=generate, what=f"proving {best.name}")

    generate = _generates(question)
    again = _baseline(state, arm)
    if not state.rerun.cost(arm, 1, generate=True):  # answers cost nothing
        before, after = side = timed = compared(again, parts.holdout, generate=True)
    elif generate:
        late = question.metric == OVER_BUDGET
        cases = parts.holdout[: state.left // (2 if late else 1)]
        before, after = side = timed = compared(again if late else state.arm, cases, generate=True)
    else:
        before, after = timed = compared(again, parts.holdout, generate=False)
        answered = compared(state.arm, parts.holdout[: state.left], generate=True)
        side = {**before, **answered[0]}, {**after, **answered[1]}
    trial = prove(question, best, before, after, side=side, timed=timed)
    state.p_values.append(chance(question, before, after))
    if trial is not None and trial.verified:
        state.arm = arm
        state.patch |= best.patch
        if best.repair is not None:
            state.repairs.append(best.repair)
    return trial


def _arm(state: _State, shadows: Shadows, candidate: Candidate) -> Arm:
    """What is in force, with the candidate on top.

    Raises:
        ConfigError: the settings contradict each other, or need a second collection made anew.
    """
    patch = {**state.patch, **candidate.patch}
    settings = patched(state.rerun.settings, patch)
    if not candidate.needs_shadow:
        if state.arm.shadow is None:
            return state.rerun.arm(patch)
        return replace(state.arm, settings=settings)
    if state.arm.shadow is not None:
        raise ConfigError("Another collection is proven already.", hint="Apply it, then run the cases again.")
    watch = state.watch(f"new collection for {candidate.name}")
    shadow, app = shadows.build(settings, candidate.patch, candidate.repair, progress=watch)
    return Arm(app=app, settings=settings, start=None, shadow=shadow)


def _baseline(state: _State, arm: Arm) -> Arm:
    """What is in force without the candidate, run again so that both are timed under the same load."""
    return state.rerun.again(arm) if state.arm.recorded else state.arm


def _affordable(
    state: _State, cases: Sequence[str], found: Sequence[Candidate], question: Question
) -> Sequence[str]:
    """The cases that every candidate is tried on: as many as the generations for choosing allow."""
    each = sum(_cost(state, candidate, question) for candidate in found)
    return cases[: int(state.left * CHOOSING_SHARE) // each] if each else cases


def _cost(state: _State, candidate: Candidate, question: Question) -> int:
    """Generations that a candidate takes for one case, with its baseline where that is run again."""
    try:
        patch = {**state.patch, **candidate.patch}
        settings = patched(state.rerun.settings, patch)
        anew = candidate.needs_shadow or state.arm.shadow is not None
        arm = (
            replace(state.arm, settings=settings, start=None, recorded=False)
            if anew
            else state.rerun.arm(patch)
        )
    except ConfigError:
        return 0  # it will not be tried
    once = state.rerun.cost(arm, 1, generate=_generates(question))
    return 2 * once if question.metric == OVER_BUDGET else once


def _generates(question: Question) -> bool:
    """Whether the metric needs answers."""
    if question.metric in (ERROR_RATE, OVER_BUDGET):
        return question.finding.stage in (Stage.GENERATE, Stage.CITE, Stage.FORMAT)
    return question.metric not in RETRIEVAL


def _metric(entry: Entry, finding: Finding, results: Sequence[CaseResult], state: _State) -> str | None:
    """The first metric of the cause that the failing cases have a value for."""
    failing = [result for result in results if result.case_id in set(finding.cases)]
    latency = state.arm.settings.latency
    for metric in entry.metrics:
        if any(value(one, metric, stage=finding.stage, latency=latency) is not None for one in failing):
            return metric
    return None


def _attempt(question: Question, candidate: Candidate, before: Results, after: Results) -> Attempt:
    """What came of a candidate; one that does harm already here is not taken."""
    pairs = both(before, after, question.metric, question)
    if not pairs:
        return _untried(candidate, f"no case has a value of {question.metric} before and after")
    worse = harmed(question, side_effects(question, before, after))
    return Attempt(
        patch=candidate.patch,
        repair=candidate.repair,
        before=statistics.fmean(old for old, _ in pairs),
        after=statistics.fmean(new for _, new in pairs),
        n=len(pairs),
        latency_ms=median_ms(after),
        note=f"makes {', '.join(worse)} worse" if worse else "",
    )


def _untried(candidate: Candidate, note: str) -> Attempt:
    return Attempt(
        patch=candidate.patch,
        repair=candidate.repair,
        before=None,
        after=None,
        n=0,
        latency_ms=None,
        note=note,
    )


def _is_perfect(attempt: Attempt, metric: str) -> bool:
    return attempt.after == (0.0 if less_is_better(metric) else 1.0)
