import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from firstfault.errors import ConfigError, MissingError
from firstfault.models import OnnxEmbedder, store

from . import reference

TEXTS = [
    "Why is the sky blue?",
    "",
    "The Panthers defense gave up just 308 points, ranking sixth in the league.",
    "Größe, naïve café – 東京 🙂",
    "word " * 40,
    "The Panthers defense gave up just 308 points, ranking sixth in the league!",
]


def test_equals_the_numpy_reference(embedder: OnnxEmbedder) -> None:
    weights = reference.load(store.weights_path("all-MiniLM-L6-v2"))
    for text, embedding in zip(TEXTS, embedder.embed_tokens(TEXTS), strict=True):
        ids = embedder._tokenizer.encode(text).ids
        states = reference.token_states(weights, ids)
        mean = states.mean(axis=0)
        assert mean @ embedding.vector / np.linalg.norm(mean) > 0.99999
        expected = states[1:-1] / np.linalg.norm(states[1:-1], axis=1, keepdims=True)
        assert embedding.tokens is not None
        np.testing.assert_allclose(embedding.tokens, expected, atol=2e-5)


def test_vectors_do_not_depend_on_their_neighbours(embedder: OnnxEmbedder) -> None:
    together = embedder.embed(TEXTS * 3)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_array_equal(together, np.tile(alone, (3, 1)))  # to the last bit
    np.testing.assert_array_equal(embedder.embed(TEXTS[::-1]), alone[::-1])


def test_vectors_are_unit_float32_and_similar_texts_are_near(embedder: OnnxEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (6, embedder.dimension) == (6, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[2] @ vectors[5] > 0.95 > vectors[2] @ vectors[0]
    assert embedder.embed([]).shape == (0, 384)


def test_tokens_come_with_the_vector_and_match_the_offsets(embedder: OnnxEmbedder) -> None:
    embeddings = embedder.embed_tokens(TEXTS)
    np.testing.assert_array_equal(np.stack([e.vector for e in embeddings]), embedder.embed(TEXTS))
    for text, embedding in zip(TEXTS, embeddings, strict=True):
        assert embedding.tokens is not None
        assert len(embedding.tokens) == len(embedder.token_offsets(text)) == embedding.token_count - 2
        assert not embedding.truncated


def test_stream_yields_every_text_once(embedder: OnnxEmbedder) -> None:
    positions = [e.position for batch in embedder.stream(TEXTS * 20) for e in batch]
    assert sorted(positions) == list(range(120))
    stream = embedder.stream(TEXTS * 20)
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # a caller may stop early


def test_a_long_text_is_truncated_and_says_so(embedder: OnnxEmbedder) -> None:
    text = "alpha beta " * 400
    (embedding,) = embedder.embed_tokens([text])
    assert embedding.truncated
    assert embedding.token_count == embedder.count_tokens([text])[0] == 802
    assert embedding.tokens is not None
    assert len(embedding.tokens) == embedder.content_tokens == 254
    head = text[: embedder.token_offsets(text)[253][1]]
    np.testing.assert_array_equal(embedding.vector, embedder.embed([head])[0])


def test_token_offsets_are_in_characters(embedder: OnnxEmbedder) -> None:
    text = "Größe 🙂 東京"
    assert [text[a:b] for a, b in embedder.token_offsets(text)][-2:] == ["東", "京"]


def test_fingerprint_follows_the_settings(embedder: OnnxEmbedder) -> None:
    same = OnnxEmbedder(threads=1)
    assert same.fingerprint == embedder.fingerprint
    others = [OnnxEmbedder(max_tokens=512), OnnxEmbedder(pooling="cls"), OnnxEmbedder(query_prefix="query: ")]
    assert len({e.fingerprint for e in [*others, embedder]}) == 4
    assert others[0].max_tokens == 512
    with pytest.raises(ConfigError, match="512"):
        OnnxEmbedder(max_tokens=513)


def test_prefixes_are_embedded_but_not_in_the_offsets() -> None:
    prefixed = OnnxEmbedder(query_prefix="query: ", document_prefix="passage: ")
    plain = OnnxEmbedder()
    np.testing.assert_array_equal(prefixed.embed(["sky"], "query"), plain.embed(["query: sky"]))
    assert prefixed.token_offsets("sky") == [(0, 3)]
    assert prefixed.content_tokens == plain.content_tokens - 2
    assert prefixed.count_tokens(["sky"]) == [5]


def test_a_folder_with_a_graph_of_its_own(tmp_path: Path, embedder: OnnxEmbedder) -> None:
    folder = store.path("all-MiniLM-L6-v2")
    shutil.copy(folder / "tokenizer.json", tmp_path)
    with pytest.raises(MissingError, match="onnx"):
        OnnxEmbedder(tmp_path)
    graph = Path(store.__file__).parent / "graphs" / "all-MiniLM-L6-v2.onnx"
    shutil.copy(graph, tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="cannot open"):
        OnnxEmbedder(tmp_path)
    shutil.copy(folder / "model.safetensors", tmp_path)
    own = OnnxEmbedder(tmp_path, max_tokens=256)
    np.testing.assert_allclose(own.embed(TEXTS), embedder.embed(TEXTS), atol=1e-5)
    assert own.fingerprint != embedder.fingerprint
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert own.fingerprint != OnnxEmbedder(tmp_path, max_tokens=256).fingerprint


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="all-MiniLM-L6-v2"):
        OnnxEmbedder(tmp_path)
