"""Token vectors at one bit per dimension, for late-interaction reranking.

In: the token vectors of a text (tokens, dimension), unit rows. Out: `dimension / 8` bytes per token, and
MaxSim scores of full-precision queries against them.

A rotation spreads every vector evenly over the dimensions, then only the signs are kept; queries stay in
float32. For a unit vector x with random orientation, sign(x) * sqrt(pi / 2) / sqrt(dimension) is an unbiased
estimate of x (RaBitQ, Gao & Long 2024, section 3, with the scale's expectation).
Chosen on a development set (bench/token_vectors.py): 2 and 4 bits and poolings of tokens were not
measurably better there, projections to 48-128 dimensions were worse at the same size.
"""

import hashlib
import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from firstfault.errors import MismatchError
from firstfault.models.embedder import FloatArray

FORMAT = "sign-dct"
"""Name of the encoding; store it beside the bytes."""


def compress(tokens: FloatArray) -> bytes:
    """Encode (tokens, dimension) unit rows; the dimension must be a multiple of 8."""
    return np.packbits(_rotate(tokens) > 0, axis=1).tobytes()


def decompress(data: bytes, dimension: int) -> FloatArray:
    """Return the approximate (tokens, dimension) vectors that `compress` encoded."""
    return _rotate_back(_signs([data], dimension)) * _scale(dimension)


def maxsim(query: FloatArray, documents: Sequence[bytes]) -> FloatArray:
    """Score documents: mean over the query's tokens of the best cosine among the document's tokens.

    `query` is (query tokens, dimension) with unit rows. Returns (documents,); a document without tokens,
    and every document under a query without tokens, scores 0. MaxSim is ColBERT's operator (Khattab &
    Zaharia 2020, equation 3), divided by the number of query tokens so that it stays a cosine.
    """
    scores = np.zeros(len(documents), dtype=np.float32)
    dimension = query.shape[1]
    filled = [position for position, data in enumerate(documents) if data]
    if not filled or not len(query):
        return scores
    signs = _signs([documents[position] for position in filled], dimension)  # (all tokens, dimension)
    similar = _matmul(signs, _rotate(query).T)  # (all tokens, query tokens)
    lengths = [len(documents[position]) * 8 // dimension for position in filled]
    starts = np.cumsum([0, *lengths[:-1]])
    best = np.maximum.reduceat(similar, starts, axis=0)  # (filled documents, query tokens)
    scores[filled] = best.mean(axis=1) * _scale(dimension)
    return scores


def _matmul(rows: FloatArray, columns: FloatArray) -> FloatArray:
    """`rows @ columns` in blocks that stay below the size at which BLAS wakes a second thread.

    The product takes half a millisecond on one core; handing it to a busy second one took 16.
    """
    block = max(1, 262_144 // columns.size)
    columns = np.ascontiguousarray(columns)
    whole = len(rows) // block * block
    blocks = rows[:whole].reshape(-1, block, rows.shape[1]) @ columns
    return np.concatenate([blocks.reshape(whole, columns.shape[1]), rows[whole:] @ columns])


def _scale(dimension: int) -> np.float32:
    return np.float32(np.sqrt(np.pi / 2 / dimension))


def _signs(documents: Sequence[bytes], dimension: int) -> FloatArray:
    """Unpack to +1 and -1: (all tokens, dimension)."""
    if any(len(data) * 8 % dimension for data in documents):
        message = f"Stored token vectors are not made of {dimension} dimensions."
        raise MismatchError(message, hint="They were made with another embedder: re-index the collection.")
    codes = np.frombuffer(b"".join(documents), dtype=np.uint8)
    return np.take(_byte_signs(), codes, axis=0).reshape(-1, dimension)


@cache
def _byte_signs() -> FloatArray:
    """(256, 8): the eight signs that each byte stands for."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    return bits.astype(np.float32) * np.float32(2) - np.float32(1)


def _rotate(rows: FloatArray) -> FloatArray:
    """Apply a fixed orthogonal map to (rows, dimension): sign flips, then a two-dimensional DCT."""
    flips, left, right = _rotation(rows.shape[1])
    grid = (rows * flips).reshape(-1, len(left), len(right))
    turned: FloatArray = np.matmul(np.matmul(left, grid), right.T)
    return turned.reshape(rows.shape)


def _rotate_back(rows: FloatArray) -> FloatArray:
    flips, left, right = _rotation(rows.shape[1])
    grid = rows.reshape(-1, len(left), len(right))
    turned: FloatArray = np.matmul(np.matmul(left.T, grid), right)
    return turned.reshape(rows.shape) * flips


@cache
def _rotation(dimension: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sign flips (dimension,) and two DCT matrices whose sizes multiply to the dimension."""
    if dimension % 8:
        message = f"Token vectors of {dimension} dimensions cannot be packed into bytes."
        raise MismatchError(message, hint="Use an embedder whose dimension is a multiple of 8.")
    side = max(n for n in range(1, math.isqrt(dimension) + 1) if dimension % n == 0)
    bits = np.frombuffer(hashlib.shake_256(b"firstfault").digest(dimension // 8), dtype=np.uint8)
    flips: FloatArray = np.unpackbits(bits).astype(np.float32) * np.float32(2) - np.float32(1)
    return flips, _dct(side), _dct(dimension // side)


def _dct(size: int) -> FloatArray:
    """Orthonormal DCT-II matrix (size, size)."""
    n = np.arange(size)
    matrix: NDArray[np.float64] = np.sqrt(2 / size) * np.cos(np.pi * (n + 0.5) * n[:, None] / size)
    matrix[0] /= np.sqrt(2)
    rounded: FloatArray = matrix.astype(np.float32)
    return rounded
