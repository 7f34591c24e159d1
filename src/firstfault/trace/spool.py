"""The spool: records of a process that are not in the database yet, in a file that outlives it.

In: records, appended with one write each. Out: after a kill -9 the same records, to whoever opens the spool
next; a record that was not wholly written, and so never acknowledged, is left out.

The file is locked by its process. The operating system drops the lock with the process, which is how another
one knows that the file is left over.
"""

import errno
import fcntl
import logging
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

_HEAD = struct.Struct(">II")
"""Length and CRC-32 of the record that follows."""


class Segment:
    """A file of the spool that this process appends to. It ends when it is retired and holds nothing that is
    still on its way into the database.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._guard = threading.Lock()
        self._pending = 0
        self._failed = False
        self._retired = False
        self.size = 0
        """Bytes that have been appended since it was last empty."""
        while True:
            self._path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.spool"
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
            try:
                if _locked(self._file) and os.fstat(self._file).st_nlink:
                    return
            except OSError:  # a file system without locks
                self._end()
                raise
            os.close(self._file)  # another process took it for left over before it was locked

    def append(self, record: bytes) -> None:
        """Add a record; it outlives the process when this returns.

        Raises:
            OSError: it cannot be written. Retire the segment: half a record may stand at its end.
        """
        frame = _HEAD.pack(len(record), _checksum(record)) + record
        with self._guard:
            before = os.fstat(self._file).st_size
            written = 0
            try:
                written = os.write(self._file, frame)
            finally:
                if written < len(frame):
                    os.ftruncate(self._file, before)
            if written < len(frame):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.size = before + written
            self._pending += 1

    def settle(self, *, stored: int = 0, failed: int = 0) -> None:
        """So many more records are in the database, or will not be before the next start.

        When all are in the database the file is emptied.
        """
        with self._guard:
            self._pending -= stored + failed
            self._failed |= failed > 0
            self._tidy()

    def retire(self) -> None:
        """Nothing is appended from now on. The file goes with its last record; if one has failed, it is left
        for the next start."""
        with self._guard:
            if not self._retired:
                self._retired = True
                self._tidy()

    def _tidy(self) -> None:
        if self._pending:
            return
        if not self._retired:
            if not self._failed:
                with suppress(OSError):  # a record that is stored twice is there once
                    os.ftruncate(self._file, 0)
                    self.size = 0
        elif self._failed:
            os.close(self._file)
        else:
            self._end()

    def _end(self) -> None:
        with suppress(OSError):
            self._path.unlink()
        os.close(self._file)


def take_over(folder: Path, store: Callable[[list[bytes]], bool]) -> int:
    """Hand the records of processes that have ended to `store`, file by file. Returns how many were.

    A file is removed when `store` says that it has all, and stays when it says or raises otherwise. One that
    is damaged in the middle is then kept under another name, and said.
    """
    taken = 0
    for path in sorted(folder.glob("*.spool")):
        try:
            with path.open("r+b") as file:
                if _locked(file.fileno()) and os.fstat(file.fileno()).st_nlink:
                    taken += _take(path, file.read(), store)
        except FileNotFoundError:
            continue  # its owner, or another process that moves in what is left, was quicker
        except OSError as error:
            logger.warning("%s cannot be moved into the database: %s.", path, error.strerror)
    return taken


def _take(path: Path, content: bytes, store: Callable[[list[bytes]], bool]) -> int:
    records, damaged_at = _records(content)
    if not store(records):
        return 0
    if damaged_at is None:
        path.unlink(missing_ok=True)
    else:
        kept = path.with_suffix(".damaged")
        path.rename(kept)
        logger.warning("What follows byte %d of %s is damaged and was not read.", damaged_at, kept)
    return len(records)


def _records(content: bytes) -> tuple[list[bytes], int | None]:
    """Whole records, and the byte at which damage begins."""
    records: list[bytes] = []
    start = 0
    while start + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, start)
        record = content[start + _HEAD.size : start + _HEAD.size + length]
        if len(record) < length:
            break
        if _checksum(record) != checksum:
            return records, start
        records.append(record)
        start += _HEAD.size + length
    return records, None


def _checksum(record: bytes) -> int:
    """CRC-32 from 1 on: what a power failure leaves as zeros is no empty record."""
    return zlib.crc32(record, 1)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
