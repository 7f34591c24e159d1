"""How many tokens passages take in a prompt, by the generator's own count, made once for each chunk.

In: a generator, and passages as they stand in the prompt. Out: their tokens. A chunk's text never changes, so
a count holds for good: it is kept in memory, and in the catalog when the application closes.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from firstfault.errors import StorageError

if TYPE_CHECKING:
    from firstfault.collection import Collection
    from firstfault.models.generator import Generator

logger = logging.getLogger(__name__)

BYTES_PER_TOKEN = 2
"""A text has at most one token a byte, and broken control tokens gain one character each: twice is enough."""
SPECIALS = 8
"""Tokens that a tokenizer may put before and after a text."""
MOST_PENDING = 10_000
"""Counts in memory; beyond it they are written and forgotten."""


class TokenCounts:
    """Counts of one collection's chunks."""

    def __init__(self, collection: "Collection") -> None:
        self._collection = collection
        self._known: dict[str, dict[int, int]] = {}
        self._new: dict[str, dict[int, int]] = {}
        self._frames: dict[tuple[str, str], int] = {}

    def count(
        self,
        generator: "Generator",
        keys: Sequence[int],
        passages: Sequence[str],
        *,
        frame: str,
        question: str,
        enough: int,
    ) -> tuple[int, list[int]]:
        """Tokens of the prompt around the passages, and those of each passage with the line that follows it.

        `keys` are the passages' chunks. `frame` is the prompt without passages and question. Whether both
        take 100 tokens or 200 matters only where room is short: the first number is exact where it exceeds
        `enough`, else it may be an upper bound that does not.
        """
        if not generator.exact_counts:  # an estimate costs nothing and is nobody's count
            return generator.count_tokens(frame + question), generator.count_each(passages)
        counter = generator.fingerprint
        known = self._known.setdefault(counter, {})
        asked = [key for key in keys if key not in known]
        if asked:
            known |= self._collection.token_counts(counter, asked)
        missing = {key: text for key, text in zip(keys, passages, strict=True) if key not in known}
        new = dict(zip(missing, generator.count_each(list(missing.values())), strict=True))
        known |= new
        self._new.setdefault(counter, {}).update(new)
        if (counter, frame) not in self._frames:
            self._frames[counter, frame] = generator.count_tokens(frame)
        tokens = [known[key] for key in keys]
        if len(known) > MOST_PENDING:
            self.save()
            known.clear()
        around = self._frames[counter, frame] + BYTES_PER_TOKEN * len(question.encode()) + SPECIALS
        if around > enough:
            around = self._frames[counter, frame] + generator.count_tokens(question)
        return around, tokens

    def save(self) -> None:
        """Write what was counted since the last time. A count that cannot be kept is made again."""
        for counter, counts in self._new.items():
            try:
                if counts:
                    self._collection.remember_token_counts(counter, counts)
            except StorageError as error:
                logger.info("Token counts are not kept: %s", error.message)
        self._new.clear()
