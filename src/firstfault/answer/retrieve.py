"""Retrieval: filter → embed → index → fuse → rerank, each under its own stage.

In: a request. Out: every candidate in final order, with its rank and score from every arm. In a replay,
stages before the first touched one are not run: their results come from the earlier trace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstfault.answer.request import Request
from firstfault.collection import Filter, fuse, parse_where, rerank
from firstfault.errors import MissingError
from firstfault.models.embedder import Embedding
from firstfault.stages import Stage
from firstfault.trace import OpenSpan
from firstfault.types import ArmScore, Candidate, Chunk, Hit, Trace

if TYPE_CHECKING:
    from firstfault.answer.application import Application

ARMS = ("dense", "bm25")

Arms = Mapping[str, Sequence[Candidate]]
"""Arm → its candidates, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Candidates in final order."""

    hits: tuple[Hit, ...]
    keys: tuple[int, ...]
    """The catalog key of each hit."""
    selected: int
    """How many, from the first, go on to packing."""


def retrieve(app: "Application", request: Request, *, exact: bool = False) -> Ranking:
    """Find and rank candidates for a question; `exact` replaces the dense index by exact search.

    Raises:
        InputError: the filter is malformed or names a field that no document has.
        MissingError: nothing was ever ingested.
    """
    if request.version == 0:
        raise MissingError(
            f"The collection '{app.collection.name}' is empty.", hint="Fill it: firstfault ingest PATH"
        )
    recording = request.recording
    search = request.settings.search
    query: Embedding | None = None
    prior = request.reuses(Stage.INDEX)
    if prior is None:
        with recording.stage(Stage.FILTER) as span:
            where = parse_where(request.where) if request.where is not None else None
            span.note(where=request.where)
        with recording.stage(Stage.EMBED) as span:
            query = embed_question(app, request.question)
            span.note(tokens=query.token_count)
            if query.truncated:
                span.event("question_truncated", tokens=query.token_count, limit=app.embedder.max_tokens)
        with recording.stage(Stage.INDEX) as span:
            arms = _search(app, request, query, where, exact=exact)
            span.note(**{arm: len(found) for arm, found in arms.items()}, exact=exact)
            if where is not None and not any(arms.values()):
                span.event("filter_admits_nothing", where=request.where)
    else:
        arms = _arms_of(prior)

    prior = request.reuses(Stage.FUSE)
    if prior is None:
        with recording.stage(Stage.FUSE) as span:
            fused = fuse(arms, method=search.fusion, dense_weight=search.dense_weight)
            chunks = _fetch(app, request, [candidate.key for candidate in fused], span)
            fused = [candidate for candidate in fused if candidate.key in chunks]
            span.note(candidates=len(fused))
    else:
        fused = _one_arm(prior, "fuse")
        chunks = app.collection.fetch([hit.key for hit in prior.hits], version=request.version)

    prior = request.reuses(Stage.RERANK)
    if prior is not None:
        hits = tuple(Hit(chunk=chunks[hit.key], arms=hit.arms) for hit in prior.hits)
        return Ranking(hits=hits, keys=tuple(hit.key for hit in prior.hits), selected=prior.selected)
    with recording.stage(Stage.RERANK) as span:
        order = fused
        scores: Sequence[Candidate] = ()
        if search.rerank == "late" and not app.embedder.late_interaction:
            span.event("late_interaction_unavailable", embedder=app.embedder.name)
        elif search.rerank != "none" and fused:
            query = query or embed_question(app, request.question)
            scores = _rerank_scores(app, request, query, fused[: search.rerank_depth], chunks)
            order = rerank(fused, scores, weight=search.rerank_weight)
        by_arm = {**arms, "fuse": fused, "rerank": scores}
        span.note(method=search.rerank, depth=len(scores))
    return _ranking(order, by_arm, chunks, selected=min(search.top_k, len(order)))


def embed_question(app: "Application", question: str) -> Embedding:
    """The question's vector, with token vectors where the embedder has them."""
    if app.embedder.late_interaction:
        return app.embedder.embed_tokens([question], kind="query")[0]
    (batch,) = app.embedder.stream([question], kind="query")
    return batch[0]


def _search(
    app: "Application", request: Request, query: Embedding, where: Filter | None, *, exact: bool
) -> Arms:
    """Ask each arm for its candidates."""
    limit = request.settings.search.candidates
    version = request.version if request.prior else None
    dense = app.collection.dense(
        query.vector,
        where=where,
        limit=limit,
        exact=exact,
        version=version,
        ef=request.settings.index.hnsw_ef,
    )
    bm25 = app.collection.bm25(request.question, where=where, limit=limit, version=version)
    return {"dense": dense, "bm25": bm25}


def _fetch(app: "Application", request: Request, keys: Sequence[int], span: OpenSpan) -> Mapping[int, Chunk]:
    """The chunks behind the candidates; the catalog decides what is valid, and what is not is said."""
    chunks = app.collection.fetch(keys, version=request.version)
    if len(chunks) < len(keys):
        span.event("stale_candidates", dropped=len(keys) - len(chunks))
    return chunks


def _rerank_scores(
    app: "Application",
    request: Request,
    query: Embedding,
    candidates: Sequence[Candidate],
    chunks: Mapping[int, Chunk],
) -> list[Candidate]:
    """Rerank scores of the candidates, best first; ties keep the lower key."""
    keys = [candidate.key for candidate in candidates]
    if request.settings.search.rerank == "cross":
        texts = [chunks[key].text for key in keys]
        values = app.cross_encoder(request.settings.search.rerank_model).scores(request.question, texts)
    else:
        from firstfault.models.tokenvectors import maxsim

        assert query.tokens is not None
        stored = app.collection.token_vectors(keys)
        values = maxsim(query.tokens, [stored[key] for key in keys])
    found = [
        Candidate(key=key, score=round(float(value), 6)) for key, value in zip(keys, values, strict=True)
    ]
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.key))


def _ranking(
    order: Sequence[Candidate],
    by_arm: Arms,
    chunks: Mapping[int, Chunk],
    *,
    selected: int,
) -> Ranking:
    places: dict[int, dict[str, ArmScore]] = {candidate.key: {} for candidate in order}
    for arm, candidates in by_arm.items():
        for rank, candidate in enumerate(candidates, start=1):
            if candidate.key in places:
                places[candidate.key][arm] = ArmScore(rank=rank, score=candidate.score)
    hits = tuple(Hit(chunk=chunks[candidate.key], arms=places[candidate.key]) for candidate in order)
    return Ranking(hits=hits, keys=tuple(candidate.key for candidate in order), selected=selected)


def _arms_of(trace: Trace) -> Arms:
    """What each arm returned when the trace was recorded."""
    return {arm: _one_arm(trace, arm) for arm in ARMS}


def _one_arm(trace: Trace, arm: str) -> list[Candidate]:
    found = [(hit.arms[arm], hit.key) for hit in trace.hits if arm in hit.arms]
    return [
        Candidate(key=key, score=place.score) for place, key in sorted(found, key=lambda pair: pair[0].rank)
    ]
