"""From cases to a diagnosis: traces in; the primary fault, further faults and the decision tree out.

A cause is a fault of the application when it surely explains more cases than the playbook tolerates: when the
lower end of its interval is above that. Below it is scatter. The primary fault is the earliest stage among
the faults that matter.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from firstfault.bulk import spreads
from firstfault.config import Settings
from firstfault.diagnose import latency
from firstfault.diagnose.elsewhere import spread
from firstfault.diagnose.examine import Subject, examine
from firstfault.diagnose.playbook import Playbook
from firstfault.diagnose.probes import Probes
from firstfault.diagnose.tree import tree
from firstfault.diagnose.wording import count
from firstfault.errors import InputError
from firstfault.evaluate.metrics import answerable
from firstfault.evaluate.statistics import proportion
from firstfault.stages import ANY_STAGE_CAUSES, CAUSES, Stage
from firstfault.types import Blame, Case, CaseResult, Diagnosis, Finding, Remedy, Run, Scalar, Trace

if TYPE_CHECKING:
    from firstfault.answer import Application

Progress = Callable[[int, int], None]
"""Called with how many cases were looked at, and of how many."""

MATTERS = 0.2
"""An earlier fault goes before a more frequent later one when it explains at least this share of what the
most frequent one does."""
TOLERATED_DEVIATION = 0.01
"""Share of cases that a setting other than the default may lose; scatter explains less than any change."""
LOSING = tuple(Stage)[: tuple(Stage).index(Stage.GENERATE)]
"""Stages that can lose evidence: of a case that nothing answers they cannot."""
OVER_BUDGET = "over_budget"
EXCLUDES = "filter_excludes_evidence"
MOST_DOCUMENTS = 5
"""So many of the documents that a finding concerns are named."""
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MOST_UNITS = 100_000
MOST_TRACES = 10_000
"""Of a span of time, the newest."""
LEAST_SLOW = 2
"""So many requests must be over budget before it is more than one unlucky request, if there are as many."""


def subjects_of(app: "Application", results: Sequence[CaseResult]) -> list[Subject]:
    """The cases of a run with their traces.

    Raises:
        InputError: the run was made by a version that did not keep its cases.
    """
    if any(result.case is None for result in results):
        raise InputError(
            "This run does not hold its cases.", hint="Run it again: firstfault eval CASES, then diagnose it."
        )
    app.traces.flush()
    found = app.traces.several([result.trace_id for result in results if result.trace_id])
    return [
        Subject(
            case=result.case,
            trace=found.get(result.trace_id or ""),
            trace_id=result.trace_id,
            error=result.error,
        )
        for result in results
        if result.case is not None
    ]


def unlabelled(traces: Sequence[Trace]) -> list[Subject]:
    """Requests of users as cases without labels."""
    return [
        Subject(
            case=Case(id=trace.id, question=trace.question, where=trace.where), trace=trace, trace_id=trace.id
        )
        for trace in traces
    ]


def span_of_time(text: str) -> timedelta:
    """A span of time like 30m, 1h or 7d.

    Raises:
        InputError: it is none.
    """
    unit = UNITS.get(text[-1:])
    if unit is None or not text[:-1].isdecimal() or not 0 < int(text[:-1]) < MOST_UNITS:
        raise InputError(f"{text[:20]!r} is no span of time.", hint="Write it like 30m, 1h or 7d.")
    return timedelta(**{unit: int(text[:-1])})


def window(app: "Application", since: str) -> list[Trace]:
    """The requests to the application's collection in a span of time: 30m, 1h, 7d; replays are left out.

    Raises:
        InputError: that is no span of time.
    """
    start = datetime.now(UTC) - span_of_time(since)
    found = app.traces.newest(limit=MOST_TRACES, since=start.isoformat(timespec="milliseconds"))
    return [trace for trace in found if trace.collection == app.collection.name and trace.replay_of is None]


def diagnose_run(
    app: "Application",
    run: Run,
    results: Sequence[CaseResult],
    *,
    budget: int | None = None,
    baseline: Sequence[CaseResult] = (),
    progress: Progress | None = None,
) -> Diagnosis:
    """Name the first fault of a run. `baseline` are the results of a run to compare latencies with.

    Raises:
        InputError: the run was made by a version that did not keep its cases.
    """
    usual = None
    if baseline:
        before = app.traces.several([result.trace_id for result in baseline if result.trace_id])
        usual = latency.medians([trace for trace in before.values() if trace.error is None])
    found = diagnose(
        app,
        subjects_of(app, results),
        scope=f"run {run.id} of {run.at[:16].replace('T', ' ')} UTC"
        + (f" over {run.cases}" if run.cases else ""),
        command=f"firstfault fix --run {run.id}",
        budget=budget,
        usual=usual,
        progress=progress,
    )
    return replace(found, run_id=run.id)


def diagnose(
    app: "Application",
    subjects: Sequence[Subject],
    *,
    scope: str,
    command: str,
    budget: int | None = None,
    usual: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Name the first fault of several requests; `command` is what proves a fix."""
    settings = app.settings
    playbook = open_playbook(settings)
    allowed = settings.diagnose.budget if budget is None else budget
    if spreads(settings.bulk):
        examined, calls = spread(app, subjects, allowed, progress)
    else:
        probes = Probes(app, budget=allowed)
        examined = []
        for position, subject in enumerate(subjects, start=1):
            examined.append(examine(probes, subject))
            if progress:
                progress(position, len(subjects))
        calls = probes.calls
    blames = [one.blame for one in examined if one.blame is not None]
    timed = [one for one in subjects if one.trace is not None and one.trace.error is None]
    traces = [one.trace for one in timed if one.trace is not None]
    late = latency.slow(traces, [one.case.id for one in timed], settings.latency, usual)
    late = [blame for blame in late if not any(_same(blame, other) for other in blames)]
    findings, scattered = _findings([*blames, *late], subjects, settings, playbook)
    unknown = tuple(one.undecided for one in examined if one.undecided is not None)
    flaky = tuple(one.case.id for one, found in zip(subjects, examined, strict=True) if found.flaky)
    healthy = not findings and len(unknown) + len(flaky) <= TOLERATED_UNKNOWN * len(subjects)
    primary = findings[0] if findings else None
    return Diagnosis(
        scope=scope,
        healthy=healthy,
        primary=primary,
        findings=findings,
        scattered=scattered,
        unknown=unknown,
        flaky=flaky,
        cases=len(subjects),
        failing=sum(one.failing for one in examined),
        path=tree(subjects, blames, primary),  # one that came late has lost nothing
        latency=latency.timings(traces, settings.latency, usual),
        model_calls=calls,
        next_command=_next(primary, healthy, command),
    )


TOLERATED_UNKNOWN = 0.05
"""Share of cases that may stay undecided in an application that is called healthy."""


def open_playbook(settings: Settings) -> Playbook:
    """The shipped playbook with the user's file over it."""
    return Playbook.load(Path(settings.diagnose.playbook) if settings.diagnose.playbook else None)


def generations(app: "Application", subjects: Sequence[Subject], budget: int | None = None) -> int:
    """How many generations the interventions may ask for at most: two a case with an answer, in budget."""
    if app.settings.generator.kind == "extractive":
        return 0
    answered = sum(one.trace is not None and one.trace.generation is not None for one in subjects)
    return min(2 * answered, app.settings.diagnose.budget if budget is None else budget)


def _findings(
    blames: Sequence[Blame], subjects: Sequence[Subject], settings: Settings, playbook: Playbook
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Faults, the primary one first, and scatter."""
    groups: dict[tuple[str, str], list[Blame]] = defaultdict(list)
    for blame in blames:
        groups[blame.stage, blame.cause].append(blame)
    faults: list[Finding] = []
    scattered: list[Finding] = []
    stages: dict[str, int] = defaultdict(int)
    largest: dict[str, int] = defaultdict(int)
    for (stage, cause), group in groups.items():
        if cause not in ANY_STAGE_CAUSES:
            stages[stage] += len(group)
            largest[stage] = max(largest[stage], len(group))
    for (stage, cause), group in groups.items():
        patch = _common_patch(group)
        remedy = playbook.remedy(cause, settings, patch, stage=stage)
        finding = _finding(group, subjects, remedy)
        few = cause == OVER_BUDGET and len(group) < min(LEAST_SLOW, len(subjects))
        leads = cause not in ANY_STAGE_CAUSES and len(group) == largest[stage]
        together = stages[stage] if leads else len(group)  # one fault may show as several causes of its stage
        surely = proportion(together, max(together, _exposed(Stage(stage), cause, subjects))).low
        tolerated = playbook.entry(cause).tolerated
        if _restores_defaults(patch, settings):
            tolerated = min(tolerated, TOLERATED_DEVIATION)
        (scattered if few or (surely or 0.0) <= tolerated else faults).append(finding)
    faults.sort(key=lambda one: (_order(one)[0], -one.share, _order(one)[1]))
    most = max((finding.share for finding in faults), default=0.0)
    first = next((finding for finding in faults if finding.share >= MATTERS * most), None)
    rest = sorted((one for one in faults if one is not first), key=lambda one: (-one.share, *_order(one)))
    ordered = ([first] if first else []) + rest
    return tuple(ordered), tuple(sorted(scattered, key=_order))


def _exposed(stage: Stage, cause: str, subjects: Sequence[Subject]) -> int:
    """How many of the cases could have shown a cause at all."""
    if cause == "should_have_abstained":
        return sum(answerable(one.case) is False for one in subjects)
    if cause == EXCLUDES:
        return sum(one.case.where is not None for one in subjects)
    if cause in CAUSES[Stage.FORMAT]:
        return sum(one.trace is not None and one.trace.format is not None for one in subjects)
    if stage in LOSING and cause not in ANY_STAGE_CAUSES:
        return sum(answerable(one.case) is not False for one in subjects)
    return len(subjects)


def _finding(group: Sequence[Blame], subjects: Sequence[Subject], remedy: Remedy) -> Finding:
    example = next((blame for blame in group if blame.verified), group[0])
    estimate = proportion(len(group), len(subjects))
    asked = {one.case.id: one.case for one in subjects}
    cases = [asked[blame.case_id] for blame in group]
    if example.cause == EXCLUDES:
        remedy = replace(remedy, command=f"firstfault search {quote(asked[example.case_id].question)}")
    assert estimate.low is not None
    assert estimate.high is not None
    return Finding(
        stage=example.stage,
        cause=example.cause,
        cases=tuple(blame.case_id for blame in group),
        share=round(estimate.value, 4),
        ci_low=round(estimate.low, 4),
        ci_high=round(estimate.high, 4),
        verified=sum(blame.verified for blame in group),
        evidence=example.evidence + (_filters(cases) if example.cause == EXCLUDES else _concerned(group)),
        example=example.trace_id,
        remedy=remedy,
    )


def _concerned(group: Sequence[Blame]) -> str:
    """The documents of all the cases, where the example's is not the only one."""
    names = sorted({blame.document for blame in group if blame.document is not None})
    if len(names) < 2:
        return ""
    more = f" and {len(names) - MOST_DOCUMENTS:,} more" if len(names) > MOST_DOCUMENTS else ""
    return f" {len(names):,} documents are concerned: {', '.join(names[:MOST_DOCUMENTS])}{more}."


def _filters(cases: Sequence[Case]) -> str:
    """The filter that most of the cases carry."""
    counted = Counter(case.where for case in cases if case.where is not None)
    if not counted:
        return ""
    where, number = counted.most_common(1)[0]
    others = len(counted) - 1
    more = f", {count(others, 'other filter')} in the rest" if others else ""
    return f" The failing cases carry where = '{where}' in {number:,} of {len(cases):,}{more}."


def _common_patch(group: Sequence[Blame]) -> Mapping[str, Scalar] | None:
    """The patch that recovered most of the cases, if it recovered at least half of them."""
    patches = [blame.patch for blame in group if blame.patch]
    most = max(patches, key=lambda patch: sum(other == patch for other in patches), default=None)
    return most if 2 * sum(patch == most for patch in patches) >= len(group) else None


def _restores_defaults(patch: Mapping[str, Scalar] | None, settings: Settings) -> bool:
    """Whether a patch does no more than put settings back to their defaults: then they are the cause."""
    if not patch:
        return False
    wanted = Settings().override({name: str(value) for name, value in patch.items()})
    restored = settings.override({name: str(value) for name, value in patch.items()})
    return wanted == Settings() and restored != settings


def _order(finding: Finding) -> tuple[int, int]:
    """Stages in their order, causes of a stage in the order in which they are probed."""
    stage = Stage(finding.stage)
    causes = (*CAUSES[stage], *ANY_STAGE_CAUSES)
    return list(Stage).index(stage), causes.index(finding.cause)


def _same(late: Blame, other: Blame) -> bool:
    return late.case_id == other.case_id and late.stage == other.stage and other.cause == OVER_BUDGET


def _next(primary: Finding | None, healthy: bool, command: str) -> str:
    if primary is None:
        return "nothing to repair" if healthy else "see the next probe of each undecided case"
    if primary.remedy.patch or primary.remedy.command is None:
        return command
    return primary.remedy.command
