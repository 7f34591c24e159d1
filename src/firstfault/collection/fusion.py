"""Merging ranked lists: the arms into one, and a reranker's scores into that one.

In: candidates, best first. Out: candidates, best first, ties broken by the lower key. Nothing is fetched.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from firstfault.types import Candidate

RRF_CONSTANT = 60
"""Cormack, Clarke & Büttcher 2009, section 2."""

DENSE = "dense"


def fuse(
    arms: Mapping[str, Sequence[Candidate]], *, method: Literal["minmax", "rrf"], dense_weight: float
) -> list[Candidate]:
    """Merge the arms into one list with scores from 0 to 1.

    `dense` has the weight `dense_weight`, the other arms share the rest. An arm gives a candidate that it
    did not return 0. `minmax`: each arm's scores are stretched to 0..1 between its worst and best candidate.
    `rrf`: (constant + 1) / (constant + rank), so that the first of every arm scores 1.
    """
    others = [name for name in arms if name != DENSE]
    fused: dict[int, float] = {}
    for name in sorted(arms):
        weight = dense_weight if name == DENSE else (1.0 - dense_weight) / len(others)
        for key, share in _shares(arms[name], method).items():
            fused[key] = fused.get(key, 0.0) + weight * share
    return ranked(fused)


def rerank(candidates: Sequence[Candidate], scores: Sequence[Candidate], *, weight: float) -> list[Candidate]:
    """Put the candidates that were reranked first, by fused score + weight × min-max rerank score.

    `candidates` are fused, best first; `scores` hold the reranker's scores for the first of them. The rest
    follow in their fused order, with their fused scores. Where all rerank scores are equal, they say nothing
    and the fused order stays.
    """
    shares = minmax(scores)
    top = {c.key: c.score + weight * shares[c.key] for c in candidates if c.key in shares}
    return ranked(top) + [candidate for candidate in candidates if candidate.key not in shares]


def minmax(candidates: Sequence[Candidate]) -> dict[int, float]:
    """Scores stretched to 0..1; all 1 where there is no difference to stretch."""
    if not candidates:
        return {}
    low = min(candidate.score for candidate in candidates)
    high = max(candidate.score for candidate in candidates)
    span = high - low
    if span <= 0:
        return {candidate.key: 1.0 for candidate in candidates}
    return {candidate.key: (candidate.score - low) / span for candidate in candidates}


def ranked(scores: Mapping[int, float]) -> list[Candidate]:
    """Candidates by falling score; equal scores by rising key."""
    return [
        Candidate(key=key, score=score)
        for key, score in sorted(scores.items(), key=lambda kv: (-kv[1], kv[0]))
    ]


def _shares(candidates: Sequence[Candidate], method: Literal["minmax", "rrf"]) -> dict[int, float]:
    if method == "minmax":
        return minmax(candidates)
    return {
        candidate.key: (RRF_CONSTANT + 1) / (RRF_CONSTANT + rank)
        for rank, candidate in enumerate(candidates, start=1)
    }
