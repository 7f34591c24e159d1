"""One call of a generator: a prompt in, everything it wrote out, with what it cost."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firstfault.config import GeneratorConfig
from firstfault.models.generator import Constraint, Generator, Note
from firstfault.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a generator wrote."""

    raw: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    duration_ms: float
    notes: tuple[Note, ...] = ()
    """What happened while the model was asked; events for the trace."""


async def write(
    generator: Generator,
    prompt: Sequence[Message],
    settings: GeneratorConfig,
    *,
    max_tokens: int,
    seed: int,
    grammar: str | None = None,
    constraint: Constraint | None = None,
    hear: Callable[[str], None] | None = None,
    timeout_s: float | None = None,
) -> Written:
    """Let a generator write to the end; `hear` gets each piece of text as it comes. The time limit is that of
    the settings unless one is given.

    Raises:
        InputError: the prompt does not fit, or an endpoint refuses the request.
        RemoteError: time ran out, or the runtime failed.
    """
    began = time.perf_counter()
    notes: tuple[Note, ...] = ()
    raw, finish, prompt_tokens, completion_tokens = "", "stop", None, None
    async for delta in generator.stream(
        prompt,
        max_tokens=max_tokens,
        temperature=settings.temperature,
        seed=seed,
        grammar=grammar,
        constraint=constraint,
        timeout_s=settings.timeout_s if timeout_s is None else timeout_s,
    ):
        notes += delta.notes
        if delta.text:
            raw += delta.text
            if hear is not None:
                hear(delta.text)
        if delta.finish_reason:
            finish = delta.finish_reason
            prompt_tokens, completion_tokens = delta.prompt_tokens, delta.completion_tokens
    return Written(
        raw=raw,
        finish_reason=finish,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        duration_ms=round((time.perf_counter() - began) * 1000, 3),
        notes=notes,
    )
