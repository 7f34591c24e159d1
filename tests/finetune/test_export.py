"""q and k rows in the order of llama.cpp: both conventions give the same attention."""

import numpy as np

from firstfault.finetune.export import permuted


def halves(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotary embedding as transformers have it: dimension i pairs with i + d/2. (heads, d)"""
    half = x.shape[1] // 2
    a, b = x[:, :half], x[:, half:]
    return np.concatenate(
        [a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], axis=1
    )


def neighbours(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotary embedding as llama.cpp has it for llama: dimension 2i pairs with 2i + 1. (heads, d)"""
    a, b = x[:, 0::2], x[:, 1::2]
    made = np.empty_like(x)
    made[:, 0::2] = a * np.cos(angles) - b * np.sin(angles)
    made[:, 1::2] = b * np.cos(angles) + a * np.sin(angles)
    return made


def test_attention_scores_are_the_same_in_both_orders() -> None:
    random = np.random.default_rng(0)
    heads, d, rank = 3, 8, 4
    q, k = (random.normal(size=(heads * d, rank)).astype(np.float32) for _ in range(2))
    x = random.normal(size=rank).astype(np.float32)
    here, there = random.normal(size=(2, d // 2))
    wanted = (halves((q @ x).reshape(heads, d), here) * halves((k @ x).reshape(heads, d), there)).sum(axis=1)
    swapped = [(permuted(one, heads) @ x).reshape(heads, d) for one in (q, k)]
    made = (neighbours(swapped[0], here) * neighbours(swapped[1], there)).sum(axis=1)
    np.testing.assert_allclose(made, wanted, rtol=1e-4)
    assert not np.allclose((neighbours((q @ x).reshape(heads, d), here)).sum(), wanted.sum())
