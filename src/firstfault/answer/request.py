"""One request on its way: what was asked, under which settings, and from which stage on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstfault.config import Settings
from firstfault.errors import InputError
from firstfault.stages import Stage
from firstfault.trace import Recording
from firstfault.types import Trace

if TYPE_CHECKING:
    from firstfault.answer.format import Shape

LONGEST_QUESTION = 8_000
"""Characters. A longer "question" is a document; no embedder or prompt would hold it."""

REPLAY_ORDER = (*(s for s in Stage if s not in {Stage.CITE, Stage.FORMAT}), Stage.FORMAT, Stage.CITE)
"""The order in which stages run: a structured answer is read before its fields are cited."""

_POSITION = {stage: position for position, stage in enumerate(REPLAY_ORDER)}


def validate_question(question: str) -> str:
    """The question without surrounding white space.

    Raises:
        InputError: it is empty, too long, or not valid Unicode.
    """
    stripped = question.strip()
    try:
        stripped.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"The question is not valid Unicode: character {error.start} is a byte that is not UTF-8.",
            hint="Type it in a UTF-8 terminal, or pass text that was decoded as UTF-8.",
        ) from error
    if not stripped:
        raise InputError("The question is empty.", hint='Ask something, e.g. firstfault ask "What is X?".')
    if len(stripped) > LONGEST_QUESTION:
        raise InputError(
            f"The question has {len(stripped):,} characters; at most {LONGEST_QUESTION:,} are accepted.",
            hint="Ask about the text instead of pasting it: ingest it as a document first.",
        )
    return stripped


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every stage needs to know."""

    question: str
    where: str | None
    """The metadata filter, as written."""
    settings: Settings
    recording: Recording
    version: int
    """The corpus clock that the request sees."""
    shape: "Shape | None" = None
    """What the answer must look like; None = free text."""
    prior: Trace | None = None
    """The trace that is replayed, if any."""
    start: Stage = Stage.FILTER
    """In a replay, the first stage that runs; earlier results come from `prior`."""

    def reuses(self, stage: Stage) -> Trace | None:
        """The trace that holds this stage's result, or None when the stage must run."""
        return self.prior if _POSITION[stage] < _POSITION[self.start] else None
