import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from firstfault.errors import ConfigError, MissingError
from firstfault.models.cross_encoder import CrossEncoder

GRAPH = Path(__file__).parent / "data" / "overlap.onnx"
"""Its logit is the number of equal word pairs (see train/build_overlap_graph.py)."""

QUESTION = "where did the cat sit"
TEXTS = ["the cat sat", "dogs bark", "the cat and the dog", "cat", "", "where where the cat"]
OVERLAPS = [2, 0, 3, 1, 0, 4]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    words = sorted({word for text in [QUESTION, *TEXTS] for word in text.split()})
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_padding(length=64)  # as published files may have it; it must not matter
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    shutil.copy(GRAPH, tmp_path / "model.onnx")
    return tmp_path


def test_question_and_passage_are_read_together(folder: Path) -> None:
    scores = CrossEncoder(folder).scores(QUESTION, TEXTS)
    assert scores.dtype == np.float32
    assert scores.tolist() == OVERLAPS


def test_a_score_does_not_depend_on_its_neighbours(folder: Path) -> None:
    encoder = CrossEncoder(folder, threads=1)
    alone = [float(encoder.scores(QUESTION, [text])[0]) for text in TEXTS]
    assert encoder.scores(QUESTION, TEXTS * 40).tolist() == alone * 40
    assert encoder.scores(QUESTION, []).shape == (0,)


def test_long_pairs_are_cut_to_what_the_model_reads(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 16}))
    scores = CrossEncoder(folder).scores("cat", ["cat " * 100])
    assert scores.tolist() == [12]  # 16 less three special tokens and the question


def test_the_graph_may_stand_in_a_folder_of_its_own(folder: Path) -> None:
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    assert CrossEncoder(folder).scores("cat", ["cat"]).tolist() == [1]


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json"])
def test_missing_files_are_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(
        MissingError, match=r"looked for tokenizer.json and model.onnx or onnx/model.onnx"
    ) as caught:
        CrossEncoder(folder)
    assert "search.rerank_model" in caught.value.hint


def test_a_damaged_graph_is_refused(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ConfigError, match="cannot open"):
        CrossEncoder(folder)
