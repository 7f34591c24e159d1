"""An embedder without a model: vectors seeded by the text. For what is measured beside embedding."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

import numpy as np

from firstfault.models.embedder import Embedding, FloatArray, Kind


class HashedEmbedder:
    """Sums one fixed random vector per word, so that texts that share words are near each other."""

    exact_counts = True
    late_interaction = True
    max_tokens = 256
    content_tokens = 256

    def __init__(self, dimension: int = 384, name: str = "hashed", *, token_rows: int = 8) -> None:
        self.name = name
        self.dimension = dimension
        self.fingerprint = hashlib.sha256(f"{name} {dimension}".encode()).hexdigest()[:32]
        self.embedded: list[str] = []
        """Every text that was embedded, in order: shows what the cache saved."""
        self._token_rows = token_rows
        self._words: dict[str, FloatArray] = {}

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> FloatArray:
        return np.stack([e.vector for e in self.embed_tokens(texts, kind)])

    def embed_tokens(self, texts: Sequence[str], kind: Kind = "document") -> list[Embedding]:
        return [self._one(position, text, tokens=True) for position, text in enumerate(texts)]

    def stream(
        self, texts: Sequence[str], kind: Kind = "document", *, tokens: bool = False
    ) -> Iterator[list[Embedding]]:
        for position in reversed(range(len(texts))):  # the order is the embedder's own
            yield [self._one(position, texts[position], tokens=tokens)]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(self.token_offsets(text)) for text in texts]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\w+", text)]

    def _one(self, position: int, text: str, *, tokens: bool) -> Embedding:
        self.embedded.append(text)
        words = [text[start:end].lower() for start, end in self.token_offsets(text)]
        rows = np.stack([self._word(word) for word in words[: self.max_tokens] or [""]])
        total = rows.sum(axis=0)
        return Embedding(
            position=position,
            vector=total / np.linalg.norm(total),
            tokens=rows[: self._token_rows] if tokens else None,
            token_count=len(words),
            truncated=len(words) > self.max_tokens,
        )

    def _word(self, word: str) -> FloatArray:
        if word not in self._words:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
            row = np.random.default_rng(seed).normal(size=self.dimension).astype(np.float32)
            self._words[word] = row / np.linalg.norm(row)
        return self._words[word]
