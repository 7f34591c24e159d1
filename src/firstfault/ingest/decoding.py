"""Bytes in, text out: one encoding per file, found strictly, and one kind of line break.

What comes out is what is stored; every character offset in Firstfault points into it.
"""

import codecs
import re

from firstfault.errors import InputError

MAX_TEXT_CHARACTERS = 20_000_000
"""A text longer than this (about 8,000 pages) is one document by mistake: a dump, a log, a disk image."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks, longest first where one begins with another."""

_SIGNATURES = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP container (DOCX, XLSX, ...)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file (.doc, .xls)"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"\x7fELF", "an executable"),
    (b"SQLite format 3\x00", "an SQLite database"),
)

_SURROGATE = re.compile("[\ud800-\udfff]")


def binary_kind(data: bytes) -> str | None:
    """Name what the first bytes say a file is ("a PDF"), or None when they look like nothing known."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    return None


def decode(data: bytes, encoding: str | None = None) -> str:
    """Decode a text file strictly, by its byte order mark, else as `encoding`, else as UTF-8.

    Raises:
        InputError: the bytes are a known binary format, hold a NUL, or do not decode; names the offset.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return clean(_strict(data[len(mark) :], name, len(mark)))
    if kind := binary_kind(data):
        raise InputError(f"It is {kind}, not text.", hint="Give the file the suffix of what it is.")
    if (position := data.find(b"\0")) >= 0:
        raise InputError(
            f"It is binary, not text: byte {position} is NUL.",
            hint="If it is UTF-16 without a byte order mark, save it as UTF-8.",
        )
    return clean(_strict(data, encoding or "utf-8", 0))


def clean(text: str) -> str:
    r"""Make every line break `\n`, and refuse what can be neither stored nor tokenized.

    Raises:
        InputError: the text is too long, or holds a NUL or half of a surrogate pair.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InputError(
            f"Its text has {len(text):,} characters; the limit for one document is {MAX_TEXT_CHARACTERS:,}.",
            hint="Split it into several documents.",
        )
    if (position := text.find("\0")) >= 0:
        raise InputError(f"Character {position} is NUL.", hint="Remove it: it is not text.")
    if found := _SURROGATE.search(text):
        raise InputError(
            f"Character {found.start()} is half of a surrogate pair (U+{ord(found[0]):04X}).",
            hint="Write the file again as valid Unicode.",
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _strict(data: bytes, encoding: str, offset: int) -> str:
    try:
        return data.decode(encoding)
    except LookupError:
        raise InputError(
            f"It names the encoding {encoding!r}, which does not exist.", hint="Save it as UTF-8."
        ) from None
    except UnicodeDecodeError as error:
        at = offset + error.start
        raise InputError(
            f"It is not valid {encoding.upper()}: byte {at} is 0x{data[error.start]:02X}.",
            hint="Save it as UTF-8.",
        ) from None
