"""The pages over HTTP: every one under the policy, small, and escaped; who may see and do what."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import Running, running
from tests.serve.pages.conftest import BROKEN, EVIL, Town, addresses

from firstfault.config import load
from firstfault.finetune import list_releases
from firstfault.serve.keys import KeyStore
from firstfault.serve.pages import rendering
from firstfault.serve.pages.session import COOKIE, SECRET_FILE

LARGEST = 200_000
HTML = {"accept": "text/html"}
GOOD = "ft-20261122T110000000-permits300"
EMPTY = (
    "/ui",
    "/ui/traces",
    "/ui/runs",
    "/ui/fine-tunes",
    "/ui/diagnosis",
    "/ui/incidents",
    "/ui/reviews",
)
KEYS: dict[str, dict[str, Any]] = {
    "reader": {"scopes": ["traces"]},
    "asker": {"scopes": ["ask"]},
    "boss": {"scopes": ["admin"]},
    "elsewhere": {"scopes": ["admin"], "collections": ["other"]},
}


@pytest.fixture(scope="module")
def pages(desk: Running, town: Town, diagnosis: str, proof: str) -> dict[str, str]:
    return addresses(desk, town, diagnosis, proof)


@pytest.fixture(scope="module")
def guarded(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("guarded") / "home"
    shutil.copytree(town.home, home)
    secrets = {name: KeyStore(home).create(name, **made)[1] for name, made in KEYS.items()}
    with running(load(home, overrides=BROKEN, environment={})) as found:
        found.secrets.update(secrets)
        yield found


@contextmanager
def signed_in(server: Running, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=HTML, timeout=60) as client:
        page = client.get("/ui/login").text
        fields = {"token": token(page), "key": server.secrets[name], "next": "/ui/traces"}
        response = client.post("/ui/login", data=fields)
        assert response.status_code == 303, response.text
        assert response.headers["location"] == "/ui/traces"
        yield client


def token(page: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found.group(1)


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str | None] = []
        self.attributes: set[str] = set()
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.add(tag)
        self.attributes |= set(named)
        self.addresses += [
            value for name, value in attrs if name in {"href", "src", "action"} and value is not None
        ]
        if tag == "script":
            self.scripts.append(named.get("src"))


def test_every_page_is_small_strict_and_escaped(desk: Running, pages: dict[str, str]) -> None:
    for name, address in pages.items():
        response = desk.http.get(address, headers=HTML)
        assert response.status_code == 200, (name, response.text)
        assert len(response.content) < LARGEST, name
        assert response.headers["content-security-policy"] == rendering.POLICY
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        found = Tags()
        found.feed(response.text)
        assert all(one is not None and one.startswith("/ui/static/") for one in found.scripts), name
        assert not {one for one in found.attributes if one.startswith("on") or one == "style"}, name
        assert not found.tags & {"img", "iframe", "object", "style", "base"}, name
        assert all(one.startswith(("/ui", "#", "?")) for one in found.addresses), (name, found.addresses)


def test_hostile_text_is_shown_as_it_is(desk: Running, pages: dict[str, str]) -> None:
    for name in ("hostile", "errors", "hostile-incident", "hostile-drill", "hostile-fine-tune"):
        page = desk.http.get(pages[name]).text
        assert EVIL not in page, name
        assert "&lt;script&gt;document.title" in page, name
        assert "{{7*7}}" in page, name


def test_templates_escape_everything() -> None:
    for path in (rendering.FOLDER / "templates").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "|safe" not in text.replace(" ", ""), path.name
        assert "autoescape" not in text, path.name
    assert rendering.environment().autoescape is True


def test_nothing_is_fetched_from_elsewhere() -> None:
    for path in [*rendering.STATIC.iterdir(), *(rendering.FOLDER / "templates").iterdir()]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", text), path.name


def test_static_files_change_their_address_with_their_content(desk: Running) -> None:
    page = desk.http.get("/ui/playbook").text
    address = re.search(r'href="(/ui/static/pages\.css\?v=[0-9a-f]{12})"', page)
    assert address is not None
    response = desk.http.get(address.group(1))
    assert "immutable" in response.headers["cache-control"]
    assert desk.http.get("/ui/static/nothing.css", headers=HTML).status_code == 404
    assert desk.http.get("/ui/static/..%2fsession.py", headers=HTML).status_code == 404


def test_traces_are_filtered_and_paged(desk: Running) -> None:
    seen: list[str] = []
    address = "/ui/traces?q=market"
    for _ in range(10):
        page = desk.http.get(address).text
        seen += re.findall(r'data-item href="/ui/traces/([^"]+)"', page)
        later = re.search(r'rel="next" href="([^"]+)"', page)
        if later is None:
            break
        address = later.group(1).replace("&amp;", "&")
    assert len(seen) == len(set(seen)) >= 24
    errors = desk.http.get("/ui/traces?status=error").text
    assert len(re.findall("data-item", errors)) == 1
    assert "No request fits" in desk.http.get("/ui/traces?until=2001-01-01").text
    assert desk.http.get("/ui/traces?before=nonsense", headers=HTML).status_code == 400


def test_errors_are_pages_for_browsers_and_documents_for_programs(desk: Running) -> None:
    for address in (
        "/ui/traces/none",
        "/ui/runs/none",
        "/ui/diagnosis/job-none",
        "/ui/incidents/none",
        "/ui/fine-tunes/none",
        "/ui/x",
    ):
        response = desk.http.get(address, headers=HTML)
        assert response.status_code == 404, address
        assert response.headers["content-type"].startswith("text/html")
    assert desk.http.get("/ui/traces/none").headers["content-type"] == "application/problem+json"
    assert desk.http.get("/ui/drills/none", headers=HTML).status_code == 400


def test_a_key_is_needed_and_the_cookie_does_not_hold_it(guarded: Running) -> None:
    refused = guarded.http.get("/ui/traces?q=dog", headers=HTML)
    assert refused.status_code == 303
    assert refused.headers["location"] == "/ui/login?next=%2Fui%2Ftraces%3Fq%3Ddog"
    with signed_in(guarded, "reader") as client:
        cookie = client.cookies[COOKIE]
        assert guarded.secrets["reader"] not in cookie
        assert client.get("/ui/traces").status_code == 200
    wrong = guarded.http.post(
        "/ui/login",
        data={"token": token(guarded.http.get("/ui/login").text), "key": "ff_0_x", "next": "/ui"},
        headers=HTML,
    )
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers


def test_the_cookie_is_strict(guarded: Running) -> None:
    page = guarded.http.get("/ui/login").text
    fields = {"token": token(page), "key": guarded.secrets["reader"], "next": "//evil.example/x"}
    response = guarded.http.post("/ui/login", data=fields)
    assert response.headers["location"] == "/ui"
    said = response.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "path=/ui" in said
    guarded.http.cookies.clear()


def test_a_forged_or_revoked_session_ends(guarded: Running) -> None:
    home = guarded.config.home
    key, secret = KeyStore(home).create("leaver", scopes=["traces"])
    guarded.secrets["leaver"] = secret
    with signed_in(guarded, "leaver") as client:
        cookie = client.cookies[COOKIE]
        said, _, signature = cookie.rpartition(".")
        forged = said.replace(key.id, "00000000") + "." + signature
        other = httpx.get(f"{guarded.url}/ui/traces", headers={**HTML, "cookie": f"{COOKIE}={forged}"})
        assert other.status_code == 303
        guarded.server.keys.revoke(key.id)
        assert client.get("/ui/traces").status_code == 303
    assert (home / SECRET_FILE).stat().st_mode & 0o077 == 0


def test_scopes_decide(guarded: Running, town: Town) -> None:
    with signed_in(guarded, "asker") as client:
        assert client.get("/ui/ask").status_code == 200
        assert client.get("/ui/traces").status_code == 403
    with signed_in(guarded, "reader") as client:
        page = client.get(f"/ui/runs/{town.broken}").text
        assert "Diagnose</button>" not in page
        asked = {"token": token(page), "kind": "diagnose", "run": town.broken}
        assert client.post("/ui/diagnosis", data=asked).status_code == 403
        assert client.get("/ui/ask").status_code == 403
    with signed_in(guarded, "elsewhere") as client:
        assert client.get(f"/ui/traces/{town.hostile_trace}").status_code == 404
        assert client.get(f"/ui/runs/{town.broken}").status_code == 404
        assert client.get(f"/ui/incidents/{town.incident}").status_code == 404
        assert "data-item" not in client.get("/ui/traces").text
        assert "data-item" not in client.get("/ui/traces?collection=default").text


def test_actions_need_the_token_of_the_session(guarded: Running, town: Town) -> None:
    with signed_in(guarded, "boss") as client:
        page = client.get(f"/ui/runs/{town.broken}").text
        wanted = {"kind": "diagnose", "run": town.broken}
        actions = {
            "/ui/diagnosis": wanted,
            f"/ui/incidents/{town.incident}/prove": {},
            f"/ui/incidents/{town.incident}/note": {"text": "x"},
            "/ui/reviews/draw": {"collection": "default"},
            "/ui/fine-tunes/rollback": {"name": "tickets"},
            f"/ui/fine-tunes/{GOOD}/release": {"name": "tickets"},
        }
        for address, fields in actions.items():
            for given in ("", "0" * 64, token(guarded.http.get("/ui/login").text)):
                assert client.post(address, data={**fields, "token": given}).status_code == 403, address
        foreign = {"sec-fetch-site": "cross-site"}
        own = {**wanted, "token": token(page)}
        assert client.post("/ui/diagnosis", data=own, headers=foreign).status_code == 403
        body = {"question": "When does the market open?", "stream": True}
        assert client.post("/ui/ask", json=body).status_code == 403
        answered = client.post("/ui/ask", json=body, headers={"x-firstfault-token": token(page)})
        assert answered.status_code == 200
        assert "event: answer" in answered.text
        note = {"text": f"looked at it {EVIL}", "token": token(page)}
        assert client.post(f"/ui/incidents/{town.incident}/note", data=note).status_code == 303
        assert EVIL not in client.get(f"/ui/incidents/{town.incident}").text


def test_a_fine_tune_is_rolled_back_and_released_again(guarded: Running) -> None:
    home = guarded.config.home

    def now() -> int:
        return next(one.number for one in list_releases(home) if one.current)

    assert now() == 2
    with signed_in(guarded, "reader") as client:
        page = client.get(f"/ui/fine-tunes/{GOOD}").text
        assert "</button>" not in page.partition("<footer>")[0]
        assert "Held-out loss from 2.29 at step 0 to 0.63 at step 90, lowest 0.60 at step 70" in page
        denied = client.post("/ui/fine-tunes/rollback", data={"name": "tickets", "token": token(page)})
        assert denied.status_code == 403
    with signed_in(guarded, "elsewhere") as client:
        page = client.get(f"/ui/fine-tunes/{GOOD}").text
        assert "Held-out examples" not in page  # training data, of no collection of this key
        fields = {"name": "tickets", "token": token(page)}
        assert client.post("/ui/fine-tunes/rollback", data=fields).status_code == 403
    assert now() == 2
    with signed_in(guarded, "boss") as client:
        fields = {"name": "tickets", "token": token(client.get("/ui/fine-tunes").text)}
        back = client.post("/ui/fine-tunes/rollback", data=fields)
        assert (back.status_code, now()) == (303, 1)
        bad = client.post("/ui/fine-tunes/ft-20261122T100000000-4examples/release", data=fields)
        assert (bad.status_code, now()) == (400, 1)
        made = client.post(f"/ui/fine-tunes/{GOOD}/release", data={**fields, "licence": "CC0-1.0"})
        assert (made.headers["location"], now()) == (f"/ui/fine-tunes/{GOOD}", 3)
        card = client.get(f"/ui/fine-tunes/{GOOD}/card")
        assert card.headers["content-type"].startswith("text/markdown")
        assert "CC0-1.0" in card.text


def test_the_api_takes_no_cookie(guarded: Running) -> None:
    with signed_in(guarded, "boss") as client:
        assert client.get("/traces").status_code == 401
        forced = httpx.get(f"{guarded.url}/traces", headers={"cookie": f"{COOKIE}={client.cookies[COOKIE]}"})
        assert forced.status_code == 401


def test_signing_out_ends_the_cookie(guarded: Running) -> None:
    with signed_in(guarded, "reader") as client:
        page = client.get("/ui/traces").text
        assert client.post("/ui/logout", data={"token": token(page)}).status_code == 303
        assert COOKIE not in client.cookies


def test_the_root_leads_to_the_pages(desk: Running) -> None:
    assert desk.http.get("/").headers["location"] == "/ui"


def test_a_post_mortem_is_a_download(desk: Running, town: Town) -> None:
    response = desk.http.get(f"/ui/incidents/{town.incident}/post-mortem")
    assert response.headers["content-type"].startswith("text/markdown")
    assert "attachment" in response.headers["content-disposition"]
    assert "context_truncated" in response.text


def test_an_empty_home_has_pages_too(tmp_path: Path) -> None:
    with running(
        load(tmp_path / "home", overrides={"generator.kind": "extractive"}, environment={})
    ) as server:
        for address in EMPTY:
            assert server.http.get(address, headers=HTML).status_code == 200, address
        said = server.http.post(
            "/ui/reviews/draw", data={"token": token(server.http.get("/ui/reviews").text)}, headers=HTML
        )
        assert said.status_code == 400
        assert "no sentence" in said.text
