"""Processes that start, work and end together: their work in; answers, or what failed first in which, out.

When one fails, is killed or does not come, all are ended; so they are when the process that started them is
gone, however that came about.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from firstfault.errors import FirstfaultError, RankError

CALM_S = 2.0
"""After a failure was noticed: the others fail in turn, and which was the first becomes known."""
ALONE = "NCCL_DEBUG=INFO shows more. One process needs no others: --set processes=1."
"""What helps where processes do not find each other."""
PARTING_S = 20.0
"""For processes that have nothing left to do, to end by themselves."""


@dataclass(frozen=True, slots=True)
class _News:
    value: Any


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any


@dataclass(frozen=True, slots=True)
class _Failure:
    at: float
    """Seconds since the epoch."""
    error: FirstfaultError | None
    what: str
    trace: str


@dataclass(frozen=True, slots=True)
class Desk:
    """The place of one process: orders come in, news and answers go out."""

    rank: int
    """From 0."""
    size: int
    pipe: Connection

    def order(self) -> Any:
        """The next order; None = nothing is left to do."""
        return self.pipe.recv()

    def tell(self, value: Any) -> None:
        """Say something on the way to an answer."""
        self.pipe.send(_News(value))

    def answer(self, value: Any) -> None:
        """Answer an order."""
        self.pipe.send(_Answer(value))


class Crew:
    """Processes that were started together."""

    def __init__(self, work: Callable[..., None], size: int, *given: Any) -> None:
        """Start `work(desk, *given)` in so many processes; what is given travels pickled."""
        self.size = size
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        context = multiprocessing.get_context("spawn")  # after a fork no GPU can be used
        try:
            for rank in range(size):
                here, there = context.Pipe()
                self._pipes.append(here)
                desk = Desk(rank, size, there)
                one = context.Process(target=_enter, args=(work, desk, given), daemon=True)
                one.start()
                self._processes.append(one)
                there.close()
        except BaseException:
            self.end()
            raise

    @property
    def pids(self) -> list[int]:
        """Of the processes, by rank."""
        return [one.pid for one in self._processes]

    def ask(
        self,
        order: Any,
        heard: Callable[[Any], None] | None = None,
        *,
        within: float | None = None,
    ) -> list[Any]:
        """Give all the same order; their answers, by rank. `heard` is given what they tell on the way.

        Raises:
            FirstfaultError: the work of one raised it.
            RankError: one failed or was killed, or did not answer within so many seconds. All were ended.
        """
        for rank, pipe in enumerate(self._pipes):
            try:
                pipe.send(order)
            except OSError:
                raise self._failed(rank) from None
        until = None if within is None else time.monotonic() + within
        answers: dict[int, Any] = {}
        while len(answers) < self.size:
            asked = {pipe: rank for rank, pipe in enumerate(self._pipes) if rank not in answers}
            ready = wait(list(asked), None if until is None else max(0.0, until - time.monotonic()))
            if not ready:
                self.end()
                late = ", ".join(map(str, asked.values()))
                raise RankError(
                    f"Rank {late} of {self.size} did not come in {within:g} s.",
                    hint=ALONE,
                )
            for pipe, rank in asked.items():
                if pipe not in ready:
                    continue
                try:
                    said = pipe.recv()
                except (EOFError, OSError):
                    raise self._failed(rank) from None
                if isinstance(said, _Failure):
                    raise self._failed(rank, said)
                if isinstance(said, _Answer):
                    answers[rank] = said.value
                elif heard is not None:
                    heard(said.value)
        return [answers[rank] for rank in range(self.size)]

    def _failed(self, noticed: int, said: _Failure | None = None) -> FirstfaultError:
        """End all, and tell the first cause: who waits for one that is gone fails in turn."""
        failures = {noticed: said} if said else {}
        until = time.monotonic() + CALM_S
        for rank, pipe in enumerate(self._pipes):
            with suppress(EOFError, OSError):
                while pipe.poll(max(0.0, until - time.monotonic())):
                    if isinstance(last := pipe.recv(), _Failure):
                        failures[rank] = last
            self._processes[rank].join(max(0.0, until - time.monotonic()))
        codes = [one.exitcode for one in self._processes]
        self.end()
        for rank, code in enumerate(codes):
            # NCCL aborts a process whose peers are gone, so that this is no cause where another one is known
            if code is not None and code < 0 and not (failures and code == -signal.SIGABRT):
                what = f"was ended by {signal.Signals(-code).name}"
                return self._error(rank, what, "If memory ran out: fewer processes, or a smaller batch_size.")
        if not failures:
            return self._error(noticed, f"ended with exit code {codes[noticed]}", "See what it printed.")
        rank = min(failures, key=lambda one: failures[one].at)
        first = failures[rank]
        if first.error is not None:
            return first.error
        error = self._error(
            rank, f"failed: {first.what}", "If memory ran out: a smaller batch_size, or a smaller `longest`."
        )
        error.__cause__ = RuntimeError(first.trace)
        return error

    def _error(self, rank: int, what: str, hint: str) -> RankError:
        return RankError(f"Rank {rank} of {self.size} {what}; the others were ended.", hint=hint)

    def part(self) -> None:
        """Let the processes end, which have answered."""
        for pipe in self._pipes:
            with suppress(OSError):
                pipe.send(None)
        until = time.monotonic() + PARTING_S
        for one in self._processes:
            one.join(max(0.0, until - time.monotonic()))
        self.end()

    def end(self) -> None:
        """End the processes, whatever they do."""
        for one in self._processes:
            one.kill()
        for one in self._processes:
            one.join()
        for pipe in self._pipes:
            pipe.close()


def _enter(work: Callable[..., None], desk: Desk, given: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this, and ends it
    threading.Thread(target=_follow, daemon=True).start()
    os.dup2(2, 1)  # standard output is for one document, of who started this
    try:
        work(desk, *given)
    except Exception as error:  # noqa: BLE001 - whatever it was, it is told, and ends the others
        known = error if isinstance(error, FirstfaultError) else None
        what = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"
        with suppress(OSError):
            desk.pipe.send(_Failure(time.time(), known, what, traceback.format_exc()))
        sys.stderr.flush()
        os._exit(1)  # a library that waits for the others in its last breath would wait for ever


def _follow() -> None:
    """End with the process that started this one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
