"""A file's name and bytes in, its text out: the table of formats, and what decides between them.

The suffix decides; a file without a known suffix is judged by its content, when it was named explicitly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from firstfault.errors import InputError
from firstfault.ingest.decoding import binary_kind, decode
from firstfault.ingest.docx import read_docx
from firstfault.ingest.format import Extracted
from firstfault.ingest.html import read_html
from firstfault.ingest.markdown import read_markdown
from firstfault.ingest.pdf import read_pdf

READERS_VERSION = 1
"""Part of every document's revision: raise it when a reader returns another text for the same bytes."""

MAX_FILE_BYTES = 256 * 1024 * 1024
"""A larger file does not fit comfortably into memory several times over, as extraction needs it to."""


def read_text(data: bytes) -> Extracted:
    """Decode plain text or source code."""
    return Extracted(text=decode(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of file that can be read."""

    name: str
    """The value of the metadata field `format`."""
    suffixes: tuple[str, ...]
    """In lower case, with the dot."""
    read: Callable[[bytes], Extracted]


LANGUAGES = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".jsx": "javascript", ".ts": "typescript", ".tsx": "typescript", ".java": "java", ".kt": "kotlin",
    ".scala": "scala", ".go": "go", ".rs": "rust", ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp",
    ".hpp": "cpp", ".cs": "csharp", ".rb": "ruby", ".php": "php", ".swift": "swift", ".lua": "lua",
    ".r": "r", ".jl": "julia", ".pl": "perl", ".sh": "shell", ".bash": "shell", ".ps1": "powershell",
    ".sql": "sql", ".css": "css", ".vue": "vue", ".dart": "dart", ".ex": "elixir", ".erl": "erlang",
    ".hs": "haskell", ".clj": "clojure", ".proto": "protobuf", ".tf": "terraform", ".toml": "toml",
    ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".xml": "xml", ".ini": "ini", ".cfg": "ini",
}  # fmt: skip
"""Suffixes of source code and configuration, and the metadata field `language` they get."""

FORMATS = (
    Format(name="markdown", suffixes=(".md", ".markdown", ".mdx", ".mdown"), read=read_markdown),
    Format(
        name="text",
        suffixes=(".txt", ".text", ".rst", ".adoc", ".org", ".log", ".csv", ".tsv"),
        read=read_text,
    ),
    Format(name="html", suffixes=(".html", ".htm", ".xhtml"), read=read_html),
    Format(name="pdf", suffixes=(".pdf",), read=read_pdf),
    Format(name="docx", suffixes=(".docx",), read=read_docx),
    Format(name="code", suffixes=tuple(LANGUAGES), read=read_text),
)
"""Every format that can be read."""

RECORDS = (".jsonl", ".jsonl.gz")
"""Suffixes of files that hold one document a line."""

_BY_SUFFIX = {suffix: entry for entry in FORMATS for suffix in entry.suffixes}
_BY_NAME = {entry.name: entry for entry in FORMATS}


def is_records(name: str) -> bool:
    """Whether a file holds one document a line."""
    return name.lower().endswith(RECORDS)


def format_of(name: str) -> Format | None:
    """Return the format that a file's suffix stands for, or None for an unknown or absent suffix."""
    return _BY_SUFFIX.get(PurePosixPath(name).suffix.lower())


def sniff(data: bytes) -> Format | None:
    """Judge a file by its first bytes; None for a binary file of no known format."""
    head = data[:1024].lstrip().lower()
    if b"%PDF-" in data[:1024]:
        return _BY_NAME["pdf"]
    if data.startswith(b"PK\x03\x04"):
        return _BY_NAME["docx"] if b"word/" in data else None
    if head.startswith((b"<!doctype html", b"<html")):
        return _BY_NAME["html"]
    if binary_kind(data) or b"\0" in data[:8192]:
        return None
    return _BY_NAME["text"]


def read(name: str, data: bytes) -> Extracted:
    """Read a file; `metadata` carries `format`, and for source code `language`.

    Raises:
        InputError: it cannot be read; the message says why, without naming the file.
    """
    if len(data) > MAX_FILE_BYTES:
        raise too_large(len(data))
    if not data.strip():
        raise InputError("It is empty.", hint="Remove it, or write something into it.")
    entry = format_of(name) or sniff(data)
    if entry is None:
        known = ", ".join(sorted(suffix for entry in FORMATS for suffix in entry.suffixes))
        raise InputError(
            f"It is {binary_kind(data) or 'a binary file'}, which cannot be read.", hint=f"Readable: {known}."
        )
    extracted = entry.read(data)
    if not extracted.text.strip():
        raise InputError("There is no text in it.", hint="Check the file.")
    automatic = {"format": entry.name}
    if entry.name == "code":
        automatic["language"] = LANGUAGES[PurePosixPath(name).suffix.lower()]
    return Extracted(
        text=extracted.text,
        title=extracted.title,
        metadata=automatic | dict(extracted.metadata),
        notes=extracted.notes,
    )


def too_large(size: int) -> InputError:
    """The error for a file that is over the limit."""
    return InputError(
        f"It has {size >> 20} MB; the limit is {MAX_FILE_BYTES >> 20} MB.",
        hint="Split it into several files.",
    )
