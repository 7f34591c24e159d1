"""Sources in, documents out: those that have changed, read; the others counted, or recorded as failed."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from firstfault.errors import InputError
from firstfault.ingest.decoding import clean
from firstfault.ingest.format import Extracted
from firstfault.ingest.metadata import filterable
from firstfault.ingest.readers import MAX_FILE_BYTES, READERS_VERSION, format_of, read, too_large
from firstfault.ingest.run import Run
from firstfault.ingest.sources import Source, parse_record, read_lines, second_id
from firstfault.types import Document


def changed_sources(run: Run, sources: Sequence[Source], flags: Mapping[str, Any]) -> Iterator[Document]:
    """Read what has changed. A source that fails is recorded and passed over."""
    salt = _digest(READERS_VERSION, run.chunker.fingerprint, _canonical(flags))
    for (path, is_record), group in groupby(sources, key=lambda source: (source.path, source.line > 0)):
        if is_record:
            yield from _from_records(run, path, list(group), salt, flags)
            continue
        for source in group:
            try:
                data = _load(path)
                revision = _digest(salt, source.id, data)
                if run.is_unchanged(source.id, revision, source.size):
                    continue
                _refuse_other_owner(run, source)
                extracted = _extract(source.id, data)
            except InputError as error:
                run.fail(source.place, str(error), source.size, source.id)
                continue
            folders = [str(folder) for folder in reversed(Path(source.id).parents) if str(folder) != "."]
            automatic = {"path": source.id} | ({"folder": folders} if folders else {})
            yield _document(
                run, source, revision, extracted, automatic | dict(extracted.metadata) | dict(flags)
            )


def _from_records(
    run: Run, path: Path, sources: Sequence[Source], salt: str, flags: Mapping[str, Any]
) -> Iterator[Document]:
    by_line = {source.line: source for source in sources}
    foreign: set[str] = set()
    try:
        for number, line in read_lines(path, list(by_line)):
            source = by_line.pop(number)
            revision = _digest(salt, line.rstrip(b"\r\n"))
            if run.is_unchanged(source.id, revision, source.size):
                continue
            try:
                record = parse_record(line)
                extracted = Extracted(text=clean(record["text"]), title=record.get("title"))
            except InputError as error:
                run.fail(source.place, str(error), source.size, source.id)
                continue
            if record["id"] != source.id:
                reason = "It changed while it was read. Ingest it again."
                run.fail(source.place, reason, source.size, source.id)
                continue
            foreign |= set(record) - {"id", "title", "text", "metadata"}
            given = record.get("metadata") or {}
            yield _document(run, source, revision, extracted, dict(given) | dict(flags))
    except (OSError, EOFError) as error:
        for source in by_line.values():
            reason = f"It cannot be read: {error}. Check the file."
            run.fail(source.place, reason, source.size, source.id)
    if foreign:
        names = ", ".join(sorted(foreign))
        run.notes.append(f"{path}: fields left out: {names}; put them into 'metadata' to keep them")


def changed_documents(run: Run, documents: Iterable[Document]) -> Iterator[Document]:
    """Give documents made in Python their revisions, and pass over what is unchanged."""
    salt = _digest(READERS_VERSION, run.chunker.fingerprint)
    seen: dict[str, str] = {}
    for document in documents:
        if document.id in seen:
            second = second_id(document.id, seen[document.id], document.source)
            run.fail(second.source, second.reason, len(document.text), document.id)
            continue
        seen[document.id] = document.source
        size = len(document.text)
        result = filterable(document.metadata)
        run.notes += [f"{document.source}: {note}" for note in result.notes]
        try:
            text = clean(document.text)
        except InputError as error:
            run.fail(document.source, str(error), size, document.id)
            continue
        if not text.strip():
            reason = "There is no text in it. Leave it out, or give it a text."
            run.fail(document.source, reason, size, document.id)
            continue
        revision = _digest(salt, document.id, document.title, _canonical(result.metadata), text)
        if not run.is_unchanged(document.id, revision, size):
            yield replace(document, text=text, metadata=result.metadata, revision=revision)


def _load(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise too_large(size)
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"It cannot be read: {error.strerror or error}.", hint="Check the file and its permissions."
        ) from None


def _extract(name: str, data: bytes) -> Extracted:
    try:
        return read(name, data)
    except InputError:
        raise
    except Exception as error:
        # A damaged file can make an extraction library fail in ways that it does not document. It must not
        # stop the other files; the record names the error, so that it is not mistaken for the file's fault.
        reader = entry.name if (entry := format_of(name)) else "text"
        raise InputError(
            f"The {reader} reader crashed: {type(error).__name__}: {error}.",
            hint="Convert the file to another format, and report this.",
        ) from error


def _document(
    run: Run, source: Source, revision: str, extracted: Extracted, metadata: Mapping[str, Any]
) -> Document:
    result = filterable(metadata)
    run.notes += [f"{source.place}: {note}" for note in (*extracted.notes, *result.notes)]
    title = " ".join((extracted.title or "").split()) or (source.id if source.line else Path(source.id).stem)
    return Document(
        id=source.id,
        title=title,
        text=extracted.text,
        source=source.place,
        revision=revision,
        metadata=result.metadata,
    )


def _refuse_other_owner(run: Run, source: Source) -> None:
    """Refuse a file whose id a file elsewhere has: `a/notes.md` must not silently replace `b/notes.md`."""
    if source.id not in run.live:
        return
    owner = run.sources_of_live.get(source.id)
    if owner is None or owner == str(source.path) or not Path(owner).exists():
        return
    raise InputError(
        f"The id {source.id!r} belongs to {owner}, which is still there.",
        hint="Ingest the folder above both, so that their ids differ.",
    )


def _canonical(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, sort_keys=True, ensure_ascii=False)


def _digest(*parts: object) -> str:
    """SHA-256 (hex) over parts, each preceded by its length so that no two lists of parts collide."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()
