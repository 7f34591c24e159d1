"""The interface of every generator: chat messages in, a stream of text out.

The embedded runtime (`llama`), any OpenAI-compatible endpoint (`remote`) and tests implement it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from firstfault.errors import InputError
from firstfault.models.adapters import Adapter
from firstfault.types import Message, Scalar

FinishReason = Literal["stop", "length", "whitespace", "content_filter"]
"""`stop` is the only one after which the text is complete; `whitespace` = nothing but blanks came."""

WHITESPACE_LIMIT = 200
"""Blank characters in a row after which a generation is ended: a grammar can allow them for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A piece of generated text. The last one of a stream has a finish reason and token counts."""

    text: str = ""
    finish_reason: FinishReason | None = None
    """None until the last delta."""
    prompt_tokens: int | None = None
    """Tokens of the prompt as the model counted them; None before the end, or when not reported."""
    completion_tokens: int | None = None
    """Tokens generated; None before the end, or when not reported."""
    notes: "tuple[Note, ...]" = ()
    """What happened on the way to this piece; events for the trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that happened while a model was asked."""

    name: str
    attributes: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """What holds a runtime to a schema while it writes."""

    rung: int
    """Which of the schemas that were offered it holds to, from 0; -1 = to JSON of any shape."""
    grammar: str | None = None
    """For llama.cpp."""
    response_format: Mapping[str, Any] | None = None
    """For an endpoint."""


class Generator(Protocol):
    """Answers chat messages with a stream of text."""

    @property
    def name(self) -> str:
        """The model, as the user names it."""

    @property
    def adapter(self) -> Adapter | None:
        """What is applied on top of the model; None = nothing."""

    @property
    def fingerprint(self) -> str:
        """Hash over everything on our side that decides the output."""

    @property
    def context_window(self) -> int:
        """Tokens that prompt and answer may take together."""

    @property
    def supports_grammar(self) -> bool:
        """Whether `stream` accepts a GBNF grammar."""

    @property
    def exact_counts(self) -> bool:
        """Whether `count_tokens` is the model's own count; False means an estimate that errs upwards."""

    def count_tokens(self, text: str) -> int:
        """Tokens that a text takes inside a prompt."""

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text where a blank line and another text follow, in one go where the runtime can."""

    def render(self, messages: Sequence[Message]) -> str | None:
        """The exact prompt that the model sees for the messages; None when only the endpoint knows."""

    async def constrain(self, schemas: Sequence[Mapping[str, Any]]) -> Constraint | None:
        """What holds this runtime to the first of these schemas that it can express; None = it cannot.

        Found out by asking, never assumed, and remembered. Raises what `stream` raises when the runtime
        cannot be asked.
        """

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
        grammar: str | None = None,
        constraint: Constraint | None = None,
        stop: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> AsyncIterator[Delta]:
        """Generate, yielding deltas as they come; the last has a finish reason.

        A `constraint` comes from `constrain` and takes the place of a grammar.
        Closing or cancelling the iterator stops the work. `timeout_s` limits the whole generation.
        Raises InputError for a prompt that does not fit or an unusable grammar, and RemoteError
        (transient) when time runs out or the runtime fails.
        """

    async def aclose(self) -> None:
        """Release the model or the connections. The generator cannot be used afterwards."""


def check_request(messages: Sequence[Message], max_tokens: int) -> None:
    """Refuse what no runtime can answer; raises InputError."""
    if not messages:
        raise InputError("There are no messages to answer.", hint="Pass at least one user message.")
    if max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}.", hint="Set it to 1 or more.")


class BlankRun:
    """Counts the blank characters at the end of a growing text."""

    def __init__(self) -> None:
        self._length = 0

    def exceeded(self, text: str) -> bool:
        """Take the next piece of text; True when more than WHITESPACE_LIMIT blanks came in a row."""
        kept = text.rstrip()
        self._length = len(text) - len(kept) + (0 if kept else self._length)
        return self._length > WHITESPACE_LIMIT
