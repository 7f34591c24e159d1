"""A home with a few documents, and an endpoint on the loopback that writes what it is told."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import DOCUMENTS
from tests.models.conftest import Exchange, FakeEndpoint

import firstfault
from firstfault.answer import Application
from firstfault.models import remote, store

Reply = str | tuple[str, str] | Mapping[str, Any]
"""A text, a text with its finish reason, or the body of a refusal (400)."""


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the documents ingested."""
    store.pull()
    folder, place = tmp_path_factory.mktemp("documents"), tmp_path_factory.mktemp("home") / "data"
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    with firstfault.open(place, create=True) as app:
        app.ingest([folder])
    return place


class Writer:
    """An endpoint that writes given replies in turn, and honours response formats as it is told."""

    def __init__(self) -> None:
        self.honours: tuple[str, ...] = ()
        """Which response formats it honours; others are ignored, or refused."""
        self.refuses: tuple[str, ...] = ()
        self.replies: list[Reply] = []
        self.asked: list[dict[str, Any]] = []
        """Requests other than probes."""
        self.probes: list[str] = []
        self.endpoint = FakeEndpoint(reply=self._reply)

    def _reply(self, exchange: Exchange) -> None:
        body = exchange.body
        wanted = body.get("response_format", {}).get("type", "")
        probing = "Say hello" in body["messages"][-1]["content"]
        (self.probes if probing else self.asked).append(wanted if probing else body)  # type: ignore[arg-type]
        if wanted in self.refuses:
            exchange.send_json(400, {"error": {"message": f"{wanted} is not supported"}})
            return
        if probing:
            reply: Reply = {"json_schema": '{"firstfault_probe": true}', "json_object": "{}"}.get(
                wanted if wanted in self.honours else "", "Hello"
            )
        else:
            reply = self.replies.pop(0)
        if isinstance(reply, Mapping):
            exchange.send_json(400, {"error": {"message": json.dumps(reply)}})
            return
        text, finish = (reply, "stop") if isinstance(reply, str) else reply
        exchange.begin_stream()
        for start in range(0, len(text), 100):
            exchange.send_text(text[start : start + 100])
        exchange.send_text("", finish)
        exchange.end_stream()


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    """The endpoint, running; what endpoints honour is forgotten before and after."""
    made = Writer()
    handler = type("Bound", (Exchange,), {"endpoint": made.endpoint})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("TEST_KEY", "right-key")
    monkeypatch.setattr(remote, "_HONOURED", {})
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


Open = Callable[..., Application]


@pytest.fixture
def opened(home: Path, writer: Writer) -> Iterator[Open]:
    """Open the home with the endpoint as its generator, and settings of one's own."""
    apps: list[Application] = []

    def make(**settings: str) -> Application:
        base = {
            "generator.kind": "openai",
            "generator.model": "m",
            "generator.base_url": writer.endpoint.url,
            "generator.api_key_env": "TEST_KEY",
            "generator.context_window": "8192",
        }
        changed = {name.replace("__", "."): value for name, value in settings.items()}
        apps.append(firstfault.open(home, settings=base | changed))
        return apps[-1]

    yield make
    for app in apps:
        app.close()
