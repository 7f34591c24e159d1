"""An HTML page in, its readable text out, in plain Markdown: headings, lists, tables and code are kept.

The main content is taken (`<main>`, a single `<article>`, else the body); navigation, scripts and
controls are left out. Links keep their words and lose their addresses.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from firstfault.errors import InputError
from firstfault.ingest.decoding import clean, decode
from firstfault.ingest.format import Extracted

if TYPE_CHECKING:
    from lxml.html import HtmlElement  # type: ignore[import-untyped]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DROPPED = _words(
    "script style noscript template nav svg math iframe object button select input textarea head"
)
_DROPPED_ROLES = _words("navigation search banner contentinfo menu menubar dialog alert")
_DROPPED_CLASSES = _words("headerlink sphinxsidebar breadcrumb breadcrumbs skip-link cookie-banner")
_BLOCKS = _words(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 header hr li main ol p pre section summary table ul"
)
_CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_SPACE = re.compile(r"[ \t\n\r\f\v\u00a0]+")


def read_html(data: bytes) -> Extracted:
    """Extract the main content; `title` is the page's `<title>`, else its first heading.

    Raises:
        InputError: the bytes do not decode, or there is no element in them.
    """
    from lxml import etree  # type: ignore[import-untyped]
    from lxml import html as lxml_html

    declared = _CHARSET.search(data[:2048])
    page = decode(data, declared[1].decode("ascii") if declared else None)
    parser = lxml_html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        tree = lxml_html.document_fromstring(page.encode(), parser=parser)
    except etree.ParserError as error:
        raise InputError(f"There is no HTML in it: {error}.", hint="Check the file.") from error
    text = clean("\n\n".join(_Renderer().blocks(_content(tree))))
    title = _line(tree.findtext(".//title") or "")
    heading = re.search(r"^#+ (.+)$", text, re.MULTILINE)
    return Extracted(text=text, title=title or (heading[1] if heading else None))


def _content(tree: "HtmlElement") -> "HtmlElement":
    for path in ("//main", "//*[@role='main']", "//article"):
        found = tree.xpath(path)
        if len(found) == 1 and _line(found[0].text_content()):
            return found[0]
    body = tree.find("body")
    return tree if body is None else body


class _Renderer:
    """Walks the tree once; every block becomes one string of lines."""

    def blocks(self, element: "HtmlElement") -> Iterator[str]:
        """Yield the blocks below an element, in order; loose inline text becomes a paragraph."""
        loose = [element.text or ""]
        for child in element:
            if _dropped(child):
                loose.append(child.tail or "")
            elif child.tag in _BLOCKS or _holds_block(child):
                yield from _paragraph("".join(loose))
                yield from self.block(child)
                loose = [child.tail or ""]
            else:
                loose += [_inline(child), child.tail or ""]
        yield from _paragraph("".join(loose))

    def block(self, element: "HtmlElement") -> Iterator[str]:
        """Yield a block element as Markdown."""
        tag = element.tag
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            if words := _line(_inline(element)):
                yield f"{'#' * int(tag[1])} {words}"
        elif tag == "pre":
            if (code := "".join(_verbatim(element)).strip("\n")).strip():
                yield f"{_fence(code)}\n{code}\n{_fence(code)}"
        elif tag in ("ul", "ol"):
            yield from _joined(self.items(element, ordered=tag == "ol"))
        elif tag == "table":
            yield from self.table(element)
        elif tag == "blockquote":
            for block in self.blocks(element):
                yield "\n".join(f"> {line}".rstrip() for line in block.split("\n"))
        elif tag == "dd":
            for block in self.blocks(element):
                yield _indent(block, "  ")
        else:
            yield from self.blocks(element)

    def items(self, element: "HtmlElement", *, ordered: bool) -> Iterator[str]:
        """Yield the items of a list, their further blocks indented below the mark."""
        number = 0
        for child in element:
            if _dropped(child):
                continue
            number += 1
            mark = f"{number}. " if ordered else "- "
            if body := "\n".join(self.blocks(child)):
                yield mark + _indent(body, " " * len(mark))[len(mark) :]

    def table(self, element: "HtmlElement") -> Iterator[str]:
        """Yield a table as Markdown rows; a table that only lays out blocks is read as its blocks."""
        if element.xpath(".//table | .//pre | .//h1 | .//h2 | .//h3 | .//ul | .//ol"):
            for cell in element.iter("caption", "td", "th"):
                if next(cell.iterancestors("table"), None) is element:
                    yield from self.blocks(cell)
            return
        yield from _paragraph(_inline(element.find("caption")) if element.find("caption") is not None else "")
        rows = []
        for row in element.iter("tr"):
            cells = [_line(_inline(cell)).replace("|", "\\|") for cell in row.iter("td", "th")]
            if any(cells):
                rows.append(cells)
        if not rows:
            return
        width = max(map(len, rows))
        lines = ["| " + " | ".join(cells + [""] * (width - len(cells))) + " |" for cells in rows]
        if width > 1:
            lines.insert(1, "|" + " --- |" * width)
        yield "\n".join(lines)


def _dropped(element: "HtmlElement") -> bool:
    if not isinstance(element.tag, str) or element.tag in _DROPPED:
        return True
    attributes = element.attrib
    if not attributes:
        return False
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") in _DROPPED_ROLES
        or not _DROPPED_CLASSES.isdisjoint(attributes.get("class", "").lower().split())
        or "display:none" in attributes.get("style", "").replace(" ", "").lower()
    )


def _holds_block(element: "HtmlElement") -> bool:
    return any(below.tag in _BLOCKS for below in element.iterdescendants())


def _inline(element: "HtmlElement") -> str:
    if element.tag == "br":
        return "\n"
    if element.tag == "img":
        return str(element.get("alt", ""))
    parts = [element.text or ""]
    for child in element:
        if not _dropped(child):
            parts.append(_inline(child))
            if child.tag in _BLOCKS:
                parts.append(" ")
        parts.append(child.tail or "")
    text = "".join(parts)
    if element.tag in ("code", "kbd", "samp", "tt") and text.strip() and "`" not in text:
        return f"`{text.strip()}`"
    return text


def _verbatim(element: "HtmlElement") -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag == "br":
            yield "\n"
        elif not _dropped(child):
            yield from _verbatim(child)
        yield child.tail or ""


def _paragraph(text: str) -> Iterator[str]:
    if line := _line(text):
        yield line


def _joined(items: Iterator[str]) -> Iterator[str]:
    if text := "\n".join(items):
        yield text


def _line(text: str) -> str:
    return _SPACE.sub(" ", text).strip()


def _indent(text: str, by: str) -> str:
    return "\n".join(f"{by}{line}" if line else line for line in text.split("\n"))


def _fence(code: str) -> str:
    longest = max((len(run) for run in re.findall(r"^\s*(`{3,})", code, re.MULTILINE)), default=2)
    return "`" * (longest + 1)
