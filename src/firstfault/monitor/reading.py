"""A finished trace in, one `Reading` out: the numbers that windows, tests and alerts work on.

Cheap: nothing is computed that the trace does not hold. What must be computed comes from `sampled`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from firstfault.config import MonitorConfig
from firstfault.diagnose.latency import components
from firstfault.stages import Stage
from firstfault.types import Trace, TraceHit

FIRST = 10
"""Ranks that are compared between arms."""
FIRST_FEW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What monitoring keeps of one request."""

    trace_id: str
    at: str
    """ISO 8601 in UTC."""
    collection: str
    model: str | None
    """None where nothing was generated."""
    adapter: str | None
    key: str | None
    """Id of the API key that asked."""
    times: Mapping[str, float]
    """Component → milliseconds; see `signals.TIMES`."""
    values: Mapping[str, float]
    """Signal → value; what could not be measured on this request is absent."""
    facts: Mapping[str, str | int]
    """What was in force: `fingerprint`, `embedder`, `verifier`, `corpus_version`; `error_stage` if it failed;
    `rule` = what the first structured output broke."""

    def value(self, name: str) -> float | None:
        """The value of a signal or, as `latency_{component}`, a time."""
        if name.startswith("latency_"):
            return self.times.get(name.removeprefix("latency_"))
        return self.values.get(name)


def beside(trace_id: str, at: str, collection: str, values: Mapping[str, float]) -> Reading:
    """Values that belong to a request and became known after it."""
    return Reading(
        trace_id=trace_id,
        at=at,
        collection=collection,
        model=None,
        adapter=None,
        key=None,
        times={},
        values=values,
        facts={},
    )


def read(trace: Trace, settings: MonitorConfig) -> Reading:
    """What a trace says."""
    generation = trace.generation
    facts: dict[str, str | int] = {
        "fingerprint": trace.fingerprint,
        "embedder": trace.embedder,
        "verifier": trace.verifier,
        "corpus_version": trace.corpus_version,
    }
    values: dict[str, float] = {"error": float(trace.error is not None)}
    if trace.error is not None:
        failed = [span.stage for span in trace.spans if span.status == "error"]
        facts["error_stage"] = failed[-1] if failed else Stage.GENERATE.value
    values |= (
        _search(trace) | _packing(trace) | _answer(trace) | _format(trace, facts) | _cost(trace, settings)
    )
    return Reading(
        trace_id=trace.id,
        at=trace.at,
        collection=trace.collection,
        model=generation.model if generation else None,
        adapter=generation.adapter if generation else None,
        key=trace.key,
        times={} if trace.error is not None else components(trace),
        values={name: round(value, 6) for name, value in values.items()},
        facts=facts,
    )


def is_watched(trace: Trace) -> bool:
    """Whether a user asked: evaluations, probes and replays are not traffic."""
    return trace.case is None and trace.replay_of is None


def _search(trace: Trace) -> dict[str, float]:
    if not any(span.stage == Stage.FUSE for span in trace.spans):
        return {}
    events = {event.name for _, event in trace.events()}
    found: dict[str, float] = {"stale_candidates": float("stale_candidates" in events)}
    if trace.where is not None:
        found["filter_empty"] = float("filter_admits_nothing" in events)
        found["filter_candidates"] = float(len(trace.hits))
    dense, bm25 = _arm(trace, "dense"), _arm(trace, "bm25")
    fused, final = _arm(trace, "fuse"), trace.hits
    if dense:
        found["dense_best"] = dense[0].arms["dense"].score
    if bm25:
        words = max(1, len(trace.question.split()))
        found["bm25_best"] = bm25[0].arms["bm25"].score / words
        known = {hit.key for hit in dense}
        found["arms_agree"] = _share(bm25[:FIRST], known)
        found["bm25_first_kept"] = _share(bm25[:FIRST_FEW], {hit.key for hit in fused[:FIRST]})
    elif dense:
        found["bm25_best"] = 0.0
    if fused and any("rerank" in hit.arms for hit in final):
        top = fused[: max(1, trace.selected)]
        found["rerank_keeps"] = _share(top, {hit.key for hit in final[: trace.selected]})
    return found


def _arm(trace: Trace, name: str) -> list[TraceHit]:
    return sorted((hit for hit in trace.hits if name in hit.arms), key=lambda hit: hit.arms[name].rank)


def _share(wanted: list[TraceHit], known: set[int]) -> float:
    return sum(hit.key in known for hit in wanted) / len(wanted)


def _packing(trace: Trace) -> dict[str, float]:
    context = trace.context
    if context is None:
        return {}
    events = {event.name for _, event in trace.events()}
    return {
        "passage_lost": float(bool(context.dropped or context.clipped)),
        "passages": float(len(context.passages)),
        "instructions": float(any("instruction" in name or "injection" in name for name in events)),
    }


def _answer(trace: Trace) -> dict[str, float]:
    answer = trace.answer
    if answer is None:
        return {}
    events = [event for _, event in trace.events()]
    names = {event.name for event in events}
    found = {
        "abstained": float(answer.abstained),
        "answered": float(not answer.abstained),
        "truncated": float("truncated_output" in names),
        "degraded": float("degraded" in names),
    }
    claims = [claim for claim in (*answer.claims, *answer.removed) if claim.verdict.label != "unknown"]
    if claims:
        supported = sum(claim.verdict.label == "supported" for claim in claims) / len(claims)
        found["faithfulness"] = supported
        found["hallucination_rate"] = 1 - supported
        found["unfaithful"] = float(any(claim.verdict.label == "unsupported" for claim in claims))
    if answer.citations:
        good = sum(citation.verdict.label == "supported" for citation in answer.citations)
        found["citation_validity"] = good / len(answer.citations)
    if answer.claims:
        found["bad_mark"] = float(bool(names & {"fabricated_citation", "misattributed_citation"}))
        found["mark_missing"] = float("citation_added" in names)
    return found


def _format(trace: Trace, facts: dict[str, str | int]) -> dict[str, float]:
    made = trace.format
    if made is None:
        return {}
    if made.attempts and made.attempts[0].problems:
        first = made.attempts[0].problems[0]
        facts["rule"] = f"{first.rule} at {first.path or 'the whole output'}"
    return {
        "format_validity": float(made.valid),
        "invalid": float(not made.valid),
        "invalid_first_try": float(not made.first_try),
    }


def _cost(trace: Trace, settings: MonitorConfig) -> dict[str, float]:
    made = trace.generation
    if made is None or made.prompt_tokens is None or made.completion_tokens is None:
        return {}
    found = {"tokens": float(made.prompt_tokens + made.completion_tokens)}
    if settings.input_price is not None and settings.output_price is not None:
        price = made.prompt_tokens * settings.input_price + made.completion_tokens * settings.output_price
        found["cost"] = price / 1e6
    return found
