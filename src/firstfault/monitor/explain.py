"""Why an incident is what it is: alerts and an open application in, the first fault with its evidence out.

Requests of users have no labels. But what was answered well before it began can serve as labels: those
questions are asked again (search only, nothing is generated), and the quotes that they then rested on must
still reach the prompt. Where that holds, the requests since are looked at without labels.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from firstfault.answer.ask import ask
from firstfault.diagnose import diagnose, unlabelled
from firstfault.diagnose.examine import Subject
from firstfault.diagnose.latency import medians
from firstfault.errors import FirstfaultError
from firstfault.evaluate.from_traces import cases_from
from firstfault.monitor.alerts import Alert
from firstfault.monitor.reading import is_watched
from firstfault.monitor.readings import Readings, Slice
from firstfault.monitor.signals import ANY, signal_of
from firstfault.stages import Stage
from firstfault.types import Case, Diagnosis, Trace

if TYPE_CHECKING:
    from firstfault.answer import Application

CANARIES = 24
"""Earlier questions that are asked again."""
REQUESTS = 40
"""Requests since it began that are looked at."""
LOOKED_AT = 1000
"""Of the oldest readings, those that canaries are chosen from."""
GENERATIONS = 8
"""Most generations that the probes of one incident may ask for."""
LEAST_SHARE = 0.1
"""Of the earlier questions that must have lost their evidence before that is called the first fault."""

_COMMAND = "firstfault cases from-traces, then eval and fix: a fix is proven on cases"
_ORDER = {stage.value: position for position, stage in enumerate(Stage)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The first fault, as far as it is known."""

    stage: str
    cause: str | None
    proven: bool
    """Whether a diagnosis named it; otherwise it is what the rules point to."""
    evidence: str
    diagnosis: dict[str, Any] | None
    note: str
    """How it was found, or why no more is known."""
    next_command: str


def pointed_to(alerts: Sequence[Alert]) -> Explanation:
    """What the rules alone say: the earliest stage of which the content is out of order, else the slowest."""
    content = [alert for alert in alerts if signal_of(alert.signal).kind != "time"]
    first = min(content or alerts, key=lambda one: (_ORDER.get(one.stage, len(_ORDER)), one.at, one.id))
    return Explanation(
        stage=first.stage,
        cause=first.cause,
        proven=False,
        evidence=f"{first.title}: {first.reason}.",
        diagnosis=None,
        note="Not diagnosed: this is the earliest stage whose rule fires.",
        next_command="firstfault diagnose --since 1h",
    )


def explain(app: "Application", alerts: Sequence[Alert], *, began: str | None) -> Explanation:
    """Diagnose the requests since an incident began. `alerts` are those that fire, at least one."""
    pointed = pointed_to(alerts)
    slow_only = all(signal_of(alert.signal).kind == "time" for alert in alerts)
    failing = any(alert.signal == "error" for alert in alerts)
    traces = _since(app, began)
    earlier = answered_well(app, until=began)
    found: list[tuple[str, Diagnosis]] = []
    try:
        if not slow_only and not failing:
            canaries = [_searched(app, case) for case in canary_cases(earlier)]
            if canaries:
                asked = diagnose(
                    app,
                    canaries,
                    scope=f"{len(canaries)} earlier questions, asked again",
                    command=_COMMAND,
                    budget=0,
                )
                if asked.primary is not None and asked.primary.share >= LEAST_SHARE:
                    found.append(
                        (f"{len(canaries)} questions that were answered well were asked again.", asked)
                    )
        if not found and traces:
            usual = medians(earlier) if slow_only and earlier else None
            seen = diagnose(
                app,
                unlabelled(traces),
                scope=f"{len(traces)} requests since it began",
                command=_COMMAND,
                budget=GENERATIONS,
                usual=usual,
            )
            if seen.primary is not None and _fits(seen, pointed, slow_only=slow_only):
                found.append((f"{len(traces)} requests since it began were looked at, without labels.", seen))
    except FirstfaultError as error:
        return _with_note(pointed, f"The diagnosis could not be made: {error}")
    if not found:
        return _with_note(
            pointed,
            f"{len(traces)} requests since it began and {min(len(earlier), CANARIES)} earlier questions were "
            "diagnosed, and no intervention named a fault; this is the earliest stage whose rule fires.",
        )
    note, diagnosis = found[0]
    primary = diagnosis.primary
    assert primary is not None
    return Explanation(
        stage=primary.stage,
        cause=primary.cause,
        proven=True,
        evidence=f"{primary.evidence} ({len(primary.cases)} of {diagnosis.cases})",
        diagnosis=asdict(diagnosis),
        note=note,
        next_command=diagnosis.next_command,
    )


def _fits(seen: Diagnosis, pointed: Explanation, *, slow_only: bool) -> bool:
    """Whether a diagnosis without labels may speak: it explains slowness only where nothing else is seen, and
    never names a later stage than the one whose content is out of order."""
    assert seen.primary is not None
    if slow_only or seen.primary.cause == "over_budget":
        return slow_only and seen.primary.cause == "over_budget"
    if pointed.stage == ANY:
        return True
    return _ORDER[seen.primary.stage] <= _ORDER[pointed.stage]


def _with_note(pointed: Explanation, note: str) -> Explanation:
    return Explanation(**{**asdict(pointed), "note": note})


def _since(app: "Application", began: str | None) -> list[Trace]:
    app.traces.flush()
    found = app.traces.newest(limit=5 * REQUESTS, since=began)
    own = [trace for trace in found if is_watched(trace) and trace.collection == app.collection.name]
    return own[:REQUESTS]


def answered_well(app: "Application", *, until: str | None) -> list[Trace]:
    """Requests that were answered well before a time, one a question, spread over the oldest."""
    from firstfault.collection.database import connect

    engine = connect(app.config.home)
    try:
        oldest = Readings(engine).window(
            until=until, slice_=Slice(collection=app.collection.name), limit=LOOKED_AT, oldest=True
        )
    finally:
        engine.dispose()
    good = [
        one.trace_id
        for one in oldest
        if one.values.get("faithfulness") == 1.0 and not one.values.get("abstained")
    ]
    step = max(1, len(good) // (4 * CANARIES))
    found = app.traces.several(good[::step][: 8 * CANARIES])
    kept: dict[tuple[str, str | None], Trace] = {}
    for trace_id in good:
        if trace_id in found:
            trace = found[trace_id]
            kept.setdefault((trace.question.casefold(), trace.where), trace)
    return list(kept.values())


def canary_cases(earlier: Sequence[Trace]) -> list[Case]:
    """Some of the questions that were answered well, each with the quotes of its answer as evidence."""
    cases = [case for case in cases_from(earlier, accept=True) if case.evidence]
    return cases[:: max(1, len(cases) // CANARIES)][:CANARIES]


def _searched(app: "Application", case: Case) -> Subject:
    try:
        trace = app.run(ask(app, case.question, where=case.where, generate=False, keep=False, case=case.id))
    except FirstfaultError as error:
        return Subject(case=case, trace=None, trace_id=None, error=str(error))
    return Subject(case=case, trace=trace, trace_id=case.id)
