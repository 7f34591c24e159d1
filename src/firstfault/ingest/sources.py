"""Files, folders and JSONL in, the list of what is to be ingested out, in a fixed order.

Nothing is parsed here but the ids of JSONL records: the survey is quick, and it is complete before the
first document is read, so that the rest of the work has a total, and clashing ids stop it early.
"""

import gzip
import io
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from firstfault.errors import InputError
from firstfault.ingest.decoding import clean
from firstfault.ingest.readers import FORMATS, RECORDS, format_of, is_records, sniff

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line of JSONL is not a document (or is made to exhaust the memory)."""

HOME_DATABASE = "firstfault.db"
"""A folder that holds this is a home of Firstfault: what it stores about documents is no document."""

_LEADING_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*("(?:[^"\\]|\\.)*"|\d+)')
_LONGEST_ID = 4096
"""Bytes of a broken line in which its id is looked for."""

_VERSION_CONTROL = frozenset({"CVS", "RCS", "SCCS", "_darcs", "node_modules", "__pycache__"})
"""Folders, besides hidden ones, that hold no documents of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One document to be: a file, or a line of a JSONL file."""

    id: str
    """The document's id: the path relative to the folder given, a file's name, or the record's `id`."""
    path: Path
    """The file, absolute."""
    size: int
    """Bytes of the file or line."""
    line: int = 0
    """From 1; 0 for a file that is one document."""

    @property
    def place(self) -> str:
        """`path` or `path:line`: what a document's `source` says, and what errors name."""
        return f"{self.path}:{self.line}" if self.line else str(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A source that did not become a document; it is tried again by the next ingest."""

    source: str
    """`path` or `path:line`."""
    reason: str
    """What is wrong and what to do, in one or two sentences."""
    document_id: str | None = None
    """The document that it would have become, where that is known."""
    stale: int = 0
    """Documents that stay in the collection as an earlier ingest read them."""


@dataclass(slots=True, kw_only=True)
class Survey:
    """What was found under the paths given."""

    sources: list[Source] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)
    """What is already known to be unusable: malformed lines, files that cannot be opened."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Suffix → number of files in folders that were passed over, since nothing here reads them."""
    roots: list[Path] = field(default_factory=list)
    """The paths given, absolute."""
    notes: list[str] = field(default_factory=list)
    """Links that were not followed, since they lead out of the folder given."""


def file_of(place: str) -> Path:
    """The file of a place: `path` or `path:line`."""
    file, _, line = place.rpartition(":")
    return Path(file) if file and line.isdigit() else Path(place)


def survey(paths: Iterable[str | Path], *, gone: bool = False) -> Survey:
    """List everything under files and folders.

    Folders are walked in sorted order; hidden entries and version control are passed over, symbolic links
    are followed once, and never out of the folder given. A file that is named explicitly is read whatever its
    suffix. Of two sources with one id, the first counts. With `gone`, paths
    that are empty or no longer exist are accepted: what came from them can be retired.

    Raises:
        InputError: a path does not exist, nothing readable was found, or two documents have one id.
    """
    result = Survey()
    for given in paths:
        root = Path(os.path.abspath(given))
        result.roots.append(root)
        if root.is_dir():
            for file in _walk(root, result):
                _add(file, file.relative_to(root).as_posix(), result)
        elif root.exists():
            _add(root, root.name, result)
        elif not gone:
            raise InputError(f"There is no file or folder {given}.", hint="Check the path.")
    if not result.sources and not result.failures and not gone:
        raise nothing_found(result)
    _drop_second_ids(result)
    return result


def read_lines(path: Path, lines: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Yield `(line number, bytes)` of the lines wanted, which must be in increasing order."""
    wanted = iter(lines)
    following = next(wanted, None)
    with open_records(path) as records:
        for number, line in numbered_lines(records):
            if following is None:
                return
            if number == following:
                yield number, line
                following = next(wanted, None)


def open_records(path: Path) -> io.BufferedIOBase:
    """Open a `.jsonl` or `.jsonl.gz` file as bytes."""
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def numbered_lines(records: io.BufferedIOBase) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank with their numbers, from 1; an over-long line comes cut."""
    number = 0
    while line := records.readline(MAX_LINE_BYTES + 1):
        number += 1
        rest = line
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = records.readline(MAX_LINE_BYTES + 1)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield number, line


def parse_record(line: bytes) -> Mapping[str, Any]:
    """Parse a line of JSONL and check its fields.

    Raises:
        InputError: it is not `{"id": ..., "text": ...}` with an optional title and metadata.
    """
    record = _object(line)
    if isinstance(record.get("id"), int) and not isinstance(record["id"], bool):
        record["id"] = str(record["id"])
    for name in ("id", "text"):
        if name not in record:
            raise _bad_field(name, "missing")
        if not isinstance(record[name], str):
            raise _bad_field(name, f"{type(record[name]).__name__}, not a string")
        if not record[name].strip():
            raise _bad_field(name, "empty")
    for name, kind, expected in (("title", str, "a string"), ("metadata", dict, "an object")):
        if record.get(name) is not None and not isinstance(record[name], kind):
            raise _bad_field(name, f"{type(record[name]).__name__}, not {expected}")
    for name in ("id", "title"):
        clean(record.get(name) or "")
    return record


def record_id(line: bytes) -> str | None:
    """The id of a line that is no good record; None when not even that can be read."""
    try:
        found = _object(line).get("id")
    except InputError:
        match = _LEADING_ID.match(line[:_LONGEST_ID])
        try:
            found = json.loads(match[1]) if match else None
        except ValueError:
            return None
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) and found.strip() else None


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise InputError(f"The line is longer than {MAX_LINE_BYTES >> 20} MB.", hint="Split the document.")
    try:
        record = json.loads(line)
    except UnicodeDecodeError as error:
        raise InputError(f"It is not valid UTF-8: byte {error.start}.", hint="Save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        message = f"It is not valid JSON: {error.msg} at character {error.pos}."
        raise InputError(message, hint="Write one object a line.") from None
    except RecursionError:
        raise InputError("It is nested too deeply.", hint="Write one flat object a line.") from None
    if not isinstance(record, dict):
        raise InputError(f"It is {type(record).__name__}, not an object.", hint="Write one object a line.")
    return record


def _bad_field(name: str, problem: str) -> InputError:
    return InputError(
        f"The field '{name}' is {problem}.", hint="Write {id, title, text, metadata}; id and text are needed."
    )


def _walk(root: Path, result: Survey) -> Iterator[Path]:
    """Yield the readable files below a folder, sorted by path."""
    visited: set[tuple[int, int]] = set()
    within = root.resolve()

    def leads_out(entry: Path) -> bool:
        if not entry.is_symlink():
            return False
        target = Path(os.path.realpath(entry))
        if target.is_relative_to(within) or not target.exists():  # a dead link fails when it is read
            return False
        result.notes.append(f"{entry}: not followed, it leads out of {root} to {target}; ingest that by name")
        return True

    def walk(folder: Path) -> Iterator[Path]:
        try:
            identity = folder.stat()
            entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
        except OSError as error:
            result.failures.append(_not_opened(str(folder), error))
            return
        if (identity.st_dev, identity.st_ino) in visited:
            return
        visited.add((identity.st_dev, identity.st_ino))
        if (folder / HOME_DATABASE).is_file():
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _VERSION_CONTROL:
                continue
            if leads_out(entry):
                continue
            if entry.is_dir():
                yield from walk(entry)
            elif entry.is_file() or entry.is_symlink():
                if _readable(entry):
                    yield entry
                else:
                    result.skipped[entry.suffix.lower() or "no suffix, binary"] += 1

    yield from walk(root)


def _readable(file: Path) -> bool:
    """Whether a file in a folder is one to read: by its suffix, or by its content when it has none."""
    if is_records(file.name) or format_of(file.name) is not None:
        return True
    if file.suffix:
        return False
    try:
        with file.open("rb") as opened:
            head = opened.read(8192)
    except OSError:
        return True  # fails again, and is reported, when it is read
    return bool(head.strip()) and sniff(head) is not None


def _add(file: Path, name: str, result: Survey) -> None:
    try:
        name.encode()
        size = file.stat().st_size
        if is_records(name):
            _add_records(file, result)
        else:
            result.sources.append(Source(id=name, path=file, size=size))
    except UnicodeEncodeError:
        shown = name.encode(errors="backslashreplace").decode()
        reason = "Its name is not valid UTF-8. Rename it."
        result.failures.append(Failed(source=shown, reason=reason))
    except (OSError, EOFError, zlib.error) as error:
        document_id = None if is_records(name) else name
        result.failures.append(replace(_not_opened(str(file), error), document_id=document_id))


def _add_records(file: Path, result: Survey) -> None:
    with open_records(file) as records:
        for number, line in numbered_lines(records):
            try:
                record = parse_record(line)
            except InputError as error:
                failed = Failed(source=f"{file}:{number}", reason=str(error), document_id=record_id(line))
                result.failures.append(failed)
            else:
                result.sources.append(Source(id=record["id"], path=file, size=len(line), line=number))


def _drop_second_ids(result: Survey) -> None:
    """Keep the first source of every id; the others fail, naming both."""
    first: dict[str, Source] = {}
    for source in result.sources:
        if first.setdefault(source.id, source) is not source:
            failed = second_id(source.id, first[source.id].place, source.place)
            result.failures.append(failed)
    result.sources = list(first.values())


def second_id(document_id: str, first: str, second: str) -> Failed:
    """The failure of a source whose id another one of the same run has."""
    return Failed(
        source=second,
        reason=f"Two documents have the id {document_id!r}: {first}, which was taken, and {second}. "
        "Give the folder above both, or change one id.",
        document_id=document_id,
    )


def _not_opened(source: str, error: Exception) -> Failed:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Failed(source=source, reason=f"It cannot be read: {reason}. Check the file and its permissions.")


def nothing_found(result: Survey) -> InputError:
    """The error for paths under which there is nothing to read."""
    suffixes = sorted({suffix for entry in FORMATS for suffix in entry.suffixes} | set(RECORDS))
    where = ", ".join(map(str, result.roots)) or "nothing"
    passed = ", ".join(f"{count} × {suffix}" for suffix, count in sorted(result.skipped.items()))
    passed += f"{', ' if passed else ''}{len(result.notes)} links that lead out of it" if result.notes else ""
    return InputError(
        f"There is nothing to ingest in {where}" + (f" (passed over: {passed})." if passed else "."),
        hint=f"Looked for {' '.join(suffixes)}.",
    )
