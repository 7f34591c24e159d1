"""A trace as a person reads it: what it came to, where the time went, where each candidate fell out.

In: a trace. Out: rows that a template only has to print.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from firstfault.stages import Stage
from firstfault.trace import status
from firstfault.types import ArmScore, Chunk, Citation, Claim, Event, Scalar, Trace, TraceHit

ARMS = ("dense", "bm25", "fuse", "rerank")
SNIPPET = 220
"""Characters of a candidate that are shown."""
MOST_CANDIDATES = 120
"""Candidates that are shown; those below never came near the prompt."""
HARMLESS = frozenset({"model_loaded", "citation_added"})
"""Events that tell of no loss."""
BUDGET_OF = {stage.value: f"{stage.value}_ms" for stage in Stage} | {"total": "total_ms"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One span of the waterfall; start and width in thousandths of the request."""

    stage: str
    start: float
    width: float
    duration_ms: float
    budget_ms: float | None
    failed: bool
    notes: Mapping[str, Scalar | None]
    events: tuple[Event, ...]

    @property
    def over(self) -> bool:
        """Whether it took longer than its budget."""
        return self.budget_ms is not None and self.duration_ms > self.budget_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """A candidate and how far it came."""

    position: int
    hit: TraceHit
    arms: tuple[ArmScore | None, ...]
    """In the order of `ARMS`."""
    left: str | None
    """The stage at which it fell out; None when it reached the prompt."""
    number: int | None
    """Of the passage that it became."""
    note: str
    tone: str
    """`ok` = cited, `none` = in the prompt, `out` = fell out."""
    snippet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence with the sources that it cites."""

    claim: Claim
    citations: tuple[Citation, ...]
    removed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What one look must say."""

    status: str
    said: str
    stage: str | None
    """Where it went wrong, if a stage can be named from the trace alone."""


def headline(trace: Trace) -> Headline:
    """What became of the request, in one sentence."""
    found = status(trace)
    failed = next((span.stage for span in trace.spans if span.status == "error"), None)
    if trace.error is not None:
        return Headline(status=found, said=f"failed: {trace.error}", stage=failed)
    if trace.answer is None:
        return Headline(
            status=found, said="only the context was assembled; nothing was generated", stage=None
        )
    made = trace.format
    if made is not None and not made.valid:
        problem = next(iter(made.attempts[-1].problems), None) if made.attempts else None
        rule = f", rule {problem.rule} at {problem.path or 'the root'}" if problem else ""
        return Headline(status=found, said=f"{made.cause}{rule}", stage=Stage.FORMAT)
    if trace.answer.abstained:
        return Headline(status=found, said="the sources do not say, so it abstained", stage=None)
    claims = trace.answer.claims
    bad = sum(claim.verdict.label == "unsupported" for claim in claims)
    unsure = sum(claim.verdict.label == "uncertain" for claim in claims)
    cut = len(trace.answer.removed)
    parts = [
        f"{bad} of {_sentences(len(claims))} unsupported" if bad else "",
        f"{unsure} uncertain" if unsure else "",
        f"{cut} taken out as unsupported" if cut else "",
    ]
    said = ", ".join(part for part in parts if part)
    if not claims:
        said = said or "it states nothing that could be checked"
    return Headline(
        status=found,
        said=said or f"every sentence is supported ({_sentences(len(claims))})",
        stage=Stage.GENERATE if bad or cut else None,
    )


def noted(trace: Trace) -> list[tuple[str, str, int]]:
    """What happened on the way that should not: event, stage, how often; in order."""
    counts: dict[tuple[str, str], int] = {}
    for stage, event in trace.events():
        if event.name not in HARMLESS:
            counts[event.name, stage] = counts.get((event.name, stage), 0) + 1
    return [(name, stage, count) for (name, stage), count in counts.items()]


def waterfall(trace: Trace) -> list[Bar]:
    """The spans in order, as shares of the whole request."""
    ends = [span.start_ms + span.duration_ms for span in trace.spans]
    whole = max([trace.total_ms, *ends, 0.001])
    budgets = trace.settings.get("latency", {})
    bars = []
    for span in trace.spans:
        start = 1000 * span.start_ms / whole
        budget = budgets.get(BUDGET_OF.get(span.stage, ""))
        bars.append(
            Bar(
                stage=span.stage,
                start=round(min(start, 997.0), 1),
                width=round(max(3.0, min(1000 * span.duration_ms / whole, 1000 - start)), 1),
                duration_ms=span.duration_ms,
                budget_ms=float(budget) if isinstance(budget, int | float) else None,
                failed=span.status == "error",
                notes=span.attributes,
                events=span.events,
            )
        )
    return bars


def sentences(trace: Trace) -> list[Sentence]:
    """The sentences of the answer, then those that were taken out."""
    if trace.answer is None:
        return []
    by_number = {citation.number: citation for citation in trace.answer.citations}

    def told(claims: Sequence[Claim], removed: bool) -> Iterator[Sentence]:
        for claim in claims:
            cited = tuple(by_number[number] for number in claim.citations if number in by_number)
            yield Sentence(claim=claim, citations=cited, removed=removed)

    return [*told(trace.answer.claims, False), *told(trace.answer.removed, True)]


def fates(trace: Trace, chunks: Mapping[int, Chunk]) -> list[Fate]:
    """Every candidate with its rank in each arm and the stage at which it fell out."""
    passages = {passage.chunk.id: passage for passage in trace.context.passages} if trace.context else {}
    dropped = set(trace.context.dropped) if trace.context else set()
    clipped = set(trace.context.clipped) if trace.context else set()
    cited = {citation.chunk_id for citation in trace.answer.citations} if trace.answer else set()
    reranked = any("rerank" in hit.arms for hit in trace.hits)
    found = []
    for position, hit in enumerate(trace.hits[:MOST_CANDIDATES], start=1):
        passage = passages.get(hit.chunk_id)
        left, note, tone = _fate(
            hit,
            selected=position <= trace.selected,
            packed=passage is not None,
            dropped=hit.chunk_id in dropped,
            cited=hit.chunk_id in cited,
            reranked=reranked,
        )
        if hit.chunk_id in clipped:
            note += ", cut to fit"
        chunk = passage.chunk if passage is not None else chunks.get(hit.key)
        text = " ".join(chunk.text.split()) if chunk is not None else ""
        found.append(
            Fate(
                position=position,
                hit=hit,
                arms=tuple(hit.arms.get(arm) for arm in ARMS),
                left=left,
                number=passage.number if passage is not None else None,
                note=note,
                tone=tone,
                snippet=text[:SNIPPET] + ("…" if len(text) > SNIPPET else ""),
            )
        )
    return found


def _fate(
    hit: TraceHit, *, selected: bool, packed: bool, dropped: bool, cited: bool, reranked: bool
) -> tuple[str | None, str, str]:
    """The stage that it left at, what to say, and the tone."""
    if packed:
        return None, "cited" if cited else "in the prompt, not cited", "ok" if cited else "none"
    if dropped:
        return Stage.PACK, "no room in the prompt", "out"
    if selected:
        return Stage.PACK, "not packed", "out"
    if reranked and "rerank" in hit.arms:
        return Stage.RERANK, "ranked below the top", "out"
    if reranked:
        return Stage.RERANK, "below what the reranker reads", "out"
    return Stage.FUSE, "fused below the top", "out"


def _sentences(number: int) -> str:
    return "1 sentence" if number == 1 else f"{number} sentences"
