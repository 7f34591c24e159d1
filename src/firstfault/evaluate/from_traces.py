"""Every incident can become a case: recorded requests in, cases out.

A trace does not know the right answer. Unless its answer is accepted as right, the case asks the same
question without expecting anything, for somebody to add what is known.
"""

from collections.abc import Iterable, Iterator

from firstfault.types import Answer, Case, EvidenceUnit, Trace


def cases_from(traces: Iterable[Trace], *, accept: bool = False) -> Iterator[Case]:
    """A case for each question and filter, the first of equals; its id is that of the trace.

    Traces of evaluations and replays are passed over: nobody asked them.

    `accept` takes answers as right: the text of one whose every sentence is supported, with its quotes as
    evidence; an abstention as a question without an answer. Other answers are not taken.
    """
    seen: set[tuple[str, str | None]] = set()
    for trace in traces:
        key = (trace.question.casefold(), trace.where)
        if key in seen or trace.case is not None or trace.replay_of is not None:
            continue
        seen.add(key)
        case = Case(id=trace.id, question=trace.question, where=trace.where)
        if accept and trace.answer is not None:
            case = _accepted(case, trace.answer)
        yield case


def _accepted(case: Case, answer: Answer) -> Case:
    if answer.abstained:
        return Case(id=case.id, question=case.question, where=case.where, answerable=False)
    if any(claim.verdict.label != "supported" for claim in answer.claims):
        return case
    units = dict.fromkeys(
        EvidenceUnit(document=citation.document_id, quote=citation.cited_text)
        for citation in answer.citations
    )
    return Case(
        id=case.id,
        question=case.question,
        where=case.where,
        answer=" ".join(claim.text for claim in answer.claims),
        answerable=True,
        evidence=tuple(units),
    )
