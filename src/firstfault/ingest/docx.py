"""A Word document (.docx) in, its text out as plain Markdown: headings, lists and tables in order.

The body is walked as XML, since inserted text (tracked changes), content controls and text boxes are
text that a reader of the document sees. Deleted text, comments, headers and footers are left out.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from firstfault.errors import InputError
from firstfault.ingest.decoding import clean
from firstfault.ingest.format import Extracted

if TYPE_CHECKING:
    from docx.document import Document as WordDocument

MAX_UNPACKED_BYTES = 512 * 1024 * 1024
"""A container that unpacks to more is not a text document (or is made to exhaust the memory)."""

_EMPTY_TITLES = frozenset({"word document", "microsoft word document", "document", "untitled"})
"""Titles that programs write into every new document: they name nothing."""

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING = re.compile(r"heading (\d)")


def read_docx(data: bytes) -> Extracted:
    """Extract the body; the title is the document property, else the first title or heading.

    Raises:
        InputError: it is not a DOCX, is encrypted, truncated or damaged, or holds no text.
    """
    import docx
    from docx.opc.exceptions import OpcError
    from lxml import etree  # type: ignore[import-untyped]

    _check_container(data)
    try:
        document = docx.Document(io.BytesIO(data))
        body = document.element.body
    except (OpcError, zipfile.BadZipFile, etree.LxmlError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"It is a damaged DOCX: {type(error).__name__}: {error}.", hint="Open it in Word, save it again."
        ) from None
    text = clean("\n\n".join(_Body(document).blocks(body)))
    if not text.strip():
        raise InputError("There is no text in it.", hint="If it holds images of text, run OCR on it first.")
    heading = re.search(r"^#+ (.+)$", text, re.MULTILINE)
    title = (document.core_properties.title or "").strip()
    if title.lower() in _EMPTY_TITLES:
        title = ""
    return Extracted(text=text, title=title or (heading[1] if heading else None))


def _check_container(data: bytes) -> None:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError(
            "It is an old .doc file, or a DOCX with a password.", hint="Save it as DOCX, without a password."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        raise InputError(
            "It is not a DOCX: the container is truncated or something else.", hint="Get a whole copy of it."
        ) from None
    if unpacked > MAX_UNPACKED_BYTES:
        raise InputError(
            f"It unpacks to {unpacked >> 20} MB; the limit is {MAX_UNPACKED_BYTES >> 20} MB.",
            hint="Remove embedded media, or split it.",
        )


class _Body:
    """Walks the body; every paragraph, run of list items and table becomes one block."""

    def __init__(self, document: "WordDocument") -> None:
        self.styles = {style.style_id: (style.name or "").lower() for style in document.styles}

    def blocks(self, parent: Any) -> Iterator[str]:
        """Yield the blocks below an element as Markdown, list items that follow each other as one."""
        items: list[str] = []
        for element in _children(parent):
            if element.tag == f"{_W}p":
                block, is_item = self.paragraph(element)
            else:
                block, is_item = self.table(element), False
            if is_item and block:
                items.append(block)
            elif block:
                if items:
                    yield "\n".join(items)
                    items = []
                yield block
        if items:
            yield "\n".join(items)

    def paragraph(self, element: Any) -> tuple[str, bool]:
        """Return the paragraph as Markdown, and whether it is a list item."""
        text = "".join(_runs(element)).strip()
        if not text:
            return "", False
        style_element = element.find(f"{_W}pPr/{_W}pStyle")
        style = "" if style_element is None else self.styles.get(style_element.get(f"{_W}val"), "")
        if style == "title":
            return f"# {_one_line(text)}", False
        if heading := _HEADING.match(style):
            return f"{'#' * min(int(heading[1]), 6)} {_one_line(text)}", False
        level = element.find(f"{_W}pPr/{_W}numPr/{_W}ilvl")
        if style.startswith("list") or element.find(f"{_W}pPr/{_W}numPr") is not None:
            depth = int(level.get(f"{_W}val")) if level is not None else _style_depth(style)
            return "  " * depth + "- " + text.replace("\n", "\n" + "  " * (depth + 1)), True
        return text, False

    def table(self, element: Any) -> str:
        """Return the table as Markdown rows."""
        rows = []
        for row in element.iterfind(f".//{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl")) is not element:
                continue
            cells = [
                _one_line(" ".join(self.blocks(cell))).replace("|", "\\|")
                for cell in row.iter(f"{_W}tc")
                if next(cell.iterancestors(f"{_W}tr")) is row
            ]
            if any(cells):
                rows.append(cells)
        if not rows:
            return ""
        width = max(map(len, rows))
        lines = ["| " + " | ".join(cells + [""] * (width - len(cells))) + " |" for cells in rows]
        return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _children(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables, looking into content controls and tracked insertions."""
    for element in parent:
        if element.tag in (f"{_W}p", f"{_W}tbl"):
            yield element
        elif element.tag == f"{_W}sdt":
            content = element.find(f"{_W}sdtContent")
            if content is not None:
                yield from _children(content)
        elif element.tag in (f"{_W}ins", f"{_W}moveTo", f"{_W}customXml"):
            yield from _children(element)


def _runs(element: Any) -> Iterator[str]:
    for child in element:
        tag = child.tag
        if tag == f"{_W}t":
            yield child.text or ""
        elif tag == f"{_W}tab":
            yield "\t"
        elif tag in (f"{_W}br", f"{_W}cr"):
            yield "\n"
        elif tag == f"{_W}noBreakHyphen":
            yield "-"
        elif tag == f"{_W}p":  # a paragraph of a text box
            yield "\n"
            yield from _runs(child)
        elif tag not in (f"{_W}pPr", f"{_W}rPr", f"{_W}del", f"{_W}moveFrom", _FALLBACK):
            yield from _runs(child)


def _style_depth(style: str) -> int:
    last = style[-1:]
    return int(last) - 1 if last in "23456789" and last else 0


def _one_line(text: str) -> str:
    return " ".join(text.split())
