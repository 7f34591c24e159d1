import asyncio
import socket
import threading
import time
from typing import Any

import pytest

from firstfault.errors import ConfigError, InputError, RemoteError
from firstfault.models import Delta, Message, OpenAIGenerator

from .conftest import KEY, Exchange, FakeEndpoint

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def make(endpoint: FakeEndpoint, **settings: Any) -> OpenAIGenerator:
    return OpenAIGenerator(**{"base_url": endpoint.url, "model": "m", "api_key_env": "TEST_KEY"} | settings)


async def ask(generator: OpenAIGenerator, **settings: Any) -> list[Delta]:
    try:
        messages = [Message(role="user", content="Hi")]
        return [d async for d in generator.stream(messages, **{"max_tokens": 5} | settings)]
    finally:
        await generator.aclose()


def say_hello(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.send_text("Hel")
    exchange.send_text("lo")
    exchange.send_text("", "stop")
    exchange.send_event(
        '{"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],'
        ' "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}'
    )
    exchange.end_stream()


async def test_streams_text_reason_and_counts(endpoint: FakeEndpoint) -> None:
    endpoint.reply = say_hello
    deltas = await ask(make(endpoint), temperature=0.5, seed=3, stop=["x"])
    assert [d.text for d in deltas] == ["Hel", "lo", ""]
    assert deltas[-1] == Delta(finish_reason="stop", prompt_tokens=9, completion_tokens=2)
    (request,) = endpoint.requests
    assert request["path"] == "/v1/chat/completions"
    assert request["messages"] == [{"role": "user", "content": "Hi"}]
    assert (request["max_tokens"], request["temperature"], request["seed"]) == (5, 0.5, 3)
    assert (request["stop"], request["stream"]) == (["x"], True)


async def test_a_page_in_place_of_an_answer_is_named(endpoint: FakeEndpoint) -> None:
    endpoint.reply = lambda exchange: exchange.send_json(200, {}, **{"Content-Type": "text/html"})
    with pytest.raises(RemoteError, match="answered with text/html, not with a stream of events"):
        await ask(make(endpoint))


async def test_an_adapter_is_asked_for_as_a_model_and_the_base_model_in_its_place_is_noticed(
    endpoint: FakeEndpoint,
) -> None:
    endpoint.reply = say_hello  # as "m"
    assert "".join(delta.text for delta in await ask(make(endpoint, model="base", adapter="m"))) == "Hello"
    assert endpoint.requests[0]["model"] == "m"
    with pytest.raises(RemoteError, match="answered as m, not with the adapter tickets"):
        await ask(make(endpoint, adapter="tickets"))


async def test_the_other_token_limit_field(endpoint: FakeEndpoint) -> None:
    endpoint.reply = say_hello
    await ask(make(endpoint, max_tokens_field="max_completion_tokens"))
    assert "max_tokens" not in endpoint.requests[0]
    assert endpoint.requests[0]["max_completion_tokens"] == 5


async def test_a_wrong_key_names_the_variable_never_the_key(
    endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-secret")
    with pytest.raises(RemoteError, match="TEST_KEY") as caught:
        await ask(make(endpoint))
    assert "sk-secret" not in str(caught.value)
    assert endpoint.url in str(caught.value)
    assert len(endpoint.requests) == 1  # not tried again
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(ConfigError, match="TEST_KEY is not set"):
        await ask(make(endpoint))


async def test_an_unreachable_endpoint_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        generator = OpenAIGenerator(base_url=url, model="m", attempts=1)
        with pytest.raises(RemoteError, match="cannot be reached") as caught:
            await ask(generator)
    assert url in str(caught.value)
    assert caught.value.transient
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("status", "kind", "words", "transient"),
    [
        (404, RemoteError, "was not found", False),
        (429, RemoteError, "no more requests", True),
        (503, RemoteError, "failed", True),
        (400, InputError, "refused the request", False),
    ],
)
async def test_refusals_are_explained(
    status: int, kind: type[Exception], words: str, transient: bool, endpoint: FakeEndpoint
) -> None:
    endpoint.reply = lambda exchange: exchange.send_json(
        status, {"error": {"message": "the endpoint's words"}}
    )
    with pytest.raises(kind, match=words) as caught:
        await ask(make(endpoint, attempts=1))
    assert "the endpoint's words" in str(caught.value)
    assert getattr(caught.value, "transient", False) == transient


async def test_a_passing_failure_is_tried_again(endpoint: FakeEndpoint) -> None:
    def busy_at_first(exchange: Exchange) -> None:
        if len(endpoint.requests) == 1:
            exchange.send_json(429, {"error": {"message": "slow down"}}, Retry_After="0")
        elif len(endpoint.requests) == 2:
            exchange.begin_stream()
            exchange.close_connection = True  # cut before anything arrived
            exchange.wfile.flush()
        else:
            say_hello(exchange)

    endpoint.reply = busy_at_first
    deltas = await ask(make(endpoint))
    assert "".join(d.text for d in deltas) == "Hello"
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize("way", ["connection", "end", "done"])
async def test_a_stream_cut_in_the_middle_is_an_error(way: str, endpoint: FakeEndpoint) -> None:
    def cut(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.send_text("Hel")
        if way == "connection":
            exchange.close_connection = True
        elif way == "end":
            exchange.wfile.write(b"0\r\n\r\n")
        else:
            exchange.end_stream()

    endpoint.reply = cut
    generator = make(endpoint)
    stream = generator.stream([Message(role="user", content="Hi")], max_tokens=5)
    assert (await anext(stream)).text == "Hel"
    with pytest.raises(RemoteError, match="broke off after 3 characters") as caught:
        await anext(stream)
    await generator.aclose()
    assert caught.value.transient
    assert len(endpoint.requests) == 1  # the caller has seen text: not tried again


async def test_a_malformed_stream_is_an_error(endpoint: FakeEndpoint) -> None:
    def garble(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.send_text("Hel")
        exchange.send_event("{not json")
        exchange.end_stream()

    endpoint.reply = garble
    with pytest.raises(RemoteError, match="not an OpenAI-style reply"):
        await ask(make(endpoint))


async def test_a_reply_that_is_no_stream_is_an_error(endpoint: FakeEndpoint) -> None:
    endpoint.reply = lambda exchange: exchange.send_json(200, {"hello": "world"})
    with pytest.raises(RemoteError):
        await ask(make(endpoint, attempts=1))


async def test_a_slow_first_token_runs_out_of_time(endpoint: FakeEndpoint) -> None:
    def wait(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.wait_until_gone()

    endpoint.reply = wait
    start = time.monotonic()
    with pytest.raises(RemoteError, match="in time") as caught:
        await ask(make(endpoint), timeout_s=0.3)
    assert caught.value.transient
    assert time.monotonic() - start < 5
    assert await asyncio.to_thread(endpoint.closed.wait, 5)  # the endpoint was told


async def test_a_silent_endpoint_runs_out_of_time(endpoint: FakeEndpoint) -> None:
    endpoint.reply = lambda _: time.sleep(1)
    with pytest.raises(RemoteError, match="in time"):
        await ask(make(endpoint, timeout_s=0.2, attempts=1))


@pytest.mark.parametrize("speaking", [False, True])
async def test_cancelling_closes_the_connection(endpoint: FakeEndpoint, speaking: bool) -> None:
    asked = threading.Event()

    def listen(exchange: Exchange) -> None:
        if speaking:
            exchange.begin_stream()
            exchange.send_text("Hel")
        asked.set()
        if not exchange.rfile.read(1):  # it hung up
            raise ConnectionResetError

    endpoint.reply = listen
    task = asyncio.create_task(ask(make(endpoint)))
    assert await asyncio.to_thread(asked.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(endpoint.closed.wait, 5)


async def test_endless_blanks_are_ended(endpoint: FakeEndpoint) -> None:
    def drone(exchange: Exchange) -> None:
        exchange.begin_stream()
        while True:
            exchange.send_text(" " * 10)

    endpoint.reply = drone
    deltas = await ask(make(endpoint))
    assert deltas[-1].finish_reason == "whitespace"


async def test_what_it_cannot_do_is_said(endpoint: FakeEndpoint) -> None:
    generator = make(endpoint)
    with pytest.raises(ConfigError, match="grammar"):
        await ask(generator, grammar="root ::= [a-z]")
    assert not generator.supports_grammar
    assert not generator.exact_counts
    assert generator.count_tokens("Two words.") >= 3
    assert endpoint.requests == []
    assert KEY not in repr(vars(generator))


@pytest.mark.parametrize("base_url", ["", "localhost:8000", "ftp://x"])
def test_a_bad_address_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        OpenAIGenerator(base_url=base_url, model="m")
