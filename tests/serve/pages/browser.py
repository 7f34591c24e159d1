"""A real browser for the tests of the pages: Debian's chromium, driven by Playwright."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parent / "assets" / "axe-4.14.1.min.js"
SERIOUS = ("serious", "critical")
WIDE, PHONE = (1120, 760), (390, 780)

MISSING = (
    ""
    if CHROMIUM.exists() and find_spec("playwright")
    else "a browser is needed: apt-get install chromium; pip install playwright"
)
PICTURES = os.environ.get("FIRSTFAULT_SCREENSHOTS")
"""Folder to write the screenshots of the documentation to."""


@contextmanager
def launched() -> Iterator["Browser"]:
    """The browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: "Browser", *, scheme: Literal["light", "dark"] = "light", size: tuple[int, int] = WIDE
) -> Iterator["Page"]:
    """A page; what it complains about in its console fails the test, a breach of the policy too."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    said: list[str] = []

    def refuse(dialog: "Dialog") -> None:
        said.append(f"dialog {dialog.message}")
        dialog.dismiss()

    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", refuse)
    try:
        yield page
    finally:
        context.close()
    assert not said, said


def violations(page: "Page") -> list[Any]:
    """What axe-core finds that is serious or critical."""
    # evaluated by the debugger, so that the page's own policy stays in force
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        {
            "rule": one["id"],
            "impact": one["impact"],
            "nodes": [node["html"][:300] for node in one["nodes"]][:4],
        }
        for one in found
        if one["impact"] in SERIOUS
    ]
