"""What monitoring reads off every request: one named number a signal, each belonging to a stage.

A signal is a *failure* (1 = bad, 0 = good), a *share* or a *score* of which less is bad, or a *load* of which
more is bad. None of them needs a label; most were computed in the request and stand on its trace already.
"""

from dataclasses import dataclass
from typing import Literal

from firstfault.stages import Stage

Kind = Literal["failure", "share", "score", "load", "time"]
ANY = "any"
"""The stage of a signal that is read off the whole request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One number that is read off a request."""

    name: str
    stage: str
    kind: Kind
    label: str
    """In words, for people."""
    at_rest: float | None = None
    """Share of failures at rest, where that is known beforehand; None = learnt from the baseline."""

    @property
    def lower_is_better(self) -> bool:
        """Whether less of it is better."""
        return self.kind in ("failure", "load", "time")


def _signal(name: str, stage: str, kind: Kind, label: str) -> Signal:
    return Signal(name=name, stage=stage, kind=kind, label=label)


_S = Stage
READ = (
    _signal("error", ANY, "failure", "requests that failed"),
    _signal("thumbs_down", ANY, "failure", "feedback that says wrong"),
    Signal(
        name="canary_lost",
        stage=_S.CORPUS,
        kind="failure",
        label="earlier answers whose evidence is no longer found",
        at_rest=0.02,  # the same search over the same corpus finds the same
    ),
    _signal("filter_empty", _S.FILTER, "failure", "filters that admit nothing"),
    _signal("filter_candidates", _S.FILTER, "score", "candidates under a filter"),
    _signal("dense_best", _S.EMBED, "score", "similarity of the nearest passage"),
    _signal("bm25_best", _S.EMBED, "score", "best BM25 score a word of the question"),
    _signal("arms_agree", _S.EMBED, "share", "of the first ten of BM25 that dense search returns too"),
    _signal("index_agrees", _S.INDEX, "share", "of the first ten of exact search that the index returns"),
    _signal("stale_candidates", _S.INDEX, "failure", "searches that return what is no longer stored"),
    _signal(
        "bm25_first_kept", _S.FUSE, "share", "of the first three of BM25 that fusion keeps in the top ten"
    ),
    _signal("rerank_keeps", _S.RERANK, "share", "of the first fused candidates that reranking keeps"),
    _signal("passage_lost", _S.PACK, "failure", "prompts that lost or cut a passage"),
    _signal("passages", _S.PACK, "load", "passages in the prompt"),
    _signal("sufficiency", _S.PACK, "share", "of the question's words in the best passage"),
    _signal(
        "context_precision", _S.PACK, "share", "passages that support a sentence of the answer (estimate)"
    ),
    _signal("instructions", _S.PACK, "failure", "prompts with a passage that reads like an instruction"),
    _signal("faithfulness", _S.GENERATE, "share", "sentences that the passages support"),
    _signal("hallucination_rate", _S.GENERATE, "failure", "sentences that the passages do not support"),
    _signal("unfaithful", _S.GENERATE, "failure", "answers with a sentence that nothing supports"),
    _signal("abstained", _S.GENERATE, "failure", "answers that say that the sources do not say"),
    _signal("answered", _S.GENERATE, "failure", "answers that do not abstain"),
    _signal("truncated", _S.GENERATE, "failure", "answers cut at the token limit"),
    _signal("degraded", _S.GENERATE, "failure", "answers made cheaper"),
    _signal("citation_validity", _S.CITE, "share", "citations that support their sentence"),
    _signal("bad_mark", _S.CITE, "failure", "answers with a fabricated or misattributed citation"),
    _signal("mark_missing", _S.CITE, "failure", "answers in which a citation had to be added"),
    _signal("format_validity", _S.FORMAT, "share", "structured answers that satisfy their schema"),
    _signal("invalid", _S.FORMAT, "failure", "structured answers that break their schema"),
    _signal("invalid_first_try", _S.FORMAT, "failure", "structured answers that were not valid at first"),
    _signal("tokens", _S.GENERATE, "load", "tokens a request, in and out"),
    _signal("cost", ANY, "load", "price a request"),
)
"""Every signal but the times, in the order of the stages."""

SIGNALS = {signal.name: signal for signal in READ}

TIMES = {
    "embed": _S.EMBED,
    "index": _S.INDEX,
    "fuse": _S.FUSE,
    "rerank": _S.RERANK,
    "pack": _S.PACK,
    "first_token": _S.GENERATE,
    "generate": _S.GENERATE,
    "cite": _S.CITE,
    "format": _S.FORMAT,
    "total": ANY,
}
"""Components that are timed → the stage that is blamed."""

LEADING = {
    _S.CORPUS: "canary_lost",
    _S.FILTER: "filter_candidates",
    _S.EMBED: "dense_best",
    _S.INDEX: "index_agrees",
    _S.FUSE: "bm25_first_kept",
    _S.RERANK: "rerank_keeps",
    _S.PACK: "sufficiency",
    _S.GENERATE: "faithfulness",
    _S.CITE: "citation_validity",
    _S.FORMAT: "format_validity",
}
"""The signal that stands for its stage where there is room for one."""


def signal_of(name: str) -> Signal:
    """The signal of this name; times are named `latency_{component}`."""
    if name in SIGNALS:
        return SIGNALS[name]
    component = name.removeprefix("latency_")
    return _signal(name, TIMES[component], "time", f"milliseconds: {component.replace('_', ' ')}")
