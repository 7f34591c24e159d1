"""The pages in a real browser: accessible in light, dark and on a phone; no script of a document runs; every
action by keyboard. With FIRSTFAULT_SCREENSHOTS=FOLDER the screenshots of the documentation are made."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from tests.serve.conftest import Running
from tests.serve.pages.browser import AXE, MISSING, PHONE, PICTURES, WIDE, launched, opened, violations
from tests.serve.pages.conftest import Town, addresses

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

LOOKS: tuple[tuple[Literal["light", "dark"], tuple[int, int]], ...] = (
    ("light", WIDE),
    ("dark", WIDE),
    ("light", PHONE),
)
QUESTION = "What does a resident parking permit for Elm Park cost?"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with launched() as found:
        yield found


@pytest.fixture(scope="module")
def pages(desk: Running, town: Town, diagnosis: str, proof: str) -> dict[str, str]:
    return addresses(desk, town, diagnosis, proof)


def shoot(page: "Page", name: str) -> None:
    """A screenshot for the documentation, where one is asked for."""
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
def test_no_serious_violation_and_nothing_runs(
    browser: "Browser",
    desk: Running,
    pages: dict[str, str],
    scheme: Literal["light", "dark"],
    size: tuple[int, int],
) -> None:
    with opened(browser, scheme=scheme, size=size) as page:
        for name, address in pages.items():
            page.goto(desk.url + address)
            assert page.title() != "owned", name
            assert page.locator("h1").count() == 1, name
            assert violations(page) == [], (name, scheme, size)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size[0], f"{name} is {wide} wide on a screen of {size[0]}"


def test_the_check_itself_finds_what_is_wrong(browser: "Browser") -> None:
    with opened(browser) as page:
        page.set_content("<main><h1>x</h1><img src='data:,'><button></button></main>")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert {one["rule"] for one in violations(page)} >= {"image-alt", "button-name"}


def test_the_answer_streams_and_is_verified(browser: "Browser", desk: Running) -> None:
    with opened(browser) as page:
        page.goto(f"{desk.url}/ui/ask")
        page.fill("textarea", QUESTION)
        page.press("textarea", "Control+Enter")
        page.wait_for_selector("#state a")
        assert page.locator("#answer .answer > li").count() >= 1
        assert page.locator("#answer .chip").first.inner_text().endswith("supported")
        assert page.locator("#answer .source blockquote").count() >= 1
        assert violations(page) == []
        shoot(page, "ask")
        page.click("#state a")
        page.wait_for_url("**/ui/traces/**")
        assert page.locator("h1").inner_text() == QUESTION


def test_a_hostile_document_stays_text_in_a_streamed_answer(browser: "Browser", desk: Running) -> None:
    with opened(browser) as page:
        page.goto(f"{desk.url}/ui/ask")
        page.fill("textarea", "What does the hostile page say about the fountain?")
        page.press("textarea", "Control+Enter")
        page.wait_for_selector("#state a")
        assert "<script>" in page.locator("#answer").inner_text()
        assert page.locator("#answer script, #answer img").count() == 0
        assert page.title() != "owned"


def test_from_the_health_page_to_fault_fix_and_proof(browser: "Browser", desk: Running, town: Town) -> None:
    """The walk-through of docs/at-2am.md, by pages alone: three clicks."""
    with opened(browser) as page:
        page.goto(f"{desk.url}/ui")
        shoot(page, "health")
        page.click(".look a")
        page.wait_for_url(f"**/ui/incidents/{town.incident}")
        assert "first fault: pack / context truncated" in page.locator(".look .big").inner_text()
        shoot(page, "incident")
        page.click("text=Prove a fix")
        page.wait_for_selector("text=Trials on the holdout", timeout=60_000)
        assert page.locator(".look .big").inner_text().startswith("✓")
        assert page.locator("pre").first.inner_text() == "[pack]\nbudget_tokens = 900"
        shoot(page, "proof")
        page.goto(f"{desk.url}/ui/incidents/{town.incident}")
        assert (
            "Proven on earlier questions"
            in page.locator("text=Proven on earlier questions").first.inner_text()
        )


def test_diagnose_and_prove_a_run_by_its_buttons(browser: "Browser", desk: Running, town: Town) -> None:
    with opened(browser) as page:
        page.goto(f"{desk.url}/ui/runs/{town.broken}")
        page.click("button:text-is('Diagnose')")
        page.wait_for_selector("text=How that is known", timeout=60_000)
        assert page.locator(".tree .fault .stage").inner_text().startswith("pack")
        shoot(page, "diagnosis")
        page.click("text=Prove it")
        page.wait_for_selector("text=Trials on the holdout", timeout=60_000)


def test_spot_checks_by_keyboard_alone(browser: "Browser", desk: Running) -> None:
    with opened(browser) as page:
        page.goto(f"{desk.url}/ui/reviews?reviewer=ann")
        page.click("text=Draw from the newest answers")
        page.wait_for_selector(".sentence")
        shoot(page, "spot-check")
        for key in "sun":
            before = page.locator(".sentence").inner_text()
            left = page.locator("text=left for").inner_text()
            with page.expect_navigation():
                page.keyboard.press(key)
            assert page.locator("text=left for").inner_text() != left, before
        said = page.locator(".look").inner_text()
        assert "3 reviewed" in said


def test_lists_are_walked_with_j_and_k(browser: "Browser", desk: Running) -> None:
    with opened(browser) as page:
        page.goto(f"{desk.url}/ui/traces")
        shoot(page, "traces")
        focused = "document.activeElement.getAttribute('href')"
        hrefs = page.eval_on_selector_all("[data-item]", "all => all.map(a => a.getAttribute('href'))")
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert page.evaluate(focused) == hrefs[1]
        page.keyboard.press("k")
        assert page.evaluate(focused) == hrefs[0]
        page.keyboard.press("Enter")
        page.wait_for_url("**/ui/traces/**")
        page.go_back()
        page.keyboard.press("/")
        page.keyboard.type("harbour")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=harbour**")
        assert all("harbour" in text for text in page.locator("tbody [data-item]").all_inner_texts())


def test_every_control_is_reached_with_tab(browser: "Browser", desk: Running, pages: dict[str, str]) -> None:
    reachable = "a[href], button:not([disabled]), input:not([type=hidden]), select, textarea, summary"
    seen: Any = None
    with opened(browser) as page:
        for name in ("health", "incident", "diagnosis", "reviews", "fine-tunes", "fine-tune"):
            page.goto(desk.url + pages[name])
            wanted = page.evaluate(
                f"[...document.querySelectorAll({reachable!r})].filter(e => e.checkVisibility()).length"
            )
            page.evaluate("document.activeElement.blur(); window.seen = new Set()")
            for _ in range(wanted + 12):
                page.keyboard.press("Tab")
                page.evaluate(
                    f"document.activeElement.matches({reachable!r}) && seen.add(document.activeElement)"
                )
            seen = page.evaluate("seen.size")
            assert seen >= wanted, f"{name}: {seen} of {wanted} controls are reached"


def test_pictures_of_the_trace(browser: "Browser", desk: Running, pages: dict[str, str]) -> None:
    with opened(browser) as page:
        page.goto(desk.url + pages["trace"])
        assert page.locator(".fall svg").count() >= 6
        shoot(page, "trace")
    with opened(browser, scheme="dark", size=PHONE) as page:
        page.goto(desk.url + pages["health"])
        shoot(page, "health-phone-dark")
    with opened(browser) as page:
        page.goto(desk.url + pages["drill"])
        shoot(page, "drill")
        page.goto(desk.url + pages["compare"])
        shoot(page, "compare")


def test_a_fine_tune_is_rolled_back_and_released_by_its_buttons(
    browser: "Browser", desk: Running, pages: dict[str, str]
) -> None:
    with opened(browser) as page:
        page.goto(desk.url + pages["overfitted"])
        assert "first fault: recipe / too many epochs" in page.locator(".look .big").inner_text()
        shoot(page, "fine-tune-fault")
        page.goto(desk.url + pages["fine-tune"])
        drawn = page.locator(".chart .plot svg")
        assert drawn.locator("polyline").count() == 2
        assert "lowest 0.60 at step 70" in (drawn.get_attribute("aria-label") or "")
        page.click("summary:text-is('The measurements as a table')")
        assert page.locator("details[open] tbody tr").count() == 10
        page.goto(desk.url + pages["fine-tune"])
        shoot(page, "fine-tune")
        page.click("button:text-is('Roll back tickets')")
        page.wait_for_url("**/ui/fine-tunes")
        assert page.locator("tbody .chip.ok").first.inner_text().endswith("tickets-1")
        page.goto(desk.url + pages["fine-tune"])
        page.fill("input[name=name]", "tickets")
        page.press("input[name=name]", "Enter")
        page.wait_for_selector("text=tickets is tickets-3")
