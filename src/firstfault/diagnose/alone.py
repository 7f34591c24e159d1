"""Answers without retrieval: would documents have helped?

In: a case and a trace whose request looked for nothing. Out: None where the answer is right, a blame on its
format, or on retrieval being off; that is verified by asking again with retrieval.
"""

from firstfault.diagnose.answering import Answering, Unsure
from firstfault.diagnose.blaming import blame
from firstfault.diagnose.formatting import formatting
from firstfault.diagnose.probes import Patch, Probes
from firstfault.diagnose.wording import quoted
from firstfault.evaluate.evidence import satisfied, span_of
from firstfault.evaluate.metrics import answerable
from firstfault.stages import Stage
from firstfault.types import Blame, Case, Trace

SWITCH_ON: Patch = {"search.enabled": True}


def alone(probes: Probes, case: Case, trace: Trace) -> Blame | Unsure | str | None:
    """The first fault of a request without retrieval; None where there is none."""
    known = bool(case.evidence) or case.answer is not None or answerable(case) is not None
    malformed = trace.format is not None and not trace.format.valid
    if malformed:
        return formatting(case, trace)
    if not known:
        return Unsure(
            reason="nothing was retrieved that its answer could be held against",
            next_probe="give the case its expected answer, or ask with search.enabled = true",
        )
    golds = probes.locate(case, trace) if answerable(case) is not False else ()
    answering = Answering(probes, case, trace, golds)
    if answering.right(trace):
        return formatting(case, trace)
    if answerable(case) is False:
        return None if trace.answer is None else answering.blame()  # nothing was written: nothing to judge
    found = probes.replay(trace, SWITCH_ON, start=Stage.FILTER, where=trace.where)
    assert found.context is not None
    spans = [span_of(passage.chunk) for passage in found.context.passages]
    there = bool(golds) and all(satisfied(gold, spans) for gold in golds)
    evidence = "Nothing was looked for"
    recovered = there
    if trace.answer is not None:
        again = probes.generate(found) if found.context.passages else None
        recovered = answering.right(again)
        evidence += f", and the answer is {quoted(trace.answer.text)}"
    if recovered:
        evidence += "; with retrieval it is right." if trace.answer is not None else "; a search finds it."
    elif there:
        evidence += "; a search finds the evidence, and whether the answer is then right was not shown."
    else:
        evidence += "; a search does not find all of the evidence either."
    patch = SWITCH_ON if recovered else None
    return blame(case, trace, Stage.FILTER, "retrieval_off", evidence, verified=recovered, patch=patch)
