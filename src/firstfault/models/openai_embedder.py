"""An embedder behind any OpenAI-compatible endpoint that serves `/embeddings`."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from firstfault.errors import ConfigError, RemoteError
from firstfault.models.embedder import Embedding, FloatArray, Kind, stacked
from firstfault.models.endpoint import Endpoint
from firstfault.models.estimate import token_spans
from firstfault.models.threads import run_ahead

if TYPE_CHECKING:
    import openai


class OpenAIEmbedder:
    """Embeds with a remote model; vectors are scaled to unit length.

    `dimension` asks the endpoint for vectors of that length where the model can shorten them; without it
    the model's own length is learned from a first request. Token counts are estimates that err upwards,
    and a text that is longer than `max_tokens` by that estimate is cut there and marked `truncated`.
    Endpoints return no token vectors: late interaction is not available.
    """

    exact_counts = False
    late_interaction = False

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        api_key_env: str = "",
        dimension: int | None = None,
        max_tokens: int = 8000,
        query_prefix: str = "",
        document_prefix: str = "",
        batch_size: int = 64,
        concurrency: int = 4,
        timeout_s: float = 60.0,
        attempts: int = 3,
    ) -> None:
        self._endpoint = Endpoint(
            base_url=base_url, model=model, api_key_env=api_key_env, timeout_s=timeout_s, attempts=attempts
        )
        self.name = model
        self.max_tokens = max_tokens
        self._prefix: dict[Kind, str] = {"query": query_prefix, "document": document_prefix}
        self.content_tokens = max_tokens - max(len(token_spans(p)) for p in self._prefix.values())
        self._asked_dimension = dimension
        self._batch_size = batch_size
        self._concurrency = concurrency

    @cached_property
    def dimension(self) -> int:
        """Length of a vector; asks the endpoint once when it was not given."""
        return self._asked_dimension or len(self._request(["dimension"])[0])

    @cached_property
    def fingerprint(self) -> str:
        """Hash over model, dimension, prefixes and length; the endpoint's weights cannot be seen."""
        settings = ["openai", self.name, self.dimension, self._prefix, self.max_tokens]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> FloatArray:
        """Return (texts, dimension) vectors in the order of the texts."""
        return stacked(self.stream(texts, kind), (len(texts), self.dimension))

    def embed_tokens(self, texts: Sequence[str], kind: Kind = "document") -> list[Embedding]:
        """Not available; raises ConfigError."""
        raise self._no_tokens()

    def stream(
        self, texts: Sequence[str], kind: Kind = "document", *, tokens: bool = False
    ) -> Iterator[list[Embedding]]:
        """Yield batches in the order of the texts.

        Raises ConfigError when token vectors are asked for, RemoteError when the endpoint fails.
        """
        if tokens:
            raise self._no_tokens()
        positions = range(0, len(texts), self._batch_size)
        yield from run_ahead(lambda start: self._batch(texts, start, kind), positions, self._concurrency)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """An estimate that errs upwards: only the endpoint knows its tokenizer."""
        prefix = len(token_spans(self._prefix["document"]))
        return [prefix + len(token_spans(text)) for text in texts]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Character spans of what is counted as tokens."""
        return token_spans(text)

    def _batch(self, texts: Sequence[str], start: int, kind: Kind) -> list[Embedding]:
        prefix = self._prefix[kind]
        room = self.max_tokens - len(token_spans(prefix))
        batch, spans = texts[start : start + self._batch_size], []
        cut = []
        for text in batch:
            spans.append(token_spans(text))
            cut.append(prefix + (text if len(spans[-1]) <= room else text[: spans[-1][room - 1][1]]))
        vectors = self._request(cut)
        return [
            Embedding(
                position=start + row,
                vector=vectors[row],
                token_count=self.max_tokens - room + len(spans[row]),
                truncated=len(spans[row]) > room,
            )
            for row in range(len(batch))
        ]

    def _request(self, texts: list[str]) -> FloatArray:
        """Embed a batch, trying again when it fails for a passing reason: (texts, dimension)."""
        import openai
        import stamina

        options: dict[str, Any] = {"dimensions": self._asked_dimension} if self._asked_dimension else {}
        try:
            for attempt in stamina.retry_context(
                on=self._endpoint.wait_before_retry, attempts=self._endpoint.attempts, timeout=None
            ):
                with attempt:
                    reply = self._client.embeddings.create(
                        model=self.name, input=texts, encoding_format="float", **options
                    )
            rows = [item.embedding for item in sorted(reply.data, key=lambda item: item.index)]
            vectors = np.array(rows, dtype=np.float32)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise self._endpoint.explain(error) from None
        norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
        expected = self.__dict__.get("dimension", vectors.shape[-1])
        if vectors.shape != (len(texts), expected) or not np.isfinite(norms).all() or not norms.all():
            message = f"{self._endpoint.base_url} (model {self.name}) returned unusable vectors."
            hint = f"Expected {len(texts)} finite vectors of {expected} numbers; check model and dimension."
            raise RemoteError(message, hint=hint)
        unit: FloatArray = vectors / norms
        return unit

    @cached_property
    def _client(self) -> "openai.OpenAI":
        import openai

        return openai.OpenAI(
            base_url=self._endpoint.base_url,
            api_key=self._endpoint.key(),
            timeout=self._endpoint.timeout_s,
            max_retries=0,
        )

    def _no_tokens(self) -> ConfigError:
        message = f"{self.name} at {self._endpoint.base_url} returns no token vectors."
        return ConfigError(message, hint="Use a cross-encoder or no reranker, or an onnx embedder.")
