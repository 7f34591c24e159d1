"""The town's by-laws with an endpoint that is two models: a base model, and one that was tuned."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.diagnose.conftest import FACTS, QUESTIONS, write
from tests.listening import listening

import firstfault
from firstfault.models import store

TUNED = "town-adapter"

Speaker = Callable[[str, str, str], str]
"""Model, question and passages (empty without retrieval) → what is said."""


def told(question: str, passages: str) -> str | None:
    """The fact that answers a question, with its mark, when the passages hold it."""
    for name, asked in QUESTIONS.items():
        for number, text in re.findall(r'<passage number="(\d+)"[^>]*>\n(.*?)\n</passage>', passages, re.S):
            if asked == question and FACTS[name][1] in text:
                return f"{FACTS[name][1]} [{number}]"
    return None


def oracle(model: str, question: str, passages: str) -> str:
    """Right where the passages hold it; without them a guess."""
    return told(question, passages) or (
        "The sources do not say." if passages else "Nobody can tell for sure."
    )


@dataclass
class Models:
    """An endpoint on the loopback that answers as the model it is asked for."""

    speak: Speaker = oracle
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Model and question of every request."""

    def settings(self) -> dict[str, str]:
        return {
            "generator.kind": "openai",
            "generator.base_url": self.url,
            "generator.model": "base-model",
            "format.constrain": "false",
        }


def _handler(models: Models) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            users = [one["content"] for one in body["messages"] if one["role"] == "user"]
            passages, _, question = users[0].rpartition("Question: ")
            models.asked.append((body["model"], question))
            said = models.speak(body["model"], question, passages)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            usage = {"prompt_tokens": len(users[0]) // 4, "completion_tokens": len(said) // 4}
            usage["total_tokens"] = sum(usage.values())
            for text, reason in ((said, None), ("", "stop")):
                choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
                self._send({"choices": [choice]}, body["model"])
            self._send({"choices": [], "usage": usage}, body["model"])
            self.wfile.write(b"data: [DONE]\n\n")

        def _send(self, part: dict[str, object], model: str) -> None:
            whole = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model, **part}
            self.wfile.write(f"data: {json.dumps(whole)}\n\n".encode())

    return Handler


@pytest.fixture
def models() -> Iterator[Models]:
    made = Models()
    with listening(_handler(made)) as address:
        made.url = f"{address}/v1"
        yield made


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store.ensure("all-MiniLM-L6-v2")
    place = tmp_path_factory.mktemp("town")
    with firstfault.open(place / "home", create=True) as app:
        app.ingest([write(place / "laws")])
    return place / "home"


@pytest.fixture
def home(town: Path, tmp_path: Path) -> Path:
    """A copy of the town's home."""
    return Path(shutil.copytree(town, tmp_path / "home"))
