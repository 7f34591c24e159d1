"""The interface of every embedder: texts in, unit vectors out, with token vectors on request.

Token vectors (late interaction) come from the same forward pass as the text's vector.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

Kind = Literal["document", "query"]
"""What a text is embedded as; some models prefix the two differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """One embedded text."""

    position: int
    """Index of the text in the sequence that was given."""
    vector: FloatArray
    """(dimension,), of unit length unless the model's settings say otherwise."""
    tokens: FloatArray | None = None
    """(tokens, dimension), each row of unit length, special tokens left out, so that a text of no tokens
    has no rows; None unless token vectors were asked for."""
    token_count: int
    """Tokens of the whole text as the model would see it, special tokens and prefix included."""
    truncated: bool
    """Whether the text was longer than `max_tokens`, so that only its beginning was embedded."""


class Embedder(Protocol):
    """Turns texts into vectors. The same text gives the same vector, whatever it is embedded with."""

    @property
    def name(self) -> str:
        """The model, as the user names it."""

    @property
    def fingerprint(self) -> str:
        """Hash over everything that decides the vectors; stored with them, compared before use."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are embedded, special tokens and prefix included."""

    @property
    def content_tokens(self) -> int:
        """Tokens of `token_offsets` that fit, i.e. `max_tokens` without special tokens and prefix."""

    @property
    def exact_counts(self) -> bool:
        """Whether token counts are the model's own; False means an estimate that errs upwards."""

    @property
    def late_interaction(self) -> bool:
        """Whether `embed_tokens` and `stream(tokens=True)` are available."""

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> FloatArray:
        """Return (texts, dimension) vectors in the order of the texts."""

    def embed_tokens(self, texts: Sequence[str], kind: Kind = "document") -> list[Embedding]:
        """Return vectors and token vectors in the order of the texts, from one forward pass.

        Raises ConfigError when `late_interaction` is False.
        """

    def stream(
        self, texts: Sequence[str], kind: Kind = "document", *, tokens: bool = False
    ) -> Iterator[list[Embedding]]:
        """Yield batches as they are done, each text exactly once, not in the order of the texts."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model sees it: special tokens and prefix included, not truncated."""

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Character span of every token of the text itself: no special tokens, no prefix."""


def stacked(batches: Iterable[Sequence[Embedding]], shape: tuple[int, int]) -> FloatArray:
    """The vectors of a stream in the order of the texts; `shape` is (texts, dimension)."""
    vectors = np.empty(shape, dtype=np.float32)
    for batch in batches:
        for embedding in batch:
            vectors[embedding.position] = embedding.vector
    return vectors
