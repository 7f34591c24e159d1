"""Several endpoints for one model, over real HTTP on the loopback."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from firstfault.answer.application import open_generator
from firstfault.config import Settings, load
from firstfault.errors import InputError, RemoteError
from firstfault.models.generator import Delta
from firstfault.models.pool import PooledGenerator
from firstfault.types import Message

from .conftest import KEY, Exchange, FakeEndpoint

HELLO = (Message(role="user", content="Hi"),)


@contextmanager
def serving(reply: Callable[[Exchange], None]) -> Iterator[FakeEndpoint]:
    fake = FakeEndpoint(reply=reply)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Exchange,), {"endpoint": fake}))
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def saying(text: str, wait_s: float = 0.0) -> Callable[[Exchange], None]:
    def reply(exchange: Exchange) -> None:
        time.sleep(wait_s)
        exchange.begin_stream()
        exchange.send_text(text)
        exchange.send_text("", "stop")
        exchange.end_stream()

    return reply


def failing(exchange: Exchange) -> None:
    exchange.send_json(503, {"error": {"message": "overloaded"}})


def hanging(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.wait_until_gone()


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[FakeEndpoint]]]:
    monkeypatch.setenv("TEST_KEY", KEY)
    with ExitStack() as stack:
        yield lambda *replies: [stack.enter_context(serving(reply)) for reply in replies]


def pool(
    tmp_path: Path, fakes: list[FakeEndpoint], *weights: int, hedge: float | None = None
) -> PooledGenerator:
    """As a user writes it."""
    lines = ['[generator]\nkind = "openai"\nmodel = "m"\napi_key_env = "TEST_KEY"']
    lines += [f"hedge_after_s = {hedge}"] if hedge else []
    for at, fake in enumerate(fakes):
        weight = weights[at] if weights else 1
        lines.append(f'[[generator.endpoints]]\nurl = "{fake.url}"\nweight = {weight}')
    file = tmp_path / "firstfault.toml"
    file.write_text("\n".join(lines))
    settings = load(tmp_path, file, environment={}).settings
    assert settings.fingerprint() == settings.override({"generator.endpoints": ""}).fingerprint()
    assert Settings.model_validate(settings.model_dump()) == settings
    assert all(not isinstance(value, list | dict) for value in settings.model_dump()["generator"].values())
    made = open_generator(settings.generator)
    assert isinstance(made, PooledGenerator)
    return made


async def ask(generator: PooledGenerator) -> tuple[str, list[Delta]]:
    deltas = [delta async for delta in generator.stream(HELLO, max_tokens=5)]
    return "".join(delta.text for delta in deltas), deltas


def notes(deltas: list[Delta]) -> list[tuple[str, dict[str, Any]]]:
    return [(note.name, dict(note.attributes)) for delta in deltas for note in delta.notes]


def test_endpoints_may_stand_in_one_line() -> None:
    settings = Settings().override({"generator.endpoints": "http://a:1/v1 2, http://b:1/v1"})
    assert [(one.url, one.weight) for one in settings.generator.endpoints] == [
        ("http://a:1/v1", 2),
        ("http://b:1/v1", 1),
    ]


async def test_requests_are_spread_by_weight(tmp_path: Path, fakes: Any) -> None:
    three = fakes(saying("a"), saying("b"), saying("c"))
    generator = pool(tmp_path, three, 5, 2, 1)
    said = [(await ask(generator))[0] for _ in range(16)]
    await generator.aclose()
    assert Counter(said) == {"a": 10, "b": 4, "c": 2}
    assert said[:8] == said[8:]
    assert "".join(said[:8]).count("aaa") <= 1  # spread, not in blocks


async def test_an_endpoint_that_fails_is_followed_by_the_next_and_then_rested(
    tmp_path: Path, fakes: Any
) -> None:
    ill, well = fakes(failing, saying("well"))
    generator = pool(tmp_path, [ill, well], 10, 1)
    asked = [await ask(generator) for _ in range(8)]
    assert {text for text, _ in asked} == {"well"}
    (name, attributes) = notes(asked[0][1])[0]
    assert name == "failover"
    assert (attributes["failed"], attributes["next"]) == (ill.url, well.url)
    assert "overloaded" in attributes["reason"]
    assert len(ill.requests) == 2  # then it is rested
    assert notes(asked[-1][1]) == []
    generator.members[0].rested_at = 0.0
    ill.reply = saying("back")
    assert (await ask(generator))[0] == "back"
    assert generator.members[0].failures == 0
    await generator.aclose()


async def test_a_slow_request_is_asked_of_a_second_endpoint(tmp_path: Path, fakes: Any) -> None:
    slow, quick = fakes(hanging, saying("quick"))
    generator = pool(tmp_path, [slow, quick], hedge=0.1)
    text, deltas = await ask(generator)
    assert text == "quick"
    assert notes(deltas) == [("hedged", {"slow": slow.url, "second": quick.url, "after_s": 0.1})]
    assert slow.closed.wait(10)  # it is not left to work for nobody
    await generator.aclose()


async def test_the_slow_one_answers_when_the_second_fails(tmp_path: Path, fakes: Any) -> None:
    slow, ill = fakes(saying("slow", 0.5), failing)
    generator = pool(tmp_path, [slow, ill], hedge=0.05)
    text, deltas = await ask(generator)
    assert text == "slow"
    assert [name for name, _ in notes(deltas)] == ["hedged", "endpoint_failed"]
    await generator.aclose()


async def test_who_leaves_while_two_are_asked_leaves_both(tmp_path: Path, fakes: Any) -> None:
    both = fakes(hanging, hanging)
    task = asyncio.create_task(ask(pool(tmp_path, both, hedge=0.05)))
    while not all(one.requests for one in both):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for one in both:
        assert await asyncio.to_thread(one.closed.wait, 5)


async def test_when_all_fail_the_error_names_them(tmp_path: Path, fakes: Any) -> None:
    two = fakes(failing, failing)
    generator = pool(tmp_path, two)
    with pytest.raises(RemoteError, match="overloaded") as caught:
        await ask(generator)
    assert all(fake.url in caught.value.__notes__[0] for fake in two)
    await generator.aclose()


async def test_a_request_that_is_wrong_is_not_taken_elsewhere(tmp_path: Path, fakes: Any) -> None:
    first, second = fakes(
        lambda exchange: exchange.send_json(400, {"error": {"message": "too long"}}), failing
    )
    generator = pool(tmp_path, [first, second])
    with pytest.raises(InputError, match="too long"):
        await ask(generator)
    assert second.requests == []
    assert generator.members[0].failures == 0
    await generator.aclose()


async def test_an_answer_that_breaks_off_is_not_begun_again(tmp_path: Path, fakes: Any) -> None:
    def cut(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.send_text("half")
        exchange.close_connection = True
        exchange.connection.close()

    broken, other = fakes(cut, saying("whole"))
    generator = pool(tmp_path, [broken, other])
    with pytest.raises(RemoteError, match="broke off"):
        await ask(generator)
    assert other.requests == []
    await generator.aclose()
