"""Several endpoints that serve one model: requests are spread by weight, and none waits for one that is ill.

In: generators with weights. Out: a `Generator`. What happened on the way (an endpoint that failed and the
next one that was asked, a slow request that was asked of a second one) comes with the first delta, for the
trace.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from firstfault.errors import RemoteError
from firstfault.models.generator import Constraint, Delta, Generator, Note
from firstfault.types import Message

FAILURES = 2
"""Failures in a row after which an endpoint is asked only when no other is left."""
REST_S = 10.0
"""Seconds until it is asked again; doubled with every further failure, up to `LONGEST_REST_S`."""
LONGEST_REST_S = 120.0


@dataclass(slots=True)
class Member:
    """One endpoint of the pool, and how it has done."""

    url: str
    generator: Generator
    weight: int
    turn: int = 0
    """What it is owed: the highest is asked next (smooth weighted round robin)."""
    failures: int = 0
    """In a row."""
    rested_at: float = 0.0
    """Monotonic time from which it is asked again."""

    def succeeded(self) -> None:
        """An answer began."""
        self.failures = 0

    def failed(self) -> None:
        """It failed before its first word."""
        self.failures += 1
        if self.failures >= FAILURES:
            rest = min(LONGEST_REST_S, REST_S * 2 ** (self.failures - FAILURES))
            self.rested_at = time.monotonic() + rest

    @property
    def healthy(self) -> bool:
        """Whether it is asked in its turn."""
        return self.failures < FAILURES or time.monotonic() >= self.rested_at


@dataclass(slots=True)
class _Race:
    """The requests that one question has under way."""

    request: Mapping[str, Any]
    messages: Sequence[Message]
    under_way: dict["asyncio.Task[Delta | None]", tuple[Member, AsyncIterator[Delta]]] = field(
        default_factory=dict
    )
    notes: list[Note] = field(default_factory=list)

    def ask(self, member: Member) -> None:
        """Send the request to one more endpoint."""
        stream = member.generator.stream(self.messages, **self.request)
        self.under_way[asyncio.ensure_future(anext(stream, None))] = member, stream

    async def abandon(self) -> None:
        """End what is still under way; the endpoints notice that the client is gone."""
        for task, (_, stream) in self.under_way.items():
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
            await _close(stream)
        self.under_way.clear()


class PooledGenerator:
    """One model behind several endpoints. Implements `Generator`.

    An endpoint that fails before its first word is followed by the next; after the first word a failure is
    the request's. A request that has no word after `hedge_after_s` is asked of a second endpoint as well, and
    the first to speak answers.
    """

    def __init__(self, members: Sequence[Member], *, hedge_after_s: float | None = None) -> None:
        self.members = tuple(members)
        self._hedge_after_s = hedge_after_s
        first = members[0].generator
        self.name = first.name
        self.fingerprint = first.fingerprint
        self.context_window = first.context_window
        self.supports_grammar = first.supports_grammar
        self.exact_counts = first.exact_counts
        self.adapter = first.adapter

    def count_tokens(self, text: str) -> int:
        """See `Generator.count_tokens`."""
        return self.members[0].generator.count_tokens(text)

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """See `Generator.count_each`."""
        return self.members[0].generator.count_each(texts)

    def render(self, messages: Sequence[Message]) -> str | None:
        """See `Generator.render`."""
        return self.members[0].generator.render(messages)

    async def constrain(self, schemas: Sequence[Mapping[str, Any]]) -> Constraint | None:
        """What the next healthy endpoint can be held to; the others serve the same model."""
        failure: RemoteError | None = None
        for member in self._order():
            try:
                return await member.generator.constrain(schemas)
            except RemoteError as error:
                member.failed()
                failure = error
        assert failure is not None
        raise failure

    async def stream(
        self, messages: Sequence[Message], *, max_tokens: int, **options: Any
    ) -> AsyncIterator[Delta]:
        """See `Generator.stream`; raises what the last endpoint raised when every one of them failed."""
        race = _Race(request={"max_tokens": max_tokens, **options}, messages=messages)
        try:
            first, stream = await self._begin(race)
        except BaseException:
            await race.abandon()
            raise
        await race.abandon()
        try:
            if first is not None:
                yield replace(first, notes=(*race.notes, *first.notes)) if race.notes else first
            async for delta in stream:
                yield delta
        finally:
            await _close(stream)

    async def aclose(self) -> None:
        """Close the connections to every endpoint."""
        for member in self.members:
            await member.generator.aclose()

    async def _begin(self, race: _Race) -> tuple[Delta | None, AsyncIterator[Delta]]:
        """The first delta of whoever speaks first, and the rest of its stream."""
        waiting = self._order()
        race.ask(waiting.pop(0))
        hedged = self._hedge_after_s is None
        while True:
            patience = self._hedge_after_s if waiting and not hedged else None
            done, _ = await asyncio.wait(
                race.under_way, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                hedged = True
                (slow,) = (member for member, _ in race.under_way.values())
                race.notes.append(_note("hedged", slow=slow.url, second=waiting[0].url, after_s=patience))
                race.ask(waiting.pop(0))
                continue
            task = min(done, key=list(race.under_way).index)  # asked first, where both are done
            member, stream = race.under_way.pop(task)
            try:
                delta = task.result()
            except RemoteError as error:
                member.failed()
                if race.under_way:  # a hedged request: the other one is still waited for
                    race.notes.append(_note("endpoint_failed", failed=member.url, reason=error.message))
                    continue
                if not waiting:
                    error.add_note(f"asked: {', '.join(one.url for one in self.members)}")
                    raise
                race.notes.append(
                    _note("failover", failed=member.url, next=waiting[0].url, reason=error.message)
                )
                race.ask(waiting.pop(0))
            else:
                member.succeeded()
                return delta, stream

    def _order(self) -> list[Member]:
        """The endpoints in the order in which a request may ask them."""
        healthy = [member for member in self.members if member.healthy]
        for member in healthy:
            member.turn += member.weight
        ordered = sorted(healthy, key=lambda member: -member.turn)  # stable: as configured, where equal
        if ordered:
            ordered[0].turn -= sum(member.weight for member in healthy)
        ill = [member for member in self.members if member not in ordered]
        return ordered + sorted(ill, key=lambda member: member.rested_at)


def _note(name: str, **attributes: Any) -> Note:
    return Note(name=name, attributes=attributes)


async def _close(stream: AsyncIterator[Delta]) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
