"""When things break: the model endpoint, the client, the queue."""

import asyncio
import json
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import pytest
from tests.serve.conftest import Endpoint, Running, Serve, until

from firstfault.serve.calls import Call

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


def test_load_takes_out_the_reranker_first(serve: Serve) -> None:
    server = serve({"serve.concurrency": "1", "serve.queue": "1"})
    admission = server.server.engine.admission
    call = Call(10)
    loop = asyncio.new_event_loop()
    admission._waiting.append(loop.create_future())
    settings = server.server.engine.degraded(server.server.engine.settings, call)
    assert settings.search.rerank == "none"
    assert call.degraded[0] == "no_reranker"
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
