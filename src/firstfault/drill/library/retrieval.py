"""Faults of embedding, index, fusion and reranking: why evidence that is there is not found."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from firstfault.drill import stored_index
from firstfault.drill.fault import Fault
from firstfault.drill.reranker import Breakage, work_for, write_reranker
from firstfault.drill.sandbox import Sandbox, stored
from firstfault.drill.text import mistype
from firstfault.stages import Stage

SLOW_FACTOR = 4.0
"""A wait is this many budgets at severity 1."""


def _swapped_embedder(sandbox: Sandbox, severity: float) -> None:
    """The corpus was embedded before; from now on another model answers."""
    sandbox.play("rotated", severity)


def _half_migrated(sandbox: Sandbox, severity: float) -> None:
    """A re-embedding that stopped on the way: part of the corpus comes from the other model."""
    documents = sandbox.documents_of(sandbox.chosen(severity, "documents"))
    with sandbox.application(create=True) as app:
        originals = stored(app.collection, documents)
        app.collection.retire(documents)
        app.collection.gc(before=datetime.now(UTC) + timedelta(days=1))  # their vectors leave the cache
    sandbox.play("rotated")
    sandbox.add(originals)
    sandbox.plan.faults = ()


def _embedded_badly(name: str) -> Callable[[Sandbox, float], None]:
    """The corpus and the questions are embedded by the same bad model."""

    def inject(sandbox: Sandbox, severity: float) -> None:
        sandbox.play(name, severity)
        sandbox.move()

    return inject


def _mistyped(sandbox: Sandbox, severity: float) -> None:
    sandbox.change_cases(
        [case.id for case in sandbox.cases if case.evidence],
        lambda case: replace(case, question=mistype(case.question, severity, sandbox.random(case.id))),
    )


def _shorthand(sandbox: Sandbox, severity: float) -> None:
    """Users write as in a chat: the first letters of the long words, without vowels."""

    def shorten(word: str) -> str:
        if len(word) < 5:
            return word
        return word[0] + "".join(letter for letter in word[1:] if letter not in "aeiou")[:3]

    chosen = sandbox.chosen(severity, "questions")
    sandbox.change_cases(
        [case.id for case in chosen],
        lambda case: replace(case, question=" ".join(map(shorten, case.question.split()))),
    )


def _broken_graph(sandbox: Sandbox, severity: float) -> None:
    """Two edges a node leave about 40 % of the neighbours to be found, one edge leaves hardly any."""
    stored_index.build_graph(sandbox, edges=2 if severity < 0.9 else 1, effort=2 if severity >= 0.5 else 4)


def _low_effort(sandbox: Sandbox, severity: float) -> None:
    stored_index.build_graph(sandbox, edges=4, effort=16)
    sandbox.set(index__hnsw_ef=8, search__candidates=max(5, round(20 - 15 * severity)))


def _missing_points(sandbox: Sandbox, severity: float) -> None:
    documents = sandbox.documents_of(sandbox.chosen(severity, "documents"))
    stored_index.lose_points(sandbox, stored_index.keys_of(sandbox, documents))


def _retired_points(sandbox: Sandbox, severity: float) -> None:
    documents = sandbox.documents_of(sandbox.chosen(severity, "documents"))
    stored_index.end_validity(sandbox, stored_index.keys_of(sandbox, documents))


def _switched_off(sandbox: Sandbox, severity: float) -> None:
    sandbox.set(search__enabled=False)


def _vectors_only(sandbox: Sandbox, severity: float) -> None:
    sandbox.set(search__dense_weight=0.5 + 0.5 * severity, search__rerank="none")


def _ranks_of_vectors_only(sandbox: Sandbox, severity: float) -> None:
    sandbox.set(search__fusion="rrf", search__dense_weight=0.5 + 0.5 * severity, search__rerank_weight=0)


def _broken_reranker(breakage: Breakage) -> Callable[[Sandbox, float], None]:
    def inject(sandbox: Sandbox, severity: float) -> None:
        folder = write_reranker(sandbox.home.parent / "reranker", breakage)
        sandbox.set(search__rerank="cross", search__rerank_model=folder, search__rerank_weight=4 * severity)

    return inject


def _slow_reranker(sandbox: Sandbox, severity: float) -> None:
    budget = (sandbox.settings.latency.rerank_ms or 1000.0) / 1000
    folder = sandbox.home.parent / "reranker"
    each = SLOW_FACTOR * severity * budget / sandbox.settings.search.rerank_depth  # passages differ in length
    write_reranker(folder, "slow", work=work_for(each, folder))
    sandbox.set(search__rerank="cross", search__rerank_model=folder)


def _slow_embedder(sandbox: Sandbox, severity: float) -> None:
    budget = (sandbox.settings.latency.embed_ms or 500.0) / 1000
    sandbox.play("slow_embeddings", delay_s=SLOW_FACTOR * severity * budget)


FAULTS = (
    Fault(
        name="swapped_embedder",
        stage=Stage.EMBED,
        cause="embedder_mismatch",
        summary="the endpoint serves another model of the same dimension since the corpus was embedded",
        dial="share of the dimensions that differ",
        inject=_swapped_embedder,
        severity=1.0,
        scene="endpoint",
        answers=True,
    ),
    Fault(
        name="noisy_embedder",
        stage=Stage.EMBED,
        cause="weak_embedding",
        summary="corpus and questions are embedded by a model whose vectors are mostly noise",
        dial="length of the noise against the vector: severity / (1 - severity)",
        inject=_embedded_badly("noisy"),
        severity=0.9,
        scene="endpoint",
        answers=True,
    ),
    Fault(
        name="truncated_input",
        stage=Stage.EMBED,
        cause="weak_embedding",
        summary="the model reads only the first 24 to 2 words of every text",
        dial="how few words are read",
        inject=_embedded_badly("truncated_input"),
        severity=0.9,
        scene="endpoint",
        answers=True,
    ),
    Fault(
        name="mistyped_questions",
        stage=Stage.EMBED,
        cause="vocabulary_gap",
        summary="questions are misspelt, so that they share no words with the documents",
        dial="share of the long words that are misspelt",
        inject=_mistyped,
        severity=1.0,
    ),
    Fault(
        name="slow_embedder",
        stage=Stage.EMBED,
        cause="over_budget",
        summary="the embedding endpoint is slow",
        dial="delay, in quarters of the budget",
        inject=_slow_embedder,
        scene="endpoint",
        most_cases=12,
    ),
    Fault(
        name="broken_graph",
        stage=Stage.INDEX,
        cause="approximate_recall",
        summary="the graph of the index was built with two edges a node, so that searches get stuck",
        dial="how little effort the build took",
        inject=_broken_graph,
        scene="vectors",
    ),
    Fault(
        name="low_search_effort",
        stage=Stage.INDEX,
        cause="approximate_recall",
        summary="a thin graph is searched with the least effort (hnsw_ef = 8) for few candidates",
        dial="how few candidates are asked for",
        inject=_low_effort,
        severity=1.0,
        scene="vectors",
    ),
    Fault(
        name="missing_points",
        stage=Stage.INDEX,
        cause="unindexed_points",
        summary="chunks are in the catalog and not in the index",
        dial="share of the cases whose documents are hit",
        inject=_missing_points,
    ),
    Fault(
        name="switched_off",
        stage=Stage.FILTER,
        cause="retrieval_off",
        summary="somebody switched retrieval off (search.enabled to false)",
        dial="none: it is on or off",
        inject=_switched_off,
        severity=1.0,
    ),
    Fault(
        name="vectors_only",
        stage=Stage.FUSE,
        cause="fusion_weights",
        summary="users ask for reference numbers, and only vectors count (dense_weight to 1)",
        dial="dense_weight from 0.5 to 1",
        inject=_vectors_only,
        severity=1.0,
        scene="codes",
    ),
    Fault(
        name="swapped_labels",
        stage=Stage.RERANK,
        cause="reranker_demotes",
        summary="the cross-encoder's two classes are swapped: relevant passages go to the end",
        dial="rerank_weight, up to 4",
        inject=_broken_reranker("swapped_labels"),
    ),
    Fault(
        name="slow_reranker",
        stage=Stage.RERANK,
        cause="over_budget",
        summary="the cross-encoder is too large for the machine",
        dial="work, in quarters of the budget",
        inject=_slow_reranker,
        most_cases=12,
    ),
    Fault(
        name="half_migrated",
        stage=Stage.EMBED,
        cause="embedder_mismatch",
        summary="part of the corpus was embedded by another model of the same dimension",
        dial="share of the cases whose documents are hit",
        inject=_half_migrated,
        severity=0.7,
        scene="endpoint",
        answers=True,
        set="blind",
    ),
    Fault(
        name="shortened_vectors",
        stage=Stage.EMBED,
        cause="weak_embedding",
        summary="only the first dimensions of the vectors are kept, of a model that was not made for that",
        dial="share of the dimensions that are dropped",
        inject=_embedded_badly("shortened"),
        severity=0.98,
        scene="endpoint",
        answers=True,
        set="blind",
    ),
    Fault(
        name="shorthand",
        stage=Stage.EMBED,
        cause="vocabulary_gap",
        summary="users abbreviate every long word",
        dial="share of the cases that are asked so",
        inject=_shorthand,
        severity=0.7,
        set="blind",
    ),
    Fault(
        name="retired_points",
        stage=Stage.INDEX,
        cause="unindexed_points",
        summary="the index holds chunks as retired that the catalog holds valid",
        dial="share of the cases whose documents are hit",
        inject=_retired_points,
        set="blind",
    ),
    Fault(
        name="ranks_of_vectors_only",
        stage=Stage.FUSE,
        cause="fusion_weights",
        summary="users ask for reference numbers, and only ranks of vectors count (rrf, dense_weight to 1)",
        dial="dense_weight from 0.5 to 1",
        inject=_ranks_of_vectors_only,
        severity=1.0,
        scene="codes",
        set="blind",
    ),
    Fault(
        name="untrained_reranker",
        stage=Stage.RERANK,
        cause="reranker_demotes",
        summary="the cross-encoder was never trained: its order says nothing",
        dial="rerank_weight, up to 4",
        inject=_broken_reranker("untrained"),
        severity=1.0,
        set="blind",
    ),
)
