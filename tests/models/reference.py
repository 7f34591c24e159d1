"""all-MiniLM-L6-v2 in plain numpy, as the BERT paper describes it: slow, and simple enough to trust."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def load(path: Path) -> dict[str, Array]:
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header: dict[str, Any] = json.loads(raw[8 : 8 + size])
    weights = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            flat = np.frombuffer(raw[8 + size + start : 8 + size + end], dtype="<f4")
            weights[name] = flat.reshape(entry["shape"]).astype(np.float64)
    return weights


def norm(w: dict[str, Array], name: str, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def linear(w: dict[str, Array], name: str, x: Array) -> Array:
    out: Array = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    return out


def gelu(x: Array) -> Array:
    """x * Phi(x), with erf from its integral's series (Abramowitz & Stegun 7.1.6), exact to 1e-10 here."""
    z = np.clip(x / np.sqrt(2), -5, 5)
    term, total = z.copy(), z.copy()
    for n in range(1, 120):
        term = term * 2 * z**2 / (2 * n + 1)
        total = total + term
    phi: Array = 0.5 * (1 + 2 / np.sqrt(np.pi) * np.exp(-(z**2)) * total)
    return x * phi


def token_states(w: dict[str, Array], ids: list[int], heads: int = 12, layers: int = 6) -> Array:
    """(tokens, hidden) of the last layer for one text."""
    x = w["embeddings.word_embeddings.weight"][ids]
    x = (
        x
        + w["embeddings.position_embeddings.weight"][: len(ids)]
        + w["embeddings.token_type_embeddings.weight"][0]
    )
    x = norm(w, "embeddings.LayerNorm", x)
    size = x.shape[1] // heads
    for number in range(layers):
        layer = f"encoder.layer.{number}"
        q, k, v = (linear(w, f"{layer}.attention.self.{part}", x) for part in ("query", "key", "value"))
        attended = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = q[:, part] @ k[:, part].T / np.sqrt(size)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            attended.append(weights / weights.sum(-1, keepdims=True) @ v[:, part])
        out = linear(w, f"{layer}.attention.output.dense", np.concatenate(attended, axis=1))
        x = norm(w, f"{layer}.attention.output.LayerNorm", out + x)
        up = gelu(linear(w, f"{layer}.intermediate.dense", x))
        x = norm(w, f"{layer}.output.LayerNorm", linear(w, f"{layer}.output.dense", up) + x)
    return x
