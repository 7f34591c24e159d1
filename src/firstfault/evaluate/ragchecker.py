"""RAGChecker's eleven metrics: entailment labels between claims in, claim-level metrics out.

Definitions: Ru et al., RAGChecker (2024), section 3. An entry is True where a text entails a claim; neutral
and contradiction are both False. A metric whose denominator is empty is None: it is not 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

Row = Sequence[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLabels:
    """What entails what, for one answer."""

    answer_entails: Row
    """Per claim of the response: does the reference answer entail it?"""
    response_entails: Row
    """Per claim of the reference answer: does the response entail it?"""
    context_entails_response: Sequence[Row]
    """Per claim of the response, per retrieved passage: does the passage entail it?"""
    context_entails_answer: Sequence[Row]
    """Per claim of the reference answer, per retrieved passage: does the passage entail it?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMetrics:
    """The eleven metrics of one answer, 0 to 1; None where there is nothing to count."""

    precision: float | None
    """Claims of the response that are correct."""
    recall: float | None
    """Claims of the reference answer that the response makes."""
    f1: float | None
    claim_recall: float | None
    """Claims of the reference answer that the context holds."""
    context_precision: float | None
    """Passages that hold a claim of the reference answer."""
    context_utilization: float | None
    """Of the claims of the reference answer that the context holds, those that the response makes."""
    noise_sensitivity_in_relevant: float | None
    """Claims of the response that are wrong and stand in a relevant passage."""
    noise_sensitivity_in_irrelevant: float | None
    """Claims of the response that are wrong and stand in irrelevant passages only."""
    hallucination: float | None
    """Claims of the response that are wrong and stand in no passage."""
    self_knowledge: float | None
    """Claims of the response that are correct and stand in no passage."""
    faithfulness: float | None
    """Claims of the response that stand in a passage."""


def claim_metrics(labels: ClaimLabels) -> ClaimMetrics:
    """The eleven metrics of one answer."""
    correct = list(labels.answer_entails)
    recalled = list(labels.response_entails)
    held = [any(row) for row in labels.context_entails_answer]
    width = max(
        (len(row) for row in (*labels.context_entails_answer, *labels.context_entails_response)), default=0
    )
    relevant = [any(row[i] for row in labels.context_entails_answer) for i in range(width)]
    faithful = [any(row) for row in labels.context_entails_response]
    in_relevant = [
        any(said and good for said, good in zip(row, relevant, strict=True))
        for row in labels.context_entails_response
    ]
    precision, recall = _share(correct), _share(recalled)
    return ClaimMetrics(
        precision=precision,
        recall=recall,
        f1=_f1(precision, recall),
        claim_recall=_share(held),
        context_precision=_share(relevant),
        context_utilization=_share([r for r, h in zip(recalled, held, strict=True) if h]),
        noise_sensitivity_in_relevant=_share(
            [not c and r for c, r in zip(correct, in_relevant, strict=True)]
        ),
        noise_sensitivity_in_irrelevant=_share(
            [not c and f and not r for c, f, r in zip(correct, faithful, in_relevant, strict=True)]
        ),
        hallucination=_share([not c and not f for c, f in zip(correct, faithful, strict=True)]),
        self_knowledge=_share([c and not f for c, f in zip(correct, faithful, strict=True)]),
        faithfulness=_share(faithful),
    )


def average(metrics: Sequence[ClaimMetrics]) -> ClaimMetrics:
    """Each metric's mean over the answers that have it."""

    def over(name: str) -> float | None:
        values = [value for one in metrics if (value := getattr(one, name)) is not None]
        return sum(values) / len(values) if values else None

    return ClaimMetrics(**{field.name: over(field.name) for field in fields(ClaimMetrics)})


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _f1(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
