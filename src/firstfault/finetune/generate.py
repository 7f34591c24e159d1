"""What a model writes: prompts in, greedy outputs out; through the runtime that serves it, or its weights."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from firstfault.finetune.base import Base, load_model, load_tokenizer
from firstfault.finetune.tokens import greedy
from firstfault.models.llama import LlamaGenerator
from firstfault.types import Message

WINDOW = 2048


class Writer(ABC):
    """A model that answers; a context manager."""

    @abstractmethod
    def write(self, messages: Sequence[Message], *, max_tokens: int) -> str:
        """The greedy output for a prompt, without any grammar."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - weights are freed with the last reference
        """Free what it holds."""


class WeightsWriter(Writer):
    """Weights that transformers have loaded."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer

    def write(self, messages: Sequence[Message], *, max_tokens: int) -> str:  # noqa: D102
        return greedy(self.model, self.tokenizer, messages, max_tokens=max_tokens)


class ServedWriter(Writer):
    """A base model with a GGUF file in the embedded runtime, with an adapter or without."""

    def __init__(self, gguf: Path, adapter: Path | None = None, *, context_window: int = WINDOW) -> None:
        self.generator = LlamaGenerator(gguf, context_window=context_window, adapter=adapter)
        self._runner = asyncio.Runner()

    def write(self, messages: Sequence[Message], *, max_tokens: int) -> str:  # noqa: D102
        return self._runner.run(self._write(messages, max_tokens))

    async def _write(self, messages: Sequence[Message], max_tokens: int) -> str:
        stream = self.generator.stream(messages, max_tokens=max_tokens)
        return "".join([delta.text async for delta in stream])

    def close(self) -> None:  # noqa: D102
        self._runner.close()
        self.generator.close()


def base_writer(base: Base) -> Writer:
    """The base model: through the embedded runtime where it has a GGUF file, else by its weights."""
    if base.gguf is not None:
        return ServedWriter(base.gguf)
    return WeightsWriter(load_model(base), load_tokenizer(base))
