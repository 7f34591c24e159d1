"""Keys and doors: who gets in, and what is refused at the edge."""

import http.client
from urllib.parse import urlsplit

import pytest
from tests.serve.conftest import Running, Serve


def _with(server: Running, name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {server.secrets[name]}"}


@pytest.fixture
def guarded(serve: Serve) -> Running:
    return serve(
        keys={
            "asker": {"scopes": ["ask"]},
            "writer": {"scopes": ["ingest"]},
            "reader": {"scopes": ["traces"]},
            "boss": {"scopes": ["admin"]},
            "elsewhere": {"scopes": ["ask"], "collections": ["other"]},
            "slow": {"scopes": ["ask"], "per_minute": 1},
        }
    )


def test_scopes(guarded: Running) -> None:
    question = {"question": "When does the market open?"}
    document = {"documents": [{"id": "a", "text": "b"}]}
    doors: dict[str, dict[str, tuple[object, int]]] = {
        "asker": {
            "/ask": (question, 200),
            "/documents": (document, 403),
            "/evaluate": ({"cases": [{}]}, 403),
        },
        "writer": {"/ask": (question, 403), "/documents": (document, 202)},
        "reader": {"/ask": (question, 403)},
        "boss": {"/ask": (question, 200), "/documents": (document, 202)},
        "elsewhere": {"/ask": (question, 403)},
    }
    for name, expected in doors.items():
        for path, (body, status) in expected.items():
            response = guarded.post(path, body, headers=_with(guarded, name))
            assert response.status_code == status, (name, path, response.text)
    for name, status in {"asker": 403, "reader": 200, "boss": 200}.items():
        for path in ("/traces", "/metrics", "/runs"):
            assert guarded.http.get(path, headers=_with(guarded, name)).status_code == status


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic abc", "Bearer ff_00000000_x"])
def test_without_a_valid_key_nothing_but_health(guarded: Running, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    response = guarded.post("/ask", {"question": "x"}, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    openai = guarded.http.get("/v1/models", headers=headers)
    assert openai.json()["error"]["type"] == "authentication_error"
    assert guarded.http.get("/healthz", headers=headers).status_code == 200
    assert guarded.http.get("/readyz", headers=headers).status_code == 200


def test_a_key_that_asks_too_often_is_told_when_to_come_back(guarded: Running) -> None:
    first = guarded.post("/search", {"question": "market"}, headers=_with(guarded, "slow"))
    second = guarded.post("/search", {"question": "market"}, headers=_with(guarded, "slow"))
    assert (first.status_code, second.status_code) == (200, 429)
    assert 1 <= int(second.headers["retry-after"]) <= 60


def test_traces_of_other_collections_are_not_there(guarded: Running) -> None:
    asked = guarded.post("/ask", {"question": "When does the market open?"}, headers=_with(guarded, "boss"))
    path = f"/traces/{asked.json()['trace_id']}"
    assert guarded.http.get(path, headers=_with(guarded, "reader")).status_code == 200
    _, secret = guarded.server.keys.create("far", scopes=["traces"], collections=["other"])
    assert guarded.http.get(path, headers={"authorization": f"Bearer {secret}"}).status_code == 404


def test_a_replay_cannot_point_the_server_elsewhere(guarded: Running) -> None:
    asked = guarded.post("/ask", {"question": "When does the market open?"}, headers=_with(guarded, "asker"))
    assert asked.status_code == 200
    for change in ("generator.base_url", "verifier.kind", "search.rerank_model", "generator.model"):
        body = {"trace_id": asked.json()["trace_id"], "changes": {change: "http://169.254.169.254/"}}
        assert guarded.post("/replay", body, headers=_with(guarded, "asker")).status_code == 403


def test_a_web_page_under_another_name_is_refused(quoting: Running) -> None:
    response = quoting.post("/ask", {"question": "x"}, headers={"host": "evil.example:80"})
    assert response.status_code == 421
    assert quoting.http.get("/healthz", headers={"host": "localhost:1"}).status_code == 200
    assert quoting.http.get("/healthz", headers={"host": "[::1]:1"}).status_code == 200


def test_a_form_is_not_json(quoting: Running) -> None:
    response = quoting.http.post("/ask", content=b'{"question": "x"}', headers={"content-type": "text/plain"})
    assert response.status_code == 422


def test_large_bodies_are_refused_with_and_without_a_length(serve: Serve) -> None:
    server = serve({"serve.max_body_bytes": "2000"})
    body = b'{"question": "' + b"x" * 3000 + b'"}'
    headers = {"content-type": "application/json"}
    assert server.http.post("/ask", content=body, headers=headers).status_code == 413
    pieces = iter([body[:1500], body[1500:]])
    assert server.http.post("/ask", content=pieces, headers=headers).status_code == 413


@pytest.mark.parametrize(
    "target",
    [
        "/documents/../../../../etc/passwd",
        "/documents/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/traces/..%2f..%2fkeys.json",
        "/jobs/..%2f..%2fkeys",
        "/runs/%00",
        "/documents/%00",
    ],
)
def test_paths_do_not_leave_the_home(quoting: Running, target: str) -> None:
    address = urlsplit(quoting.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request("GET", target)
    response = connection.getresponse()
    assert response.status == 404
    assert b"root:" not in response.read()
    connection.close()


def test_headers_cannot_be_injected(quoting: Running) -> None:
    response = quoting.http.put("/documents/x%0d%0aset-cookie:%20a=b", json={"text": "x"})
    assert response.status_code == 404
    assert "set-cookie" not in response.headers
    response = quoting.http.get("/traces/x%0d%0aset-cookie:%20a=b")
    assert response.status_code == 404
    assert "set-cookie" not in response.headers
