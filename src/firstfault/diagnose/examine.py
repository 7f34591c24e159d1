"""One case: the stages in order, and the first at which what the answer needed was lost.

In: a case and the trace of its request. Out: healthy, a blame, flaky, or undecided with the next probe.
"""

from dataclasses import dataclass

from firstfault.diagnose import corpus
from firstfault.diagnose.alone import alone
from firstfault.diagnose.answering import FLAKY, Answering, Unsure
from firstfault.diagnose.blaming import blame
from firstfault.diagnose.citing import citing
from firstfault.diagnose.formatting import formatting
from firstfault.diagnose.probes import Probes
from firstfault.diagnose.ranking import Search
from firstfault.diagnose.unlabelled import Unlabelled
from firstfault.errors import DeadlineError, MissingError
from firstfault.evaluate.evidence import Gold, satisfied, span_of
from firstfault.evaluate.metrics import answerable
from firstfault.stages import Stage
from firstfault.types import Blame, Case, Trace, Undecided

LEAST_RECALL = 0.5
"""A context that is to be judged without an answer has lost what the answer needs when it holds no more than
this share of the gold evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A case and its recorded request."""

    case: Case
    trace: Trace | None
    """None when the trace is no longer kept, or none was recorded."""
    trace_id: str | None
    error: str | None = None
    """What ended the request, if it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of looking at one case."""

    failing: bool
    blame: Blame | None = None
    undecided: Undecided | None = None
    flaky: bool = False


HEALTHY = Examined(failing=False)


def examine(probes: Probes, subject: Subject) -> Examined:
    """Walk the stages of one case; what a probe would need and is no longer there leaves it undecided."""
    try:
        return _examine(probes, subject)
    except MissingError as error:
        return _undecided(subject, f"no probe can repeat it: {error}", error.hint)


def _examine(probes: Probes, subject: Subject) -> Examined:
    case, trace = subject.case, subject.trace
    if trace is None:
        return _undecided(
            subject,
            "its trace is no longer kept" if subject.trace_id else subject.error or "no trace was recorded",
            "run the evaluation again: firstfault eval",
        )
    if trace.error is not None:
        return Examined(failing=True, blame=_failed(case, trace))
    if not probes.settings(trace).search.enabled:
        outcome = alone(probes, case, trace)
        return HEALTHY if outcome is None else _outcome(subject, outcome)
    if not case.evidence and case.answer is None and answerable(case) is None:
        return _unlabelled(probes, subject, trace)
    return _labelled(probes, subject, case, trace)


def _labelled(probes: Probes, subject: Subject, case: Case, trace: Trace) -> Examined:
    golds = probes.locate(case, trace) if answerable(case) is not False else ()
    lost = _lost(golds, trace)
    answering = Answering(probes, case, trace, golds)
    right = answering.right(trace)
    if lost and not (right and answering.grounded()):
        return _retrieval(probes, case, trace, lost)
    malformed = trace.format is not None and not trace.format.valid
    if right or malformed or trace.answer is None:
        return _written(case, trace)
    return _outcome(subject, answering.blame())


def _written(case: Case, trace: Trace) -> Examined:
    """How the answer was written down, once what it says is right."""
    found = formatting(case, trace) or citing(case, trace)
    return HEALTHY if found is None else Examined(failing=True, blame=found)


def _lost(golds: tuple[Gold, ...], trace: Trace) -> list[Gold]:
    """The units that are missing from the prompt; where nothing was generated, only when most are."""
    if not golds:
        return []
    assert trace.context is not None
    spans = [span_of(passage.chunk) for passage in trace.context.passages]
    lost = [gold for gold in golds if not satisfied(gold, spans)]
    recall = 1 - len(lost) / len(golds)
    return lost if trace.answer is not None or recall <= LEAST_RECALL else []


def _retrieval(probes: Probes, case: Case, trace: Trace, lost: list[Gold]) -> Examined:
    """The earliest stage that lost a unit of evidence; the first unit of equals."""
    blames = [_unit(probes, case, trace, gold) for gold in lost]
    order = list(Stage)
    return Examined(failing=True, blame=min(blames, key=lambda one: order.index(Stage(one.stage))))


def _unit(probes: Probes, case: Case, trace: Trace, gold: Gold) -> Blame:
    found = corpus.corpus(probes, case, trace, gold)
    if found is not None:
        return found
    whole = corpus.holding(probes, gold, trace.corpus_version)
    return corpus.chunk(probes, case, trace, gold, whole) or Search(probes, case, trace, gold, whole).blame()


def _unlabelled(probes: Probes, subject: Subject, trace: Trace) -> Examined:
    outcome = Unlabelled(probes, subject.case, trace).blame()
    if outcome is not None:
        return _outcome(subject, outcome)
    return _written(subject.case, trace)


def _outcome(subject: Subject, outcome: Blame | Unsure | str) -> Examined:
    if isinstance(outcome, Blame):
        return Examined(failing=True, blame=outcome)
    if isinstance(outcome, Unsure):
        return _undecided(subject, outcome.reason, outcome.next_probe)
    assert outcome == FLAKY
    return Examined(failing=True, flaky=True)


def _failed(case: Case, trace: Trace) -> Blame:
    """The stage that ended the request; one that ran out of time is over budget."""
    span = next((span for span in trace.spans if span.status == "error"), None)
    stage = span.stage if span is not None else Stage.FILTER
    late = trace.error_kind == DeadlineError.__name__
    took = f" after {span.duration_ms:,.0f} ms" if span is not None else ""
    cause = "over_budget" if late else "request_failed"
    evidence = f"The request ended in {stage}{took}: {trace.error}"
    return blame(case, trace, stage, cause, evidence, verified=False)


def _undecided(subject: Subject, reason: str, next_probe: str) -> Examined:
    return Examined(
        failing=True,
        undecided=Undecided(
            case_id=subject.case.id, trace_id=subject.trace_id, reason=reason, next_probe=next_probe
        ),
    )
