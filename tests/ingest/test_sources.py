import gzip
import os
from pathlib import Path

import pytest

from firstfault.errors import InputError
from firstfault.ingest.sources import parse_record, read_lines, record_id, survey


def write(root: Path, *names: str, text: str = "words\n") -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_a_folder_is_walked_in_order_and_hidden_folders_are_not(tmp_path: Path) -> None:
    write(tmp_path, "b.md", "a/z.txt", "a/b.py", "c.html", ".hidden.md", ".git/x.md", "CVS/x.md")
    write(tmp_path, "node_modules/x.md", "photo.png", "sub/photo.PNG", "LICENSE")
    found = survey([tmp_path])
    assert [source.id for source in found.sources] == ["LICENSE", "a/b.py", "a/z.txt", "b.md", "c.html"]
    assert found.skipped == {".png": 2}


def test_a_binary_file_without_suffix_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "notes")
    (tmp_path / "program").write_bytes(b"\x7fELF\0\0")
    found = survey([tmp_path])
    assert [source.id for source in found.sources] == ["notes"]
    assert found.skipped == {"no suffix, binary": 1}


def test_a_file_named_explicitly_has_its_name_as_id_whatever_its_suffix(tmp_path: Path) -> None:
    write(tmp_path, "deep/a.weird")
    (source,) = survey([tmp_path / "deep" / "a.weird"]).sources
    assert (source.id, source.place) == ("a.weird", str(tmp_path / "deep" / "a.weird"))


def test_loops_of_links_end(tmp_path: Path) -> None:
    write(tmp_path, "docs/a.md")
    (tmp_path / "docs" / "loop").symlink_to(tmp_path / "docs", target_is_directory=True)
    (tmp_path / "docs" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert [source.id for source in survey([tmp_path / "docs"]).sources] == ["a.md"]


def test_a_link_that_leads_nowhere_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    (tmp_path / "b.md").symlink_to(tmp_path / "gone.md")
    found = survey([tmp_path])
    assert [source.id for source in found.sources] == ["a.md"]
    (failed,) = found.failures
    assert failed.source == str(tmp_path / "b.md")
    assert "No such file" in failed.reason


def test_a_name_that_is_not_utf8_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.md")).write_text("x")
    except OSError:
        pytest.skip("this file system does not admit such names")
    (failed,) = survey([tmp_path]).failures
    assert failed.source == r"b\xff.md" or failed.source == r"b\udcff.md"


def test_records_are_read_from_plain_and_compressed_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('\n{"id": "1", "text": "x"}\n\n{"id": 2, "text": "y"}')
    with gzip.open(tmp_path / "b.jsonl.gz", "wb") as packed:
        packed.write(b'\xef\xbb\xbf{"id": "3", "text": "z"}\r\n')
    found = survey([tmp_path])
    assert [(source.id, source.line) for source in found.sources] == [("1", 2), ("2", 4), ("3", 1)]
    assert found.sources[0].place == f"{tmp_path / 'a.jsonl'}:2"
    assert list(read_lines(tmp_path / "a.jsonl", [4])) == [(4, b'{"id": 2, "text": "y"}')]


def test_malformed_lines_are_failures_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"id": "1", "text": "x"}\n{"id": "2", \n[1]\n{"id": "4", "text": "y"}\n'
    )
    found = survey([tmp_path])
    assert [source.id for source in found.sources] == ["1", "4"]
    assert [failed.source.rsplit(":", 1)[1] for failed in found.failures] == ["2", "3"]
    assert "not valid JSON" in found.failures[0].reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "x"}', "'id' is missing"),
        (b'{"id": "", "text": "x"}', "'id' is empty"),
        (b'{"id": true, "text": "x"}', "'id' is bool, not a string"),
        (b'{"id": "a"}', "'text' is missing"),
        (b'{"id": "a", "text": 5}', "'text' is int, not a string"),
        (b'{"id": "a", "text": " "}', "'text' is empty"),
        (b'{"id": "a", "text": "x", "title": 1}', "'title' is int"),
        (b'{"id": "a", "text": "x", "metadata": []}', "'metadata' is list, not an object"),
        (b'{"id": "\\ud800", "text": "x"}', "surrogate"),
        (b'{"id": "a", "text": "\xff"}', "not valid UTF-8: byte 21"),
        (b"[" * 100_000, "nested too deeply|not valid JSON"),
    ],
)
def test_a_record_is_checked(line: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_record(line)


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstfault.ingest.sources.MAX_LINE_BYTES", 100)
    (tmp_path / "a.jsonl").write_text(
        '{"id": "1", "text": "' + "x" * 500 + '"}\n{"id": "2", "text": "y"}\n', encoding="utf-8"
    )
    found = survey([tmp_path])
    assert [(source.id, source.line) for source in found.sources] == [("2", 2)]
    assert "longer than" in found.failures[0].reason


def test_a_damaged_archive_is_a_failure(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"id": "1", "text": "x"}\n' * 3)[:-12])
    (tmp_path / "c.jsonl.gz").write_bytes(b"not gzip")
    assert sorted(Path(failed.source).name for failed in survey([tmp_path]).failures) == [
        "b.jsonl.gz",
        "c.jsonl.gz",
    ]


def test_of_one_id_twice_the_second_fails_and_names_both_places(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write(tmp_path, f"{folder}/a.md")
    write(tmp_path, "y/b.md")
    found = survey([tmp_path / "x", tmp_path / "y"])
    first, second = tmp_path / "x" / "a.md", tmp_path / "y" / "a.md"
    assert [source.place for source in found.sources] == [str(first), str(tmp_path / "y" / "b.md")]
    (failed,) = found.failures
    assert (failed.source, failed.document_id) == (str(second), "a.md")
    assert str(first) in failed.reason
    assert str(second) in failed.reason


def test_one_id_twice_in_records_names_both_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "x"}\n' * 2 + '{"id": "2", "text": "y"}\n')
    found = survey([tmp_path])
    assert [source.line for source in found.sources] == [1, 3]
    (failed,) = found.failures
    assert failed.source == str(tmp_path / "a.jsonl:2")
    assert f"{tmp_path / 'a.jsonl'}:1, which was taken" in failed.reason


def test_links_are_followed_within_the_folder_and_not_out_of_it(tmp_path: Path) -> None:
    write(tmp_path, "docs/real/a.md")
    write(tmp_path, "secret/b.md")
    docs = tmp_path / "docs"
    (docs / "also").symlink_to(docs / "real", target_is_directory=True)
    (docs / "c.md").symlink_to(docs / "real" / "a.md")
    (docs / "out").symlink_to(tmp_path / "secret", target_is_directory=True)
    (docs / "out.md").symlink_to(tmp_path / "secret" / "b.md")
    found = survey([docs])
    assert [source.id for source in found.sources] == ["also/a.md", "c.md"]  # real/ is the same folder again
    assert len(found.notes) == 2
    assert all("leads out of" in note and str(tmp_path / "secret") in note for note in found.notes)
    assert [source.id for source in survey([docs / "out"]).sources] == ["b.md"]  # given by name
    only = tmp_path / "only"
    only.mkdir()
    (only / "out").symlink_to(tmp_path / "secret", target_is_directory=True)
    with pytest.raises(InputError, match="1 links that lead out of it"):
        survey([only])


def test_an_empty_folder_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, "photo.png")
    with pytest.raises(InputError, match=r"nothing to ingest in .*1 × \.png.*Looked for .*\.md") as raised:
        survey([tmp_path])
    assert raised.value.exit_code == 2


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        survey([tmp_path / "gone"])


@pytest.mark.parametrize(
    ("line", "document_id"),
    [
        (b'{"id": "a\\"b", "text": ""}', 'a"b'),
        (b'{"text": 3, "id": 7}', "7"),
        (b'{"id": "cut", "text": "half a li', "cut"),
        (b' { "id" : 12, "text": nonsense}', "12"),
        (b'{"id": "\\q", "text": "x', None),
        (b'{"text": "no id"}', None),
        (b'{"id": true, "text": "x"}', None),
        (b'{"id": " ", "text": "x"}', None),
        (b'["id"]', None),
        (b"not json", None),
        (b'{"id": "\xff", "text": "x', None),
    ],
)
def test_the_id_of_a_bad_line_is_read_where_it_can_be(line: bytes, document_id: str | None) -> None:
    assert record_id(line) == document_id
