"""The fast path ranks as the formulas say, computed here one by one."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from firstfault.answer import Application
from firstfault.answer.retrieve import embed_question
from firstfault.collection import admits, parse_where
from firstfault.collection.lexical import Lexicon
from firstfault.models.tokenvectors import decompress

QUESTIONS = (
    ("How often is the pump inspected?", None),
    ("What does error E12 mean?", None),
    ("price of a spare boiler", "even = true"),
    ("Which part has the longest warranty?", "n >= 3 and not root = 4"),
)


def reference(app: Application, question: str, where: str | None) -> list[tuple[str, float]]:
    """Document and final score of every candidate, best first, by brute force."""
    search, collection = app.settings.search, app.collection
    chunks = {key: chunk for row in collection.documents() for key, chunk in collection.chunks_of(row.id)}
    passing = {
        key for key, chunk in chunks.items() if where is None or admits(parse_where(where), chunk.metadata)
    }
    query = embed_question(app, question)
    assert query.tokens is not None
    vectors = collection.vectors(chunks)
    dense = {
        key: float(vectors[key] @ query.vector / np.linalg.norm(vectors[key]) / np.linalg.norm(query.vector))
        for key in passing
    }

    lexicon = Lexicon("english")
    average = max(1, round(sum(lexicon.length(chunk.text) for chunk in chunks.values()) / len(chunks)))
    weights = {}
    for key, chunk in chunks.items():
        vector = lexicon.document(chunk.text, average)
        weights[key] = dict(zip(vector.indices, vector.values, strict=True))
    frequencies = Counter(term for one in weights.values() for term in one)
    idf = {term: math.log(1 + (len(chunks) - df + 0.5) / (df + 0.5)) for term, df in frequencies.items()}
    terms = lexicon.question(question).indices
    bm25 = {
        key: sum(weights[key][term] * idf[term] for term in terms if term in weights[key])
        for key in passing
        if any(term in weights[key] for term in terms)
    }

    fused: defaultdict[int, float] = defaultdict(float)
    for arm, weight in ((dense, search.dense_weight), (bm25, 1 - search.dense_weight)):
        for key, share in stretched(first(arm, search.candidates)).items():
            fused[key] += weight * share
    order = first(fused, len(fused))
    top = first(fused, search.rerank_depth)
    tokens = collection.token_vectors(list(top))
    late = {}
    for key in top:
        rows = decompress(tokens[key], query.tokens.shape[1])
        late[key] = float((query.tokens @ rows.T).max(axis=1).mean())
    final = {key: fused[key] + search.rerank_weight * share for key, share in stretched(late).items()}
    ranked = [*first(final, len(final)).items(), *((k, s) for k, s in order.items() if k not in final)]
    return [(chunks[key].document_id, score) for key, score in ranked]


def first(scores: dict[int, float], count: int) -> dict[int, float]:
    return dict(sorted(scores.items(), key=lambda pair: (-round(pair[1], 5), pair[0]))[:count])


def stretched(scores: dict[int, float]) -> dict[int, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    return {key: (score - low) / (high - low) if high > low else 1.0 for key, score in scores.items()}


def test_the_ranking_is_that_of_the_formulas(application: Application) -> None:
    settings = application.settings.override({"search.rerank_depth": "12"})
    object.__setattr__(application.config, "settings", settings)
    for question, where in QUESTIONS:
        found = [hit.chunk.document_id for hit in application.search(question, where=where)]
        assert found == [name for name, _ in reference(application, question, where)]


def test_a_smaller_limit_gives_the_same_best_scores(application: Application) -> None:
    collection = application.collection
    for question, _ in QUESTIONS:
        vector = embed_question(application, question).vector
        for few, all_ in (
            (collection.dense(vector, limit=8), collection.dense(vector, limit=50)),
            (collection.bm25(question, limit=8), collection.bm25(question, limit=50)),
        ):
            # which of two equal scores stands at the limit is the engine's choice
            assert [c.score for c in few] == pytest.approx([c.score for c in all_[:8]], abs=1e-5)


def test_what_is_found_twice_is_found_alike(application: Application) -> None:
    for question, where in QUESTIONS:
        assert application.search(question, where=where) == application.search(question, where=where)
