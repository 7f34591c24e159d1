"""From the filter to the prompt: evidence that a chunk holds whole and that did not reach the prompt.

In: the chunks that hold it, and the request. Out: the first stage that lost it, found by intervention: no
filter, exact search, one arm alone, default fusion, another reranker, a larger k, a larger budget.
"""

from collections.abc import Mapping

from firstfault.answer.retrieve import ARMS
from firstfault.collection import parse_where
from firstfault.collection.filters import admits
from firstfault.config import SearchConfig, Settings
from firstfault.diagnose.blaming import Walk
from firstfault.diagnose.probes import DEPTH, Patch, Probes, Ranks
from firstfault.diagnose.wording import ordinal, place
from firstfault.evaluate.evidence import Gold, satisfied, span_of
from firstfault.stages import Stage
from firstfault.types import Blame, Case, Chunk, Trace, TraceHit
from firstfault.verify.terms import rarity, terms, words

SAME_VECTOR = 0.95
"""Cosine above which a fresh embedding of a text counts as the stored one."""
FEW_SHARED_WORDS = 1 / 3
"""Below this share of the question's words, weighted by rarity, question and evidence speak differently."""
SILENT = 0.1
"""An arm with no more than this weight has no say."""
LARGEST_K = 20
LARGEST_EF = 4096


class Search(Walk):
    """One unit of evidence on its way through the search of one request."""

    def __init__(
        self, probes: Probes, case: Case, trace: Trace, gold: Gold, whole: Mapping[int, Chunk]
    ) -> None:
        super().__init__(probes, case, trace)
        self.gold = gold
        self.whole = whole
        self.settings: Settings = probes.settings(trace)
        self.search: SearchConfig = self.settings.search

    def blame(self) -> Blame:
        """The first stage from the filter on that lost the evidence."""
        return self._filter() or self._index_lacks() or self._ranked()

    def _filter(self) -> Blame | None:
        if self.trace.where is None:
            return None
        where = parse_where(self.trace.where)
        if any(admits(where, chunk.metadata) for chunk in self.whole.values()):
            return None
        chunk = next(iter(self.whole.values()))
        without = self.probes.replay(self.trace, start=Stage.FILTER, where=None)
        evidence = (
            f"The filter {self.trace.where} refuses {chunk.document_id}, which holds the evidence "
            f"(its metadata: {_metadata(chunk)}); without the filter it is {self._place(without)}."
        )
        return self._found(Stage.FILTER, "filter_excludes_evidence", evidence, self._reaches(without))

    def _index_lacks(self) -> Blame | None:
        """The engine does not hold a chunk that the catalog has, so not even exact search can see it."""
        ranks = self._ranks()
        if any(key in ranks.dense for key in self.whole):
            return None
        vectors = self.probes.app.collection.vectors(list(self.whole))
        scores = {key: float(vector @ ranks.query.vector) for key, vector in vectors.items()}
        key = max(scores, key=lambda one: (scores[one], -one), default=None)
        if key is None:
            return None
        rank = 1 + sum(other > scores[key] for other in ranks.dense_scores)
        if rank > len(ranks.dense_scores) and len(ranks.dense_scores) >= DEPTH:
            return None
        evidence = (
            f"The catalog has {self.whole[key].id}, the index does not return it even by exact search: by "
            f"its stored vector it would be {ordinal(rank)}."
        )
        return self._found(Stage.INDEX, "unindexed_points", evidence, rank <= self.search.top_k)

    def _ranked(self) -> Blame:
        final = self._final_rank(self.trace)
        if final is not None and final <= self.trace.selected:
            return self._pack(final)
        ranks, keys = self._ranks(), list(self.whole)
        dense, bm25 = ranks.best("dense", keys), ranks.best("bm25", keys)
        within = [rank for rank in (dense, bm25) if rank is not None and rank <= self.search.candidates]
        if not within:
            return self._embed(dense, bm25)
        recorded = self._recorded()
        if dense is not None and dense <= self.search.candidates and "dense" not in recorded:
            blame = self._index(dense, lost=not recorded)
            if blame is not None:
                return blame
        if dense is None or dense > self.search.top_k:
            blame = self._embedder(dense)
            if blame is not None:
                return blame
        return self._fuse(dense, bm25) or self._rerank() or self._embed(dense, bm25)

    def _index(self, dense: int, *, lost: bool) -> Blame | None:
        exact = self.probes.replay(self.trace, start=Stage.FILTER, where=self.trace.where, exact=True)
        if not self._reaches(exact) and not lost:
            return None
        ef = self.settings.index.hnsw_ef
        wider = {"index.hnsw_ef": min(max(4 * ef, 256), LARGEST_EF)}
        repaired = self._reaches(
            self.probes.replay(self.trace, wider, start=Stage.FILTER, where=self.trace.where)
        )
        evidence = (
            f"The evidence is {ordinal(dense)} by exact search and absent from the index's top "
            f"{self.search.candidates} at ef {ef}"
            + (f"; at ef {wider['index.hnsw_ef']} it reaches the prompt." if repaired else ".")
        )
        return self._found(
            Stage.INDEX, "approximate_recall", evidence, self._reaches(exact), wider if repaired else {}
        )

    def _embedder(self, dense: int | None) -> Blame | None:
        """Blame the vectors themselves, where embedding the chunk again gives another one."""
        key, chunk = next(iter(self.whole.items()))
        agreement = self.probes.agreement(key, chunk)
        if agreement is None:
            return None
        if agreement.repeated < SAME_VECTOR:
            evidence = (
                f"Embedding {chunk.id} twice gives two vectors with cosine {agreement.repeated:.2f}: the "
                f"embedder adds noise. The evidence is {place(dense, beyond=DEPTH)} by exact dense search."
            )
            return self._found(Stage.EMBED, "weak_embedding", evidence, self._alone(0.0) is not None)
        if agreement.stored >= SAME_VECTOR:
            return None
        evidence = (
            f"The stored vector of {chunk.id} and a fresh one have cosine {agreement.stored:.2f}: passages "
            "and questions were embedded differently. The evidence is "
            f"{place(dense, beyond=DEPTH)} by exact dense search."
        )
        return self._found(
            Stage.EMBED, "embedder_mismatch", evidence, self._fresh_rank() <= self.search.top_k
        )

    def _fuse(self, dense: int | None, bm25: int | None) -> Blame | None:
        fused = self._arm_rank("fuse")
        if fused is not None and fused <= self.search.top_k:
            return None
        standard = SearchConfig()
        usual: Patch = {"search.fusion": standard.fusion, "search.dense_weight": standard.dense_weight}
        configured = {"search.fusion": self.search.fusion, "search.dense_weight": self.search.dense_weight}
        reached = f"{_rank_words('exact dense search', dense)} and {_rank_words('BM25', bm25)}"
        where = f"{place(fused, beyond=len(self.trace.hits))} after fusion"
        if usual != configured and self._reaches(self.probes.replay(self.trace, usual, start=Stage.FUSE)):
            evidence = (
                f"The evidence is {reached}, and {where} with {self.search.fusion} at dense weight "
                f"{self.search.dense_weight:g}; with {standard.fusion} at {standard.dense_weight:g} it "
                "reaches the prompt."
            )
            return self._found(Stage.FUSE, "fusion_weights", evidence, True, usual)
        k, weight = self.search.top_k, self.search.dense_weight
        near = {1.0: dense is not None and dense <= k, 0.0: bm25 is not None and bm25 <= k}
        silenced = {1.0: weight <= SILENT, 0.0: weight >= 1 - SILENT}
        for arm in (1.0, 0.0):
            if near[arm] and (silenced[arm] or all(near.values())) and (patch := self._alone(arm)):
                name = "dense search" if arm else "BM25"
                evidence = (
                    f"The evidence is {reached}, and {where} at dense weight {weight:g}; {name} alone "
                    "brings it to the prompt."
                )
                return self._found(Stage.FUSE, "fusion_weights", evidence, True, patch)
        return None

    def _rerank(self) -> Blame | None:
        k, final, fused = self.search.top_k, self._final_rank(self.trace), self._arm_rank("fuse")
        standard = SearchConfig()
        others: list[Patch] = []
        if self.search.rerank == "late":
            others = [
                {"search.rerank_weight": standard.rerank_weight, "search.rerank_depth": standard.rerank_depth}
            ]
        elif self.probes.app.embedder.late_interaction:
            others = [{"search.rerank": "late"}]
        if self.search.rerank != "none":
            others.append({"search.rerank": "none"})
        for patch in others:
            if self._changes(patch) and self._reaches(
                self.probes.replay(self.trace, patch, start=Stage.RERANK)
            ):
                evidence = (
                    f"The evidence is {place(fused, beyond=len(self.trace.hits))} after fusion and "
                    f"{place(final, beyond=len(self.trace.hits))} after reranking ({self.search.rerank}), of "
                    f"which {k} are kept; with {_settings(patch)} it reaches the prompt."
                )
                return self._found(Stage.RERANK, "reranker_demotes", evidence, True, patch)
        if final is not None and k < final <= standard.top_k:
            patch = {"search.top_k": standard.top_k}
            evidence = (
                f"The evidence is {ordinal(final)} after reranking, and only {k} are kept; with top_k "
                f"{standard.top_k} it reaches the prompt."
            )
            return self._found(Stage.RERANK, "reranker_demotes", evidence, self._recovers(patch), patch)
        return None

    def _pack(self, final: int) -> Blame:
        context = self.trace.context
        assert context is not None  # a request that did not fail has one
        chunk = self.trace.hits[final - 1]
        what = "was cut to fit" if chunk.chunk_id in context.clipped else "did not fit"
        budget = self.settings.pack.budget_tokens
        patch = {"pack.budget_tokens": max(4 * budget, 1200)}
        recovered = self._satisfied(self.probes.replay(self.trace, patch, start=Stage.PACK))
        lowered = context.budget < budget
        evidence = (
            f"The evidence is {ordinal(final)} after reranking and {what} into {context.budget} tokens"
            + (f", lowered from {budget} by the generator's window" if lowered else "")
            + (f"; with {patch['pack.budget_tokens']} it reaches the prompt." if recovered else ".")
        )
        return self._found(Stage.PACK, "context_truncated", evidence, recovered, patch if recovered else {})

    def _embed(self, dense: int | None, bm25: int | None) -> Blame:
        """No stage after the arms is to blame: the arms themselves rank the evidence too low."""
        blame = self._embedder(dense)
        if blame is not None:
            return blame
        ranks = f"{_rank_words('exact dense search', dense)} and {_rank_words('BM25', bm25)}"
        k = self.search.top_k
        if bm25 is not None and bm25 <= k and (patch := self._alone(0.0)) is not None:
            evidence = (
                f"The evidence is {ranks}: the vectors lead away from it; BM25 alone brings it to the prompt."
            )
            return self._found(Stage.EMBED, "weak_embedding", evidence, True, patch)
        if dense is not None and dense <= k and (patch := self._alone(1.0)) is not None:
            evidence = (
                f"The evidence is {ranks}: it shares {self._shared():.0%} of the question's words; dense "
                "search alone brings it to the prompt."
            )
            return self._found(Stage.EMBED, "vocabulary_gap", evidence, True, patch)
        shared, own = self._shared(), self._own_words_rank()
        blind = own is None or own > k
        cause = "vocabulary_gap" if shared < FEW_SHARED_WORDS and not blind else "weak_embedding"
        patch = {"search.top_k": min(max(4 * k, 10), LARGEST_K)}
        deeper = max(self.search.candidates, SearchConfig().candidates)
        if deeper != self.search.candidates:
            patch["search.candidates"] = deeper
        recovered = self._reaches(
            self.probes.replay(self.trace, patch, start=Stage.FILTER, where=self.trace.where)
        )
        words_of = f"asked with its own words it is {place(own, beyond=DEPTH)} by exact dense search"
        evidence = f"The evidence is {ranks}; it holds {shared:.0%} of the question's words; {words_of}" + (
            f"; with {_settings(patch)} it reaches the prompt." if recovered else "."
        )
        return self._found(Stage.EMBED, cause, evidence, recovered, patch if recovered else {})

    def _alone(self, weight: float) -> Patch | None:
        """The patch that leaves one arm alone, when it brings the evidence to the prompt."""
        patch: Patch = {"search.dense_weight": weight, "search.rerank": "none"}
        return patch if self._reaches(self.probes.replay(self.trace, patch, start=Stage.FUSE)) else None

    def _fresh_rank(self) -> int:
        """The rank of the evidence among the nearest chunks when all are embedded again."""
        ranks = self._ranks()
        nearest = sorted(ranks.dense, key=lambda key: ranks.dense[key])[:LARGEST_K]
        chunks = self.probes.app.collection.fetch(nearest, version=self.trace.corpus_version)
        vectors = self.probes.embedded_again({**chunks, **self.whole})
        scores = {key: float(vector @ ranks.query.vector) for key, vector in vectors.items()}
        best = max(scores[key] for key in self.whole)
        return 1 + sum(score > best for key, score in scores.items() if key not in self.whole)

    def _own_words_rank(self) -> int | None:
        """Where exact dense search puts the evidence when it is asked for in its own words."""
        chunk = next(iter(self.whole.values()))
        text = self.gold.unit.quote or chunk.text[:300]
        return self.probes.dense_rank(self.trace, text, self.trace.where, list(self.whole))

    def _shared(self) -> float:
        """Share of the question's words, weighted by rarity, that the evidence holds."""
        asked = {term.stem for term in terms(self.case.question)}
        total = sum(rarity(stem) for stem in asked)
        held = [words(f"{chunk.document_title} {chunk.text}") for chunk in self.whole.values()]
        if not total:
            return 0.0
        return max(sum(rarity(stem) for stem in asked & one) for one in held) / total

    def _ranks(self) -> Ranks:
        return self.probes.ranks(self.trace, self.trace.where)

    def _recorded(self) -> set[str]:
        """The arms that returned the evidence when the request was made."""
        return {arm for hit in self.trace.hits if self._holds(hit) for arm in hit.arms if arm in ARMS}

    def _arm_rank(self, arm: str) -> int | None:
        ranks = [hit.arms[arm].rank for hit in self.trace.hits if hit.key in self.whole and arm in hit.arms]
        return min(ranks, default=None)

    def _final_rank(self, trace: Trace) -> int | None:
        return next((rank for rank, hit in enumerate(trace.hits, 1) if self._holds(hit)), None)

    def _holds(self, hit: TraceHit) -> bool:
        return hit.key in self.whole

    def _reaches(self, trace: Trace) -> bool:
        """Whether the evidence is among what goes on to packing."""
        rank = self._final_rank(trace)
        return rank is not None and rank <= trace.selected

    def _satisfied(self, trace: Trace) -> bool:
        assert trace.context is not None
        return satisfied(self.gold, [span_of(passage.chunk) for passage in trace.context.passages])

    def _recovers(self, patch: Patch) -> bool:
        return self._reaches(self.probes.replay(self.trace, patch, start=Stage.RERANK))

    def _changes(self, patch: Patch) -> bool:
        return any(getattr(self.search, name.partition(".")[2]) != value for name, value in patch.items())

    def _place(self, trace: Trace) -> str:
        rank = self._final_rank(trace)
        return f"{place(rank, beyond=len(trace.hits))}"


def _rank_words(arm: str, rank: int | None) -> str:
    return f"{place(rank, beyond=DEPTH)} by {arm}"


def _settings(patch: Patch) -> str:
    return ", ".join(f"{name} = {value}" for name, value in patch.items())


def _metadata(chunk: Chunk) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in sorted(chunk.metadata.items())) or "none"
