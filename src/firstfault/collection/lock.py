"""One process at a time in a home, unless its database is one that processes share.

In: a home. Out: a lock that the operating system drops when the process ends, however it ends, and an
error that names its owner for everyone else.
"""

import fcntl
import io
import json
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from firstfault.collection.database import database_of, translated
from firstfault.collection.readonly import is_read_only
from firstfault.errors import LockedError

FILE = "lock"

_guard = threading.Lock()
_held: dict[Path, "_Held"] = {}


class _Held:
    """The open lock file of a home, and which of its collections are open in this process."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.names: set[str] = set()


class HomeLock:
    """The right to open a collection. Collections of one home share it within a process.

    Raises:
        LockedError: another process has the home, or this one has the collection.
        StorageError: the lock file cannot be written.
    """

    def __init__(self, home: Path, name: str) -> None:
        self._home = home.resolve()
        self._name = name
        with _guard:
            held = _held.get(self._home)
            if held is None:
                held = _held[self._home] = _Held(_acquire(home))
            elif name in held.names:
                raise LockedError(
                    f"The collection '{name}' in {home} is already open in this process.",
                    hint="Use the open one, or close it first.",
                )
            held.names.add(name)

    def announce(self, url: str) -> None:
        """Say in the lock file where this process can be reached while it has the home."""
        with _guard, translated(self._home / FILE):
            file = _held[self._home].file
            file.seek(0)
            note = {**json.loads(file.read() or "{}"), "url": url}
            file.truncate(0)
            file.write(json.dumps(note))
            file.flush()

    def release(self) -> None:
        """Give it back. Once is enough."""
        with _guard:
            held = _held[self._home]
            held.names.discard(self._name)
            if not held.names:
                held.file.close()
                del _held[self._home]


def _acquire(home: Path) -> IO[str]:
    if is_read_only(home):
        return io.StringIO()  # there is nothing to keep others from
    path = home / FILE
    with translated(path):
        file = path.open("a+", encoding="utf-8")
    try:
        shared = bool(database_of(home).database)  # it sees to what must not be done twice
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        owner = _describe(file.read())
        file.close()
        raise LockedError(
            f"{home} is in use by {owner}.",
            hint="Wait until it ends, or stop it; another --home can be used meanwhile.",
        ) from error
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:120]
    with translated(path):
        file.truncate(0)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"pid": os.getpid(), "command": command, "since": at}))
        file.flush()
    return file


def _describe(content: str) -> str:
    """The owner, as far as its note in the file says; it may not have been written yet."""
    try:
        note = json.loads(content)
    except ValueError:
        return "another process"
    return f"process {note['pid']} (`{note['command']}`, since {note['since']})"


def server_url(home: Path) -> str | None:
    """Where the server that has the home can be reached; None when no server has it."""
    try:
        with (home / FILE).open(encoding="utf-8") as file:
            url = json.loads(file.read()).get("url")
            if isinstance(url, str):  # only then: who tests a lock holds it for a moment
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return url
    except (OSError, ValueError):
        return None
    return None
