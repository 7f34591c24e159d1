"""A PDF in, its text out: in reading order, paragraphs separated by blank lines, pages by form feeds.

Paragraphs are found from the geometry of the lines, since a PDF has none: a larger gap, another font
size, or a jump to the next column begins one.
"""

import statistics
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from firstfault.errors import InputError
from firstfault.ingest.decoding import clean
from firstfault.ingest.format import Extracted

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfTextPage  # type: ignore[import-untyped]

_PARAGRAPH_GAP = 1.25
"""A line further below than this many usual line distances begins a paragraph."""
_FONT_CHANGE = 0.08
"""A font size that differs by more than this share begins a paragraph (a heading, a caption)."""
_GENERATED_TITLES = ("microsoft word - ", "untitled", "powerpoint presentation", "slide 1")


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    bottom: float
    size: float


def read_pdf(data: bytes) -> Extracted:
    """Extract the text of every page; `metadata["pages"]` is their number.

    Raises:
        InputError: it is not a PDF, is encrypted or damaged, or holds no text (scanned pages).
    """
    import pypdfium2
    from pypdfium2 import PdfiumError

    if b"%PDF-" not in data[:1024]:
        raise InputError("It is not a PDF: the mark %PDF- is missing.", hint="Check what the file is.")
    try:
        document = pypdfium2.PdfDocument(data)
    except PdfiumError as error:
        raise _unreadable(error) from None
    try:
        pages = [_page_text(document, number) for number in range(len(document))]
        title = document.get_metadata_dict().get("Title", "").strip()
    except PdfiumError as error:
        raise _unreadable(error) from None
    finally:
        document.close()
    empty = [number for number, page in enumerate(pages, 1) if not page.strip()]
    if len(empty) == len(pages):
        raise InputError(
            f"None of its {len(pages)} pages has text: they are scanned images.",
            hint="Run text recognition (OCR) on it first, e.g. ocrmypdf.",
        )
    notes = (f"no text on page {', '.join(map(str, empty))} (scanned, or blank)",) if empty else ()
    usable = title and not title.lower().startswith(_GENERATED_TITLES)
    return Extracted(
        text=clean("\n\f".join(pages)),
        title=title if usable else None,
        metadata={"pages": len(pages)},
        notes=notes,
    )


def page_at(text: str, offset: int) -> int:
    """Return the number (from 1) of the page that a character of a stored PDF text stands on."""
    return text.count("\f", 0, offset) + 1


def _page_text(document: "PdfDocument", number: int) -> str:
    page = document[number]
    textpage = page.get_textpage()
    try:
        return _paragraphs(_lines(textpage))
    finally:
        textpage.close()
        page.close()


def _lines(textpage: "PdfTextPage") -> list[_Line]:
    from pypdfium2 import raw

    lines = []
    position = 0
    # A page with characters outside the Basic Multilingual Plane counts two units for each, as UTF-16 does.
    units = textpage.get_text_range(errors="replace")
    for piece in units.split("\r\n"):
        if piece.strip():
            at = position + len(piece) - len(piece.lstrip())
            index = min(at, textpage.count_chars() - 1)
            bottom = textpage.get_charbox(index, loose=True)[1]
            size = raw.FPDFText_GetFontSize(textpage, index)
            text = piece.replace("\ufffe", "").replace("\u00ad", "").replace("\0", "").replace("\f", " ")
            lines.append(_Line(text.strip("\r\n "), bottom, size))
        position += len(piece) + 2 + sum(character > "\uffff" for character in piece)
    return lines


def _paragraphs(lines: list[_Line]) -> str:
    """Join lines, with a blank line where a paragraph begins."""
    steps = [above.bottom - below.bottom for above, below in pairwise(lines)]
    usual = statistics.median([step for step in steps if step > 1] or [0.0])
    parts = [lines[0].text] if lines else []
    for (above, below), step in zip(pairwise(lines), steps, strict=True):
        new_size = abs(below.size - above.size) > _FONT_CHANGE * max(above.size, below.size)
        new_column = step < -1 and above.text.endswith((".", "!", "?", ":"))
        begins = step > _PARAGRAPH_GAP * usual or new_size or new_column
        parts += ["\n\n" if begins else "\n", below.text]
    return "".join(parts)


def _unreadable(error: Exception) -> InputError:
    if "password" in str(error).lower():
        return InputError("It is encrypted.", hint="Save a copy without the password.")
    return InputError(f"It is a damaged PDF: {error}.", hint="Open it in a viewer, save it again.")
