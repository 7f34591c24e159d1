"""Error classes. Every error says what happened and what to do next.

In: a message and a hint. Out: one line for the terminal, and the exit code the contract promises.
"""

import difflib
from collections.abc import Iterable
from typing import Any


class FirstfaultError(Exception):
    """Base of every error that Firstfault raises on purpose."""

    exit_code = 2
    """What the command line exits with: 2 = usage or bad input, 3 = something needed is missing."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)  # it may come from another process


def _restored(kind: type[FirstfaultError], args: tuple[Any, ...], state: dict[str, Any]) -> FirstfaultError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InputError(FirstfaultError):
    """The user's input cannot be used: a bad question, file, filter or flag."""


class ConfigError(FirstfaultError):
    """The configuration is wrong: an unknown key, a bad value, settings that contradict each other."""


class MismatchError(FirstfaultError):
    """What is stored was made with other settings than those in force, e.g. another embedder."""


class MissingError(FirstfaultError):
    """Something needed is not there: a model, a file, an index, an optional dependency."""

    exit_code = 3


class LockedError(FirstfaultError):
    """Another process owns the home."""

    exit_code = 3


class StorageError(FirstfaultError):
    """The disk refused: it is full, read-only, or the store is damaged."""

    exit_code = 3


class OutOfTimeError(FirstfaultError):
    """The request's time was up before a stage began; what was done so far is on its trace."""

    exit_code = 3


class RankError(FirstfaultError):
    """One of the processes of a training failed, so that all were ended; what was saved is kept."""

    exit_code = 3


class RemoteError(FirstfaultError):
    """A remote endpoint is unreachable, refused the key, or answered what cannot be understood."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str, transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient
        """Whether the same request may succeed later (time-out, 429, 5xx)."""


class DeadlineError(RemoteError):
    """A model, here or behind an endpoint, did not answer within its time limit."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint, transient=True)


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """The hint against a name that is not known: the known one that is like it, else what is given."""
    close = difflib.get_close_matches(name, [str(one) for one in known], n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else otherwise
