"""Training examples from recorded requests: verified answers in, conversations that teach form out.

The user message is the prompt as it was sent, passages and all, so what is learnt is how an answer is drawn
from its context and written down. The facts stay in the passages. Nothing is taken that the verifier did not
support, and every request that is left out is counted under a reason.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from firstfault.answer.format import value_of
from firstfault.answer.prompt import messages
from firstfault.finetune.data import Row
from firstfault.types import Answer, Context, Message, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of recorded requests."""

    rows: tuple[Row, ...]
    """Each with `source` (the trace), `group` (the document that it rests on) and perhaps its `schema`."""
    left_out: Mapping[str, int]
    """Reason → requests, the most frequent first."""


def examples_from(traces: Iterable[Trace], *, cases: bool = False, without: Iterable[str] = ()) -> Taken:
    """An example for each different question that was answered with support for everything it says.

    Requests of evaluations count with `cases`. `without` are questions to be held out, such as those that the
    result will be measured on.
    """
    held = {_plain(question) for question in without}
    rows: list[Row] = []
    reasons: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for trace in traces:
        reason = _unfit(trace, cases=cases, held=held)
        target = _target(trace) if reason is None else None
        key = (_plain(trace.question), json.dumps(trace.schema, sort_keys=True))
        if reason is None and key in seen:
            reason = "the question came before"
        if reason is not None or target is None:
            reasons[reason or "there is nothing to learn from"] += 1
            continue
        seen.add(key)
        rows.append(_row(trace, target))
    return Taken(rows=tuple(rows), left_out=dict(reasons.most_common()))


def _unfit(trace: Trace, *, cases: bool, held: set[str]) -> str | None:
    """Why a request is no example; None when it may be one."""
    answer, context = trace.answer, trace.context
    checks = (
        (trace.error is not None, "it failed"),
        (trace.replay_of is not None, "it is a replay"),
        (trace.case is not None and not cases, "an evaluation asked it"),
        (_plain(trace.question) in held, "its question is held out"),
        (answer is None, "nothing was generated"),
        (answer is not None and answer.abstained, "it abstains"),
        (trace.schema is not None and not (trace.format and trace.format.valid), "it breaks its schema"),
        (context is None or not context.passages, "nothing was retrieved"),
        (answer is not None and not answer.claims, "it states nothing that could be verified"),
        (answer is not None and not _verified(answer), "not everything that it says is supported"),
    )
    return next((reason for unfit, reason in checks if unfit), None)


def _verified(answer: Answer) -> bool:
    return not answer.removed and all(claim.verdict.label == "supported" for claim in answer.claims)


def _target(trace: Trace) -> str | None:
    """What should have been written: the validated value, or the sentences with marks of their passages."""
    assert trace.answer is not None
    assert trace.context is not None
    if trace.format is not None:
        return json.dumps(value_of(trace.format), ensure_ascii=False, separators=(", ", ": "))
    numbers = _numbers(trace.answer, trace.context)
    sentences = []
    for claim in trace.answer.claims:
        marks = sorted({numbers[number] for number in claim.citations if number in numbers})
        if not marks:
            return None  # a sentence without a source would teach to leave it out
        sentences.append(f"{claim.text} {''.join(f'[{mark}]' for mark in marks)}")
    return " ".join(sentences)


def _numbers(answer: Answer, context: Context) -> dict[int, int]:
    """Citation → the number of its passage in the prompt, which is what a model can write."""
    passages = {passage.chunk.id: passage.number for passage in context.passages}
    return {
        citation.number: passages[citation.chunk_id]
        for citation in answer.citations
        if citation.chunk_id in passages
    }


def _row(trace: Trace, target: str) -> Row:
    assert trace.context is not None
    assert trace.answer is not None
    sent = trace.generation.prompt if trace.generation is not None else ()
    prompt = sent or messages(trace.question, trace.context.passages)  # the extractive generator has none
    cited = Counter(citation.document_id for citation in trace.answer.citations)
    first = trace.context.passages[0].chunk.document_id
    extra = {"source": trace.id, "group": cited.most_common(1)[0][0] if cited else first}
    return Row(
        place=trace.id,
        messages=(*prompt, Message(role="assistant", content=target)),
        extra=extra if trace.schema is None else {**extra, "schema": dict(trace.schema)},
    )


def _plain(question: str) -> str:
    return " ".join(question.casefold().split())
