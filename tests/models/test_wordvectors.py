import json
from pathlib import Path

import numpy as np
import pytest

from firstfault.errors import MissingError
from firstfault.models import store
from firstfault.models.embedder import FloatArray
from firstfault.models.onnx_embedder import OnnxEmbedder
from firstfault.models.wordvectors import WordVectors

NAME = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def words() -> WordVectors:
    store.ensure(NAME)
    return WordVectors.of(NAME)


def test_tokens_are_those_of_the_embedder(words: WordVectors, embedder: OnnxEmbedder) -> None:
    text = "Naïve users re-index 12,345 documents 🙂."
    (tokens,) = words.tokenize([text])
    assert list(zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True)) == embedder.token_offsets(
        text
    )


def test_near_words_have_near_vectors(words: WordVectors) -> None:
    def vector(word: str) -> FloatArray:
        ids = words.tokenize([word])[0].ids
        row = words.sums(ids, np.array([0, len(ids)]))[0]
        unit: FloatArray = row / np.linalg.norm(row)
        return unit

    assert vector("cat") @ vector("kitten") > vector("cat") @ vector("bank") + 0.1


def test_frequent_words_weigh_little(words: WordVectors) -> None:
    the, kitten = (words.tokenize([word])[0].ids[0] for word in ("the", "kitten"))
    sums = words.sums(np.array([the, kitten]), np.array([0, 1, 2]))
    assert np.linalg.norm(sums[0]) < 0.1 * np.linalg.norm(sums[1])


def test_an_empty_run_sums_to_nothing(words: WordVectors) -> None:
    assert not words.sums(np.array([2000]), np.array([0, 0, 1]))[0].any()


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no model\.safetensors"):
        WordVectors(tmp_path)


def test_weights_without_the_table_are_refused(tmp_path: Path) -> None:
    header = json.dumps({"other": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    with pytest.raises(MissingError, match="no 32-bit table"):
        WordVectors(tmp_path)
