"""The vocabulary: the stages of an answer and the causes each stage can be blamed for.

The same names serve trace spans, latency budgets, metrics, probes, faults, drills and pages.
"""

from enum import StrEnum


class Stage(StrEnum):
    """One step of the answer path, in the order in which evidence travels."""

    CORPUS = "corpus"
    CHUNK = "chunk"
    FILTER = "filter"
    EMBED = "embed"
    INDEX = "index"
    FUSE = "fuse"
    RERANK = "rerank"
    PACK = "pack"
    GENERATE = "generate"
    CITE = "cite"
    FORMAT = "format"


CAUSES: dict[Stage, tuple[str, ...]] = {
    Stage.CORPUS: ("missing_document", "stale_document", "failed_ingest"),
    Stage.CHUNK: ("split_evidence", "lost_text"),
    Stage.FILTER: ("filter_excludes_evidence", "retrieval_off"),
    Stage.EMBED: ("weak_embedding", "embedder_mismatch", "vocabulary_gap"),
    Stage.INDEX: ("approximate_recall", "unindexed_points"),
    Stage.FUSE: ("fusion_weights",),
    Stage.RERANK: ("reranker_demotes",),
    Stage.PACK: ("context_truncated", "noise", "conflicting_sources"),
    Stage.GENERATE: ("ignored_context", "contradicts_context", "wrong_abstention", "should_have_abstained"),
    Stage.CITE: ("fabricated_citation", "misattributed_citation", "missing_citation"),
    Stage.FORMAT: ("invalid_json", "schema_violation", "truncated_output"),
}
"""The causes that each stage can be blamed for, in the order in which they are probed."""

ANY_STAGE_CAUSES = ("request_failed", "over_budget")
"""Causes that any stage can be blamed for: it ended the request with an error, or it took longer than its
latency budget."""
