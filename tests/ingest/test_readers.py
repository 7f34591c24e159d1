import pytest

from firstfault.errors import InputError
from firstfault.ingest.readers import FORMATS, format_of, is_records, read, sniff

from .files import paragraph, pdf, saved, word_document


def test_no_suffix_stands_for_two_formats() -> None:
    suffixes = [suffix for entry in FORMATS for suffix in entry.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.md", "markdown"),
        ("B.HTM", "html"),
        ("x.PDF", "pdf"),
        ("m.py", "code"),
        ("a.xyz", None),
        ("LICENSE", None),
    ],
)
def test_the_suffix_decides(name: str, expected: str | None) -> None:
    entry = format_of(name)
    assert (entry.name if entry else None) == expected


def test_records() -> None:
    assert is_records("a.JSONL.gz")
    assert is_records("a.jsonl")
    assert not is_records("a.json")


def test_content_decides_where_there_is_no_suffix() -> None:
    document = word_document()
    document.add_paragraph("x")
    samples = {
        "pdf": pdf([paragraph(["x"])]),
        "docx": saved(document),
        "html": b"  <!DOCTYPE html><p>x",
        "text": b"plain words",
    }
    for name, data in samples.items():
        entry = sniff(data)
        assert entry is not None
        assert entry.name == name
    assert sniff(b"\x7fELF....") is None
    assert sniff(b"a\0b") is None


def test_format_and_language_are_recorded() -> None:
    assert read("src/a.py", b"x = 1\n").metadata == {"format": "code", "language": "python"}
    assert read("a.txt", b"x").metadata == {"format": "text"}
    assert read("README", b"x").metadata == {"format": "text"}


def test_a_document_may_name_its_own_format() -> None:
    assert read("a.md", b"---\nformat: video\n---\nx").metadata["format"] == "video"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.md", b"", "empty"),
        ("a.md", b" \n\t", "empty"),
        ("a.md", b"\x89PNG\r\n\x1a\n...", "PNG"),
        ("a.md", b"---\na: 1\n---\n", "no text"),
        ("a.html", b"<nav>x</nav>", "no text"),
        ("a.pdf", b"words", "not a PDF"),
        ("a.docx", b"words", "not a DOCX"),
        ("a.bin", b"\x7fELF", r"an executable, which cannot be read. Readable: .*\.docx"),
        ("a.bin", b"\0\1\2", "a binary file, which cannot be read"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_a_reason(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(name, data)


def test_a_file_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstfault.ingest.readers.MAX_FILE_BYTES", 5)
    with pytest.raises(InputError, match="the limit is"):
        read("a.txt", b"123456")
