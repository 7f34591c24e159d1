"""The metrics of one case: a trace and what is known about the case in, one score a metric out.

Definitions are in docs/evaluation.md. What cannot be measured is None with a reason; nothing is NaN.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firstfault.evaluate.citations import judge, true_to_document
from firstfault.evaluate.correctness import correctness
from firstfault.evaluate.evidence import Gold, TextSpan, contributing, satisfied, span_of
from firstfault.structured.evidence import spoken
from firstfault.types import Answer, Case, Claim, Context, EvidenceState, Score, Trace
from firstfault.verify import Verifier
from firstfault.verify.terms import rarity, terms, words

RETRIEVAL = ("context_recall", "context_precision", "context_precision_ap", "context_sufficiency")
ANSWER = (
    "faithfulness",
    "answer_correctness",
    "citation_recall",
    "citation_precision",
    "citation_validity",
    "abstention_accuracy",
    "abstention_rate",
    "format_validity",
    "hallucination_rate",
)
NAMES = (*RETRIEVAL, *ANSWER)
"""Every metric of a case, in the order in which they are shown."""

LOWER_IS_BETTER = frozenset({"hallucination_rate", "error_rate"})
UNDIRECTED = frozenset({"abstention_rate"})
"""Neither more nor less is better in itself."""

DocumentText = Callable[[str], str | None]
"""Document id → its text as the request saw it; None when it is not stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The scores of one case and what became of its evidence."""

    scores: dict[str, Score]
    evidence: tuple[EvidenceState, ...]


def measure(
    case: Case, trace: Trace, gold: Sequence[Gold], *, verifier: Verifier, document: DocumentText
) -> Measured:
    """Every metric of one case. `gold` is the case's evidence, located in the corpus."""
    context = trace.context
    assert context is not None  # a trace without an error has one
    spans = [span_of(passage.chunk) for passage in context.passages]
    scores = _retrieval(case, gold, spans, context)
    if trace.answer is None:
        scores |= {name: Score(value=None, reason="no answer was generated") for name in ANSWER}
    else:
        scores |= _answer(case, trace, trace.answer, verifier=verifier, document=document)
    return Measured(
        scores={name: scores[name] for name in NAMES}, evidence=tuple(_state(unit, spans) for unit in gold)
    )


def unmeasured(reason: str) -> dict[str, Score]:
    """No value for any metric, each for the same reason."""
    return {name: Score(value=None, reason=reason) for name in NAMES}


def answerable(case: Case) -> bool | None:
    """Whether the documents hold the answer: as the case says, else as its answer or evidence imply."""
    if case.answerable is not None:
        return case.answerable
    return True if case.answer or case.evidence else None


def _state(gold: Gold, spans: Sequence[TextSpan]) -> EvidenceState:
    if satisfied(gold, spans):
        return "found"
    return "not_in_context" if gold.state == "located" else gold.state


def _retrieval(
    case: Case, gold: Sequence[Gold], spans: Sequence[TextSpan], context: Context
) -> dict[str, Score]:
    scores = {"context_sufficiency": sufficiency(case.question, context)}
    if not gold or answerable(case) is False:
        reason = "the case has no gold evidence" if not gold else "the case is not answerable"
        return scores | {name: Score(value=None, reason=reason) for name in RETRIEVAL[:3]}
    scores["context_recall"] = _share([satisfied(unit, spans) for unit in gold], "")
    relevant = {position for unit in gold for position in contributing(unit, spans)}
    marks = [position in relevant for position in range(len(spans))]
    scores["context_precision"] = _share(marks, "the context is empty")
    scores["context_precision_ap"] = average_precision(marks)
    return scores


def average_precision(relevant: Sequence[bool]) -> Score:
    """Mean of precision at each relevant rank; 0 when none is relevant, None for an empty list."""
    if not relevant:
        return Score(value=None, reason="the context is empty")
    at_rank = [sum(relevant[: i + 1]) / (i + 1) for i, hit in enumerate(relevant) if hit]
    return Score(value=sum(at_rank) / len(at_rank) if at_rank else 0.0)


def sufficiency(question: str, context: Context) -> Score:
    """Share of the question's content words, weighted by rarity, that the best passage holds."""
    asked = sorted({term.stem for term in terms(question)})
    total = sum(rarity(stem) for stem in asked)
    if not total:
        return Score(value=None, reason="the question has no content word")
    held = [words(f"{passage.chunk.document_title} {passage.chunk.text}") for passage in context.passages]
    return Score(value=max((sum(rarity(s) for s in asked if s in one) for one in held), default=0.0) / total)


def _answer(
    case: Case, trace: Trace, answer: Answer, *, verifier: Verifier, document: DocumentText
) -> dict[str, Score]:
    context = trace.context
    assert context is not None
    silent = "the answer abstains" if answer.abstained else "the answer makes no claim"
    judged = [claim for claim in answer.claims if claim.verdict.label != "unknown"]
    none_judged = silent if not answer.claims else "the verifier could not judge any claim"
    citations = judge(answer, context, verifier=verifier)
    expected = answerable(case)
    scores = {
        "faithfulness": _share([claim.verdict.label == "supported" for claim in judged], none_judged),
        "hallucination_rate": _share(_hallucinated(judged, case, verifier), none_judged),
        "citation_recall": _share(citations.supported, silent),
        "citation_precision": _share(citations.needed, "the answer cites nothing"),
        "citation_validity": _share(
            [true_to_document(c, document(c.document_id)) for c in answer.citations],
            "the answer cites nothing",
        ),
        "abstention_rate": Score(value=float(answer.abstained)),
        "abstention_accuracy": Score(value=float(answer.abstained != expected))
        if expected is not None
        else Score(value=None, reason="the case does not say whether it is answerable"),
        "format_validity": _format(case, trace),
    }
    if case.answer is None or expected is False:
        reason = "the case has no expected answer" if case.answer is None else "the case is not answerable"
        scores["answer_correctness"] = Score(value=None, reason=reason)
    else:
        agreement = (
            0.0
            if answer.abstained
            else correctness(said(trace, answer), case.answer, question=case.question, verifier=verifier)
        )
        scores["answer_correctness"] = Score(value=agreement)
    return scores


def said(trace: Trace, answer: Answer) -> str:
    """What an answer says: its claims without marks and verdicts, or the texts and numbers of its value."""
    if trace.format is not None:
        return spoken(trace.format.value)
    return " ".join(claim.text for claim in answer.claims)


def _hallucinated(judged: Sequence[Claim], case: Case, verifier: Verifier) -> list[bool]:
    """Per claim: neither a passage nor the expected answer supports it (RAGChecker, 3.3)."""
    unfaithful = [claim for claim in judged if claim.verdict.label != "supported"]
    rescued: set[int] = set()
    if case.answer is not None and unfaithful:
        reference = f"{case.question}\n\n{case.answer}"
        verdicts = verifier.verify_claims([([reference], claim.text) for claim in unfaithful])
        rescued = {
            id(claim)
            for claim, verdict in zip(unfaithful, verdicts, strict=True)
            if verdict.label == "supported"
        }
    return [claim.verdict.label != "supported" and id(claim) not in rescued for claim in judged]


def _format(case: Case, trace: Trace) -> Score:
    """Whether the answer satisfies the schema of the case at last, after repair and retries."""
    if case.schema is None:
        return Score(value=None, reason="the case has no schema")
    if trace.format is None:
        reason = "the answer abstains" if trace.schema is not None else "it was asked without the schema"
        return Score(value=None, reason=reason)
    return Score(value=float(trace.format.valid))


def _share(values: Sequence[bool], empty: str) -> Score:
    return Score(value=sum(values) / len(values)) if values else Score(value=None, reason=empty)
