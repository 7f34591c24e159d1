"""An application on a small collection with the real embedder, a home with a few documents, and an endpoint
on the loopback that writes what it is told."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import DOCUMENTS
from tests.listening import listening
from tests.made import make_home
from tests.models.conftest import Exchange, FakeEndpoint

import firstfault
from firstfault.answer import Application
from firstfault.config import load
from firstfault.models import remote, store
from firstfault.types import ChunkedDocument, Document

SUBJECTS = ("pump", "valve", "motor", "sensor", "boiler", "filter")
FACTS = (
    "The {0} must be inspected every {1} months by a certified engineer.",
    "When the {0} fails, error code E{1} is shown on the display.",
    "A spare {0} costs {1} euros and is delivered within a week.",
    "The warranty of the {0} ends after {1} years of use.",
    "Never open the {0} while it is under {1} bars of pressure.",
)


def documents() -> list[ChunkedDocument]:
    """Thirty short documents that share many words; the last one says what another says."""
    texts = [
        fact.format(subject, 3 + 7 * row + column)
        for row, subject in enumerate(SUBJECTS)
        for column, fact in enumerate(FACTS)
    ]
    texts[-1] = texts[0]
    return [
        ChunkedDocument(
            document=Document(
                id=f"d{number:02}",
                title=f"Note {number}",
                text=text,
                source="test",
                revision=f"{number:064}",
                metadata={"even": number % 2 == 0, "n": number, "root": math.isqrt(number)},
            ),
            spans=((0, len(text)),),
        )
        for number, text in enumerate(texts)
    ]


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    store.pull()
    with Application(load(tmp_path / "home", environment={}), create=True) as opened:
        list(opened.collection.add_all(documents()))
        yield opened


Reply = str | tuple[str, str] | Mapping[str, Any]
"""A text, a text with its finish reason, or the body of a refusal (400)."""


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the documents ingested."""
    store.pull()
    return make_home(tmp_path_factory.mktemp("answered"), DOCUMENTS)


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
    monkeypatch.setenv("TEST_KEY", "right-key")
    monkeypatch.setattr(remote, "_HONOURED", {})
    with listening(type("Bound", (Exchange,), {"endpoint": made.endpoint})) as address:
        made.endpoint.url = f"{address}/v1"
        yield made


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
