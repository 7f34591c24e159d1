"""Files that people name: text and JSONL in and out, with errors that name the file and say what to do.

Readers take a byte order mark, and `.gz`.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firstfault.errors import InputError


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    with _explained(path), _opened(path) as file:
        return str(file.read())


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank.

    Raises:
        InputError: the file cannot be read, or is not UTF-8.
    """
    with _explained(path), _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        InputError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.", hint="Check the path.") from error


def write_rows(path: Path, rows: Iterable[Any]) -> int:
    """Write JSON values as JSONL; returns how many.

    Raises:
        InputError: the file cannot be written.
    """
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def _opened(path: Path) -> Any:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read: {reason}.", hint="Check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text.", hint="Save it as UTF-8.") from error
