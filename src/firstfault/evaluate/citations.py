"""Citation quality of an answer, as in ALCE, and whether its citations are true to the stored documents.

In: an answer and its context. Out: per sentence whether its citations support it, per citation whether it
is needed. Source: Gao et al., Enabling Large Language Models to Generate Text with Citations (2023), 4.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from firstfault.types import Answer, Citation, Claim, Context
from firstfault.verify import Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationJudgement:
    """What the citations of an answer are worth."""

    supported: tuple[bool, ...]
    """Per sentence: do the passages it cites, taken together, support it?"""
    needed: tuple[bool, ...]
    """Per citation of a sentence: does it help to support it? False for every one of a sentence that its
    citations do not support."""


def judge(answer: Answer, context: Context, *, verifier: Verifier) -> CitationJudgement:
    """Judge every citation of every sentence; whole cited passages count, not only the quotes."""
    texts = {
        passage.chunk.id: f"{passage.chunk.document_title}\n\n{passage.chunk.text}"
        for passage in context.passages
    }
    by_number = {citation.number: citation for citation in answer.citations}
    supported: list[bool] = []
    needed: list[bool] = []
    for claim in answer.claims:
        cited = [by_number[number] for number in claim.citations]
        holds = _together(claim, cited, texts, verifier)
        supported.append(holds)
        for position, citation in enumerate(cited):
            others = cited[:position] + cited[position + 1 :]
            needed.append(
                holds and (_alone(citation) or not others or not _together(claim, others, texts, verifier))
            )
    return CitationJudgement(supported=tuple(supported), needed=tuple(needed))


def true_to_document(citation: Citation, text: str | None) -> bool:
    """Whether a citation quotes its stored document exactly and supports its sentence; None = not stored."""
    if text is None or citation.verdict.label != "supported":
        return False
    return text[citation.start_char_index : citation.end_char_index] == citation.cited_text


def _alone(citation: Citation) -> bool:
    """The answer path has held each sentence against each passage already."""
    return citation.verdict.label == "supported"


def _together(claim: Claim, cited: Sequence[Citation], texts: dict[str, str], verifier: Verifier) -> bool:
    if any(_alone(citation) for citation in cited):
        return True
    passages = [texts[citation.chunk_id] for citation in cited if citation.chunk_id in texts]
    if len(passages) < 2:
        return False
    return verifier.verify_claims([(passages, claim.text)])[0].label == "supported"
