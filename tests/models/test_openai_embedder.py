import hashlib
from typing import Any

import numpy as np
import pytest

from firstfault.errors import ConfigError, RemoteError
from firstfault.models import OpenAIEmbedder

from .conftest import Exchange, FakeEndpoint


def make(endpoint: FakeEndpoint, **settings: Any) -> OpenAIEmbedder:
    return OpenAIEmbedder(**{"base_url": endpoint.url, "model": "m", "api_key_env": "TEST_KEY"} | settings)


def vector(text: str) -> list[float]:
    return [1.0 + byte for byte in hashlib.sha256(text.encode()).digest()[:8]]


def embed(exchange: Exchange) -> None:
    data = [
        {"object": "embedding", "index": number, "embedding": vector(text)}
        for number, text in enumerate(exchange.body["input"])
    ]
    exchange.send_json(200, {"object": "list", "model": "m", "data": data[::-1], "usage": USAGE})


USAGE = {"prompt_tokens": 1, "total_tokens": 1}


def unit(text: str) -> list[float]:
    x = np.array(vector(text), dtype=np.float32)
    return list(x / np.linalg.norm(x))


def test_vectors_in_order_over_several_batches(endpoint: FakeEndpoint) -> None:
    endpoint.reply = embed
    texts = [f"text {n}" for n in range(10)]
    embedder = make(endpoint, batch_size=3, query_prefix="q: ")
    assert embedder.dimension == 8
    np.testing.assert_allclose(embedder.embed(texts), [unit(text) for text in texts], rtol=1e-6)
    np.testing.assert_allclose(embedder.embed(["a"], "query"), [unit("q: a")], rtol=1e-6)
    assert sorted(len(r["input"]) for r in endpoint.requests) == [1, 1, 1, 3, 3, 3]
    assert embedder.embed([]).shape == (0, 8)


def test_a_long_text_is_cut_and_says_so(endpoint: FakeEndpoint) -> None:
    endpoint.reply = embed
    embedder = make(endpoint, max_tokens=6)
    ((short, long),) = list(embedder.stream(["one two", "one two six ten day off now"]))
    assert (short.truncated, short.token_count) == (False, 2)
    assert (long.truncated, long.token_count) == (True, 7)
    assert endpoint.requests[-1]["input"] == ["one two", "one two six ten day off"]


def test_token_vectors_are_not_offered(endpoint: FakeEndpoint) -> None:
    embedder = make(endpoint)
    assert not embedder.late_interaction
    with pytest.raises(ConfigError, match="no token vectors"):
        embedder.embed_tokens(["a"])
    with pytest.raises(ConfigError, match="no token vectors"):
        list(embedder.stream(["a"], tokens=True))
    assert endpoint.requests == []


def test_fingerprint_follows_the_settings(endpoint: FakeEndpoint) -> None:
    endpoint.reply = embed
    assert make(endpoint).fingerprint == make(endpoint).fingerprint
    settings: list[dict[str, Any]] = [{}, {"model": "n"}, {"dimension": 4}, {"document_prefix": "d: "}]
    assert len({make(endpoint, **kind).fingerprint for kind in settings}) == 4


def test_a_wrong_key_names_the_variable_never_the_key(
    endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret")
    with pytest.raises(RemoteError, match="TEST_KEY") as caught:
        make(endpoint).embed(["a"])
    assert "sk-secret" not in str(caught.value)


def test_a_passing_failure_is_tried_again(endpoint: FakeEndpoint) -> None:
    def busy_at_first(exchange: Exchange) -> None:
        if len(endpoint.requests) == 1:
            exchange.send_json(503, {"error": {"message": "loading"}}, Retry_After="0")
        else:
            embed(exchange)

    endpoint.reply = busy_at_first
    np.testing.assert_allclose(make(endpoint, dimension=8).embed(["a"]), [unit("a")], rtol=1e-6)
    assert endpoint.requests[0]["dimensions"] == 8


@pytest.mark.parametrize(
    "rows", [[], [[0.0] * 8], [[1.0] * 7], [[1.0] * 8, [1.0] * 8], [[1.0, None] * 4], ["AAAA"]]
)
def test_unusable_vectors_are_refused(rows: list[Any], endpoint: FakeEndpoint) -> None:
    data = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
    endpoint.reply = lambda exchange: exchange.send_json(200, {"object": "list", "model": "m", "data": data})
    with pytest.raises(RemoteError):
        make(endpoint, dimension=8, attempts=1).embed(["a"])


def test_a_page_that_is_no_api_is_explained(endpoint: FakeEndpoint) -> None:
    endpoint.reply = lambda exchange: exchange.send_json(200, {"hello": "world"})
    with pytest.raises(RemoteError, match="base_url"):
        make(endpoint, dimension=8).embed(["a"])
