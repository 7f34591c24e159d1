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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

_HEAD = struct.Struct(">II")
"""Length and CRC-32 of the record that follows."""


class Segment:
    """A file of the spool that this process appends to.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._guard = threading.Lock()
        self._pending = 0
        self._failed = 0
        self._size = 0
        while True:
            self._path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.spool"
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
            if _locked(self._file) and os.fstat(self._file).st_nlink:
                return
            os.close(self._file)  # another process took it for left over before it was locked

    def append(self, record: bytes) -> None:
        """Add a record; it outlives the process when this returns.

        Raises:
            OSError: it cannot be written; the file is as it was.
        """
        frame = _HEAD.pack(len(record), zlib.crc32(record)) + record
        with self._guard:
            written = 0
            try:
                written = os.write(self._file, frame)
            finally:
                if written < len(frame):
                    os.ftruncate(self._file, self._size)
            if written < len(frame):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += len(frame)
            self._pending += 1

    def settle(self, *, stored: int = 0, failed: int = 0) -> None:
        """So many more records are in the database, or will not be before the next start.

        When all are in the database the file is emptied. Nothing may be appended once a record has failed.
        """
        with self._guard:
            self._pending -= stored + failed
            self._failed += failed
            if self._pending == 0:
                if self._failed:
                    os.close(self._file)
                else:
                    os.ftruncate(self._file, 0)
                    self._size = 0

    def close(self) -> None:
        """End it when every record is in the database: nothing is left for the next start."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


@contextmanager
def left_over(folder: Path) -> Iterator[list[bytes]]:
    """The records of processes that have ended; their files are removed when the block ends well.

    A file that is damaged in the middle is kept under another name, and said.
    """
    files: list[tuple[Path, int]] = []
    records: list[bytes] = []
    try:
        for path in sorted(folder.glob("*.spool")):
            try:
                file = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue  # its owner, or another process that moves in what is left, was quicker
            files.append((path, file))
            if _locked(file):
                records.extend(_records(path))
            else:
                os.close(files.pop()[1])
        yield records
        for path, _ in files:
            path.unlink(missing_ok=True)
    finally:
        for _, file in files:
            os.close(file)


def _records(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    start = 0
    while start + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, start)
        record = content[start + _HEAD.size : start + _HEAD.size + length]
        if len(record) < length:
            return
        if zlib.crc32(record) != checksum:
            kept = path.with_suffix(".damaged")
            path.rename(kept)
            logger.warning("What follows byte %d of %s is damaged and was not read.", start, kept)
            return
        yield record
        start += _HEAD.size + length


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
