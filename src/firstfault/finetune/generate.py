"""What a model writes, through the runtime that serves it: prompts in, greedy outputs out."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from firstfault.errors import InputError
from firstfault.finetune.base import Base
from firstfault.models.llama import LlamaGenerator
from firstfault.types import Message

WINDOW = 2048


class Writer:
    """A base model in the embedded runtime, with an adapter or without; a context manager."""

    def __init__(self, base: Base, adapter: Path | None = None, *, context_window: int = WINDOW) -> None:
        if base.gguf is None:
            raise InputError(
                f"{base.name} has no GGUF file here, so it cannot be served for measuring.",
                hint="Train from a GGUF file, or from a known model.",
            )
        self.generator = LlamaGenerator(base.gguf, context_window=context_window, adapter=adapter)
        self._runner = asyncio.Runner()

    def write(self, messages: Sequence[Message], *, max_tokens: int) -> str:
        """The greedy output for a prompt, without any grammar."""
        return self._runner.run(self._write(messages, max_tokens))

    async def _write(self, messages: Sequence[Message], max_tokens: int) -> str:
        stream = self.generator.stream(messages, max_tokens=max_tokens)
        return "".join([delta.text async for delta in stream])

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.close()
        self.generator.close()
