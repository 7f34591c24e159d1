import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstfault.errors import MismatchError
from firstfault.models import OnnxEmbedder
from firstfault.models.embedder import FloatArray
from firstfault.models.tokenvectors import compress, decompress, maxsim


def unit_rows(rows: int, seed: int, dimension: int = 384) -> FloatArray:
    x = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    unit: FloatArray = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit


def simple_maxsim(query: FloatArray, document: FloatArray) -> float:
    return float((query @ document.T).max(axis=1).mean())


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.lists(st.integers(0, 150), max_size=6), st.sampled_from([8, 64, 384, 768]))
def test_maxsim_equals_a_simple_loop_over_the_decompressed(
    q: int, lengths: list[int], dimension: int
) -> None:
    query = unit_rows(q, 0, dimension)
    documents = [compress(unit_rows(n, 1 + i, dimension)) for i, n in enumerate(lengths)]
    expected = [simple_maxsim(query, decompress(d, dimension)) if d else 0.0 for d in documents]
    np.testing.assert_allclose(maxsim(query, documents), np.array(expected, dtype=np.float32), atol=1e-5)


def test_size_and_fidelity() -> None:
    tokens = unit_rows(110, 3)
    data = compress(tokens)
    assert len(data) == 110 * 48
    cosines = (decompress(data, 384) * tokens).sum(axis=1)
    assert abs(cosines.mean() - 1.0) < 0.01  # the estimate is unbiased: <estimate(x), x> = 1 on average
    assert compress(tokens) == data


def test_real_texts_rank_as_with_full_precision(embedder: OnnxEmbedder) -> None:
    texts = [
        "The Panthers defense gave up just 308 points, ranking sixth in the league.",
        "The sky is blue because molecules of air scatter short wavelengths more.",
        "Bread is made from flour, water, salt and yeast, and baked in an oven.",
        "The company's revenue grew by nine percent in the last quarter.",
    ]
    questions = [
        "how many points did they give up",
        "why is the sky blue",
        "what is bread made of",
        "revenue growth",
    ]
    documents = [e.tokens for e in embedder.embed_tokens(texts)]
    packed = [compress(tokens) for tokens in documents if tokens is not None]
    for number, question in enumerate(embedder.embed_tokens(questions, "query")):
        assert question.tokens is not None
        exact = [simple_maxsim(question.tokens, tokens) for tokens in documents if tokens is not None]
        scores = maxsim(question.tokens, packed)
        assert int(scores.argmax()) == int(np.argmax(exact)) == number
        assert np.corrcoef(scores, exact)[0, 1] > 0.97


def test_nothing_to_compare_scores_zero() -> None:
    empty = compress(np.empty((0, 384), dtype=np.float32))
    assert empty == b""
    assert maxsim(unit_rows(3, 0), []).shape == (0,)
    assert maxsim(unit_rows(3, 0), [empty]).tolist() == [0.0]
    assert maxsim(np.empty((0, 384), dtype=np.float32), [compress(unit_rows(2, 0))]).tolist() == [0.0]


def test_a_foreign_dimension_is_refused() -> None:
    with pytest.raises(MismatchError, match="another embedder"):
        maxsim(unit_rows(2, 0, 768), [compress(unit_rows(3, 0, 384))])
    with pytest.raises(MismatchError, match="multiple of 8"):
        compress(unit_rows(2, 0, 20))
