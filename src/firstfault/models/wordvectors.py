"""The word vectors inside an encoder's weights: token ids in, weighted static vectors out, nearly free.

An encoder's input table already knows which words are near each other. Reading rows of it (memory-mapped,
shared with the encoder's own pages) costs a thousandth of a forward pass: enough to see where a topic ends.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from firstfault.errors import MissingError
from firstfault.models import store
from firstfault.models.embedder import FloatArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TABLES = ("embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight")
_SINGLE_CHARACTERS = 999
"""First id of the single characters in the vocabulary of BERT uncased, which is sorted by frequency."""
_WORDS = 1996
"""First id of the words in it ("the"), sorted by frequency again."""
_SMOOTHING = 1e-3
"""`a` of the weight a / (a + p) in Arora et al. 2017 (SIF); p follows from the rank by Zipf's law."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of one text."""

    ids: NDArray[np.int64]
    """(tokens,) rows of the table."""
    starts: NDArray[np.int64]
    """(tokens,) character offsets."""
    ends: NDArray[np.int64]


class WordVectors:
    """Static word vectors of a model folder with `tokenizer.json` and `model.safetensors`.

    Raises MissingError when a file, the table or the vocabulary of BERT uncased (whose order gives the
    frequencies) is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._table = _map_table(folder / "model.safetensors")  # (vocabulary, dimension)
        self._tokenizer = _open_tokenizer(folder / "tokenizer.json")
        ids = np.arange(self._table.shape[0])
        rank = np.where(ids < _WORDS, ids - _SINGLE_CHARACTERS, ids - _WORDS) + 1
        frequency = 1 / (np.maximum(rank, 1) * np.log(ids.size))
        weights = _SMOOTHING / (_SMOOTHING + frequency)
        weights[:_SINGLE_CHARACTERS] = 0.0  # padding, unknown, unused
        self._weights = weights.astype(np.float32)

    @classmethod
    def of(cls, model: str) -> "WordVectors":
        """Open the table of a known model, or of a model folder."""
        return cls(store.path(model) if store.is_known(model) else Path(model))

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._table.shape[1])

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids and character offsets of each text, special tokens not included."""
        tokens = []
        for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False):
            offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            ids = np.array(encoding.ids, dtype=np.int64)
            tokens.append(Tokens(ids=ids, starts=offsets[:, 0], ends=offsets[:, 1]))
        return tokens

    def sums(self, ids: NDArray[np.int64], bounds: NDArray[np.int64]) -> FloatArray:
        """Sum the weighted vectors of each run `ids[bounds[i]:bounds[i + 1]]`; returns (runs, dimension)."""
        result = np.zeros((len(bounds) - 1, self.dimension), dtype=np.float32)
        for run, (start, end) in enumerate(pairwise(bounds.tolist())):
            if end > start:
                rows = ids[start:end]
                result[run] = self._weights[rows] @ self._table[rows]
        return result


def _map_table(file: Path) -> NDArray[np.float32]:
    if not file.is_file():
        raise MissingError(f"There is no {file.name} in {file.parent}.", hint=store.PULL_HINT)
    with file.open("rb") as source:
        (size,) = struct.unpack("<Q", source.read(8))
        header = json.loads(source.read(size))
    for name in _TABLES:
        entry = header.get(name)
        if entry is not None and entry["dtype"] == "F32":
            offset = 8 + size + entry["data_offsets"][0]
            return np.memmap(file, np.float32, "r", offset, tuple(entry["shape"]))
    raise MissingError(
        f"{file} has no 32-bit table under any of these names: {', '.join(_TABLES)}.",
        hint="Use a BERT-like encoder's weights.",
    )


def _open_tokenizer(file: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    if not file.is_file():
        raise MissingError(f"There is no {file.name} in {file.parent}.", hint=store.PULL_HINT)
    tokenizer = Tokenizer.from_file(str(file))
    if tokenizer.token_to_id("the") != _WORDS:
        raise MissingError(
            f"{file} is not the vocabulary of BERT uncased, whose order gives the word frequencies.",
            hint="Use the weights of an encoder with that vocabulary.",
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
