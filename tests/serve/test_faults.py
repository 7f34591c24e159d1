"""When things break: the model endpoint, the client, the queue."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import urlsplit

import httpx
import pytest
from tests.serve.conftest import Endpoint, Running, Serve, until

from firstfault.config import Settings
from firstfault.errors import OutOfTimeError
from firstfault.serve.calls import Call
from firstfault.serve.runtime import SharedVerifier
from firstfault.trace import record
from firstfault.types import Support
from firstfault.verify.local import unknown

QUESTION = "What does a resident parking permit cost?"


@pytest.mark.parametrize("mode", ["resets", "garbage", "error", "down"])
def test_a_broken_model_is_replaced_by_quotes_and_it_is_said(
    serve: Serve, endpoint: Endpoint, mode: str
) -> None:
    endpoint.mode = mode
    settings = endpoint.settings()
    if mode == "down":
        settings["generator.base_url"] = "http://127.0.0.1:9/v1"
    server = serve(settings)
    response = server.post("/ask", {"question": QUESTION})
    assert response.status_code == 200
    assert response.headers["x-firstfault-degraded"] == "no_generator"
    answer = response.json()
    assert "48 euros" in answer["answer"]
    assert "degraded" in server.trace_events(answer["trace_id"])


def test_degrading_can_be_switched_off(serve: Serve, endpoint: Endpoint) -> None:
    endpoint.mode = "error"
    server = serve({**endpoint.settings(), "serve.degrade_generator": "false"})
    response = server.post("/ask", {"question": QUESTION})
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert server.trace(response.json()["trace_id"])["error"]


def test_the_breaker_spares_an_endpoint_that_fails(serve: Serve, endpoint: Endpoint) -> None:
    endpoint.mode = "garbage"
    server = serve({**endpoint.settings(), "serve.breaker_failures": "2", "serve.breaker_reset_s": "60"})
    for _ in range(4):
        server.ask(QUESTION)
    assert len(endpoint.asked) == 2
    assert 'firstfault_breaker_open{endpoint="' in server.http.get("/metrics").text
    assert [breaker.state for breaker in server.server.engine.parts.breakers().values()] == ["open"]


def _leave(server: Running, body: dict[str, object], endpoint: Endpoint) -> None:
    """Ask, wait until the model writes, and hang up."""
    raw = json.dumps(body).encode()
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            b"POST /ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(raw)}\r\n\r\n".encode()
            + raw
        )
        assert endpoint.begun.wait(20)
        time.sleep(0.1)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_work(serve: Serve, endpoint: Endpoint, stream: bool) -> None:
    endpoint.mode = "slow"
    server = serve(endpoint.settings())
    _leave(server, {"question": QUESTION, "stream": stream}, endpoint)
    assert endpoint.left.wait(10)
    assert until(lambda: server.server.engine.admission.working == 0)
    assert server.http.get("/readyz").status_code == 200
    endpoint.mode = "answer"
    assert "48 euros" in server.ask(QUESTION)["answer"]


def test_a_full_queue_refuses_with_retry_after_and_readiness_turns_back(
    serve: Serve, endpoint: Endpoint
) -> None:
    endpoint.mode = "stalls"
    server = serve(
        {
            **endpoint.settings(),
            "serve.concurrency": "1",
            "serve.queue": "1",
            "serve.degrade_generator": "false",
        }
    )
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(
                httpx.post(f"{server.url}/ask", json={"question": QUESTION}, timeout=60)
            )
        )
        for _ in range(2)
    ]
    admission = server.server.engine.admission
    threads[0].start()
    assert endpoint.begun.wait(20)
    threads[1].start()
    assert until(lambda: admission.waiting == 1)
    not_ready = server.http.get("/readyz")
    assert not_ready.status_code == 503
    assert "saturated" in not_ready.json()["reasons"]
    refused = server.post("/ask", {"question": QUESTION})
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert server.http.get("/healthz").status_code == 200
    endpoint.mode = "answer"
    endpoint.release.set()
    for thread in threads:
        thread.join()
    assert len(answers) == 2
    assert server.http.get("/readyz").status_code == 200


def settings_without_steps(server: Running) -> Settings:
    """As they are, but with every step down switched off, and a generator that could be left out."""
    off = {
        "serve.degrade_reranker": "false",
        "serve.degrade_generator": "false",
        "generator.kind": "llama",
    }
    return server.server.engine.settings.override(off, origin="test")


def test_load_takes_out_the_reranker_first(serve: Serve) -> None:
    server = serve({"serve.concurrency": "1", "serve.queue": "1"})
    admission = server.server.engine.admission
    call = Call(10)
    loop = asyncio.new_event_loop()
    admission._waiting.append(loop.create_future())
    settings = server.server.engine.degraded(server.server.engine.settings, call)
    assert settings.search.rerank == "none"
    assert call.degraded[0] == "no_reranker"
    whole = settings_without_steps(server)
    assert server.server.engine.degraded(whole, Call(10)) is whole
    admission._waiting.clear()
    loop.close()


def test_poisoned_passages_are_flagged_and_cannot_act(serve: Serve) -> None:
    server = serve()
    answer = server.ask("When does the lido open?")
    trace = server.trace(answer["trace_id"])
    flags = {
        event["attributes"]["kind"]
        for span in trace["spans"]
        for event in span["events"]
        if event["name"] == "suspected_injection"
    }
    assert flags >= {"overrides_instructions", "assumes_role", "gives_orders"}
    assert "May" in answer["answer"]
    assert "poison.md" in {one["chunk"]["document_id"] for one in trace["context"]["passages"]}


def test_a_poisoned_passage_stays_inside_its_fence(serve: Serve, endpoint: Endpoint) -> None:
    server = serve(endpoint.settings())
    server.ask("When does the lido open?")
    prompt = endpoint.asked[0]["messages"][-1]["content"]
    poisoned = prompt[prompt.index("The lido opens") :]
    assert poisoned.index("‹/passage>") < poisoned.index("</passage>")
    assert "<|im_start|>" not in prompt


class _Counting:
    """A verifier that counts, and during whose first passage something happens."""

    name = "counting"

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile
        self.asked: list[str] = []

    def verify_claims(self, pairs: Sequence[tuple[Sequence[str], str]]) -> list[Support]:
        self.asked += [contexts[0] for contexts, _ in pairs]
        self.meanwhile()
        return [unknown("not judged")] * len(pairs)


@pytest.mark.parametrize("how", ["left", "late"])
async def test_verifying_ends_between_passages_when_nobody_waits(how: str) -> None:
    call = Call(60)

    def meanwhile() -> None:
        if how == "left":
            call.abandon()
        else:
            call.deadline_s = 0

    inner = _Counting(meanwhile)
    verifier = SharedVerifier(inner)
    pairs = [([passage], claim) for claim in ("one", "two") for passage in ("a", "b", "c")]

    async def work() -> None:
        call.work_begins()
        verifier.verify_claims(pairs)

    with pytest.raises(asyncio.CancelledError if how == "left" else OutOfTimeError):
        await asyncio.create_task(work())
    assert inner.asked == ["a", "a"], "both claims against the first passage, and no other"
    inner.meanwhile = lambda: None
    assert len(verifier.verify_claims(pairs)) == len(pairs), "others go on, and what was said is remembered"
    assert inner.asked == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize("days", [-2, 2])
def test_a_clock_that_jumps_ends_no_request(serve: Serve, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    server = serve({"serve.deadline_s": "30"})
    before = server.ask(QUESTION)
    shift = timedelta(days=days)

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + shift

    wall = time.time
    monkeypatch.setattr(record, "datetime", Jumped)
    monkeypatch.setattr(time, "time", lambda: wall() + shift.total_seconds())
    after = server.ask(QUESTION)
    assert after["answer"] == before["answer"]
    assert 0 < after["timings_ms"]["total"] < 30_000
    assert after["timings_ms"].keys() == before["timings_ms"].keys()
    stamped = datetime.fromisoformat(server.trace(after["trace_id"])["at"])
    assert abs(stamped - datetime.now(UTC) - shift) < timedelta(hours=1)
    newest = server.http.get("/traces").json()["traces"][0]["trace_id"]
    assert newest == (after if days > 0 else before)["trace_id"], "lists go by the wall clock"
