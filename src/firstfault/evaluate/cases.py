"""Cases: questions with what is known about their answers, as JSONL.

In: `.jsonl` or `.jsonl.gz` of `{id, question, answer?, answerable?, evidence: [{document, quote?}], where?,
schema?}`. Out: `Case`s in the order of the file, or an error that names the line. Other keys are ignored.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from firstfault.errors import InputError
from firstfault.files import read_lines, write_rows
from firstfault.types import Case, EvidenceUnit

SHAPE = (
    'Each line is one JSON object: {"id": "1", "question": "...", "answer": "...", "answerable": true, '
    '"evidence": [{"document": "ID", "quote": "..."}], "where": "...", "schema": {...}}; '
    "only id and question are needed."
)


def read_cases(path: Path) -> tuple[Case, ...]:
    """The cases of a file.

    Raises:
        InputError: the file is missing, unreadable or empty, a line is not a case, or an id comes twice.
    """
    found: list[Case] = []
    lines: dict[str, int] = {}
    for number, line in read_lines(path):
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{place} is not valid JSON: {error}.", hint=SHAPE) from error
        case = parse_case(row, place)
        if case.id in lines:
            raise InputError(
                f"{place} has the id '{case.id}' of line {lines[case.id]}.", hint="Give each case its own id."
            )
        lines[case.id] = number
        found.append(case)
    if not found:
        raise InputError(f"{path} holds no case.", hint=SHAPE)
    return tuple(found)


def parse_case(row: Any, place: str) -> Case:
    """One case from plain JSON values; `place` is named in errors.

    Raises:
        InputError: a field is missing or of the wrong kind.
    """
    if not isinstance(row, dict):
        raise InputError(f"{place} is not a JSON object.", hint=SHAPE)
    identity = row.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int) or str(identity).strip() == "":
        raise InputError(f"{place} has no id.", hint=SHAPE)
    question = _field(row, "question", str, place)
    if question is None or not question.strip():
        raise InputError(f"{place} has no question.", hint=SHAPE)
    return Case(
        id=str(identity),
        question=question,
        answer=_field(row, "answer", str, place) or None,
        answerable=_field(row, "answerable", bool, place),
        evidence=tuple(_evidence(row, place)),
        where=_field(row, "where", str, place) or None,
        schema=_schema(row, place),
    )


def write_cases(cases: Iterable[Case], path: Path) -> int:
    """Write cases as JSONL, unknown fields left out. Returns how many.

    Raises:
        InputError: the file cannot be written.
    """
    return write_rows(path, map(as_row, cases))


def as_row(case: Case) -> dict[str, Any]:
    """A case as it stands in a file."""
    row = {key: value for key, value in asdict(case).items() if value is not None}
    row["evidence"] = [
        {key: value for key, value in asdict(unit).items() if value is not None} for unit in case.evidence
    ]
    return row


def hash_cases(cases: Sequence[Case]) -> str:
    """SHA-256 (hex) of the cases; equal hashes are equal cases in equal order."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(json.dumps(as_row(case), sort_keys=True).encode())
    return digest.hexdigest()


def _evidence(row: dict[str, Any], place: str) -> Iterator[EvidenceUnit]:
    for position, unit in enumerate(_field(row, "evidence", list, place) or [], start=1):
        where = f"{place}, evidence {position},"
        if not isinstance(unit, dict):
            raise InputError(f"{where} is not a JSON object.", hint=SHAPE)
        document = unit.get("document")
        if not isinstance(document, str) or not document:
            raise InputError(f"{where} names no document.", hint="`firstfault documents` lists their ids.")
        quote = _field(unit, "quote", str, where)
        if quote is not None and not any(character.isalnum() for character in quote):
            raise InputError(f"{where} has a quote without a word.", hint="Quote words, or leave it out.")
        yield EvidenceUnit(document=document, quote=quote)


def _schema(row: dict[str, Any], place: str) -> dict[str, Any] | None:
    schema: dict[str, Any] | None = _field(row, "schema", dict, place)
    if schema is not None:
        from firstfault.structured import compile_schema

        try:
            compile_schema(schema)
        except InputError as error:
            raise InputError(f"{place}: {error.message}", hint=error.hint) from error
    return schema


def _field(row: dict[str, Any], name: str, kind: type, place: str) -> Any:
    """The value of a field, None when it is absent or null."""
    value = row.get(name)
    if value is not None and not isinstance(value, kind):
        expected = {str: "text", bool: "true or false", list: "a list", dict: "an object"}[kind]
        raise InputError(f"{place}: {name} is not {expected}, but {json.dumps(value)[:60]}.", hint=SHAPE)
    return value
