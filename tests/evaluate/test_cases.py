import gzip
import json
from pathlib import Path

import pytest

from firstfault.errors import InputError
from firstfault.evaluate.cases import hash_cases, read_cases, write_cases
from firstfault.types import Case, EvidenceUnit

FULL = {
    "id": "a",
    "question": "What?",
    "answer": "This.",
    "answerable": True,
    "evidence": [{"document": "d", "quote": "This is it."}, {"document": "e"}],
    "where": "year > 2000",
    "schema": {"type": "object"},
}


def _write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_every_field_is_read_and_written_back(tmp_path: Path) -> None:
    cases = read_cases(_write(tmp_path / "c.jsonl", FULL, "", {"id": 7, "question": "Why?", "passage": "x"}))
    assert cases[0] == Case(
        id="a",
        question="What?",
        answer="This.",
        answerable=True,
        evidence=(EvidenceUnit(document="d", quote="This is it."), EvidenceUnit(document="e")),
        where="year > 2000",
        schema={"type": "object"},
    )
    assert cases[1] == Case(id="7", question="Why?")
    assert write_cases(cases, tmp_path / "again.jsonl") == 2
    assert read_cases(tmp_path / "again.jsonl") == cases


def test_compressed_files_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "c.jsonl.gz", "wt", encoding="utf-8-sig") as file:
        file.write(json.dumps(FULL))
    assert read_cases(tmp_path / "c.jsonl.gz")[0].id == "a"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{not json", "not valid JSON"),
        ([1], "not a JSON object"),
        ({"question": "What?"}, "has no id"),
        ({"id": "x", "question": " "}, "has no question"),
        ({"id": "x", "question": 3}, "question is not text"),
        ({"id": "x", "question": "?", "answerable": "yes"}, "answerable is not true or false"),
        ({"id": "x", "question": "?", "evidence": "d"}, "evidence is not a list"),
        ({"id": "x", "question": "?", "evidence": ["d"]}, "evidence 1, is not a JSON object"),
        ({"id": "x", "question": "?", "evidence": [{"quote": "q"}]}, "names no document"),
        ({"id": "x", "question": "?", "evidence": [{"document": "d", "quote": "…"}]}, "without a word"),
        ({"id": "a", "question": "?"}, "has the id 'a' of line 1"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, row: object, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_cases(_write(tmp_path / "c.jsonl", FULL, row))
    assert "c.jsonl:2" in caught.value.message
    assert caught.value.hint


def test_files_that_cannot_be_read_are_input_errors(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    (tmp_path / "broken.jsonl.gz").write_bytes(b"plain")
    (tmp_path / "empty.jsonl").write_text("\n")
    for name in ("latin.jsonl", "broken.jsonl.gz", "empty.jsonl", "absent.jsonl"):
        with pytest.raises(InputError, match=name):
            read_cases(tmp_path / name)


def test_the_hash_tells_cases_apart() -> None:
    one, other = Case(id="1", question="a"), Case(id="1", question="b")
    assert hash_cases([one]) == hash_cases([Case(id="1", question="a")])
    assert len({hash_cases([one]), hash_cases([other]), hash_cases([one, other]), hash_cases([])}) == 4


def test_a_schema_that_refers_elsewhere_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "1", "question": "?", "schema": {"$ref": "http://127.0.0.1:9/s.json"}}\n')
    with pytest.raises(InputError, match=r"cases.jsonl:1: The schema refers to .*127.0.0.1:9"):
        read_cases(path)
