"""A cross-encoder on ONNX Runtime: question and passage are read together, for reranking.

In: a question and passages. Out: one score per passage, in the model's own unit (a logit). A score does not
depend on the passages beside it: only pairs of equal token count share a batch, so there is no padding.
"""

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstfault.errors import ConfigError, MissingError
from firstfault.models.embedder import FloatArray
from firstfault.models.threads import default_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Encoding

_GRAPHS = ("model.onnx", "onnx/model.onnx")
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_POSITIONS = 512
"""Tokens of a pair where the folder does not say."""
_BATCH_TOKENS = 1024


class CrossEncoder:
    """Scores pairs with a folder's `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json`.

    The graph gives one logit a pair, or two, of which the second stands for "relevant".
    Raises MissingError when a file is missing and ConfigError when the graph does not fit.
    """

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        import onnxruntime  # type: ignore[import-untyped]
        from tokenizers import Tokenizer

        graph = next((folder / name for name in _GRAPHS if (folder / name).is_file()), None)
        if graph is None or not (folder / "tokenizer.json").is_file():
            tried = f"tokenizer.json and {' or '.join(_GRAPHS)}"
            message = f"{folder} does not hold a cross-encoder: looked for {tried}."
            hint = "Export one to ONNX, and set search.rerank_model to its folder."
            raise MissingError(message, hint=hint)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no base class
            message = f"ONNX Runtime cannot open {graph}: {str(error)[:300]}"
            raise ConfigError(message, hint="Check that the file is complete.") from error
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        if "input_ids" not in self._inputs or self._inputs - _INPUTS:
            raise ConfigError(
                f"The graph {graph} takes {', '.join(sorted(self._inputs))}.",
                hint=f"It must take {', '.join(sorted(_INPUTS))} only.",
            )
        self._graph = graph
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_max_tokens(folder), strategy="longest_first")

    def scores(self, question: str, texts: "Sequence[str]") -> FloatArray:
        """Return (texts,) logits; a pair longer than the model reads is cut at the longer one's end."""
        encodings = self._tokenizer.encode_batch([(question, text) for text in texts])
        values = np.empty(len(texts), dtype=np.float32)

        def length(position: int) -> int:
            return len(encodings[position].ids)

        for tokens, group in groupby(sorted(range(len(texts)), key=length, reverse=True), key=length):
            same = list(group)
            size = max(1, _BATCH_TOKENS // tokens)
            for start in range(0, len(same), size):
                batch = same[start : start + size]
                values[batch] = self._run([encodings[position] for position in batch])
        return values

    def _run(self, batch: "list[Encoding]") -> FloatArray:
        feed = {
            "input_ids": np.array([encoding.ids for encoding in batch], dtype=np.int64),  # (batch, tokens)
            "attention_mask": np.array([encoding.attention_mask for encoding in batch], dtype=np.int64),
            "token_type_ids": np.array([encoding.type_ids for encoding in batch], dtype=np.int64),
        }
        feed = {name: array for name, array in feed.items() if name in self._inputs}
        logits: FloatArray = self._session.run(None, feed)[0]
        if logits.shape == (len(batch), 1):
            return logits[:, 0]
        if logits.shape == (len(batch), 2):
            difference: FloatArray = logits[:, 1] - logits[:, 0]
            return difference
        raise ConfigError(
            f"The first output of {self._graph} has the shape {logits.shape} for {len(batch)} pairs.",
            hint="A cross-encoder gives (pairs, 1) or (pairs, 2) logits.",
        )


def _max_tokens(folder: Path) -> int:
    """What the folder's files say, the smaller one; special tokens included."""
    limits = (
        _json(folder / "tokenizer_config.json").get("model_max_length", _POSITIONS),
        _json(folder / "config.json").get("max_position_embeddings", _POSITIONS),
    )
    return int(min(limits))


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
