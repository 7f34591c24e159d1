"""Answers and contexts made by hand, with the verdicts a test wants."""

from tests.made import make_trace

from firstfault.types import (
    Answer,
    Chunk,
    Citation,
    Claim,
    Context,
    Passage,
    Status,
    Support,
    SupportLabel,
    Trace,
)

STATUS: dict[SupportLabel, Status] = {
    "supported": "ok",
    "uncertain": "warn",
    "unsupported": "fail",
    "unknown": "unknown",
}


def support(label: SupportLabel) -> Support:
    return Support(name="support", status=STATUS[label], label=label, score=None)


def context(*texts: str) -> Context:
    """One passage a text, each from a document `d1`, `d2`, ... that is exactly this text."""
    passages = tuple(
        Passage(
            number=number,
            tokens=1,
            chunk=Chunk(
                id=f"d{number}@0:0-{len(text)}",
                document_id=f"d{number}",
                document_title="",
                start=0,
                end=len(text),
                text=text,
            ),
        )
        for number, text in enumerate(texts, start=1)
    )
    return Context(passages=passages, tokens=len(texts), budget=100)


def citation(number: int, text: str, label: SupportLabel) -> Citation:
    """A citation of the whole passage with this number."""
    return Citation(
        number=number,
        document_id=f"d{number}",
        document_title="",
        chunk_id=f"d{number}@0:0-{len(text)}",
        cited_text=text,
        start_char_index=0,
        end_char_index=len(text),
        verdict=support(label),
    )


def answer(
    *claims: tuple[str, SupportLabel, tuple[int, ...]], citations: tuple[Citation, ...] = (), raw: str = ""
) -> Answer:
    """An answer of claims, each with its verdict and the numbers it cites; without claims it abstains."""
    made = tuple(
        Claim(text=text, start=0, end=len(text), citations=numbers, verdict=support(label))
        for text, label, numbers in claims
    )
    return Answer(
        text=" ".join(text for text, _, _ in claims),
        abstained=not claims,
        claims=made,
        citations=citations,
        raw=raw,
    )


def trace(packed: Context, given: Answer | None) -> Trace:
    return make_trace(context=packed, answer=given)
