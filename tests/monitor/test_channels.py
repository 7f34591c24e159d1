"""Channels are tried against real servers on the loopback."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.listening import listening

from firstfault.config import MonitorConfig
from firstfault.errors import ConfigError
from firstfault.monitor.channels import Message, compose, deliver, open_channels
from firstfault.monitor.incidents import Incident

INCIDENT = Incident(
    id="incident-1",
    at="2026-01-01T01:42:00.000+00:00",
    collection="default",
    state="open",
    stage="format",
    cause="schema_violation",
    proven=True,
    title="Structured answers break their schema",
    summary="Structured answers break their schema since 01:40 UTC: 58 of 1204 requests.",
    began="2026-01-01T01:40:00.000+00:00",
    evidence="required at /items/0/price",
    rules=("broken_schema",),
    traces=("t1",),
    changes=("the adapter changed at 2026-01-01T01:39:00 UTC: v2 → v3",),
    diagnosis=None,
    diagnosis_note="",
    next_command="firstfault diagnose --since 1h",
)


def message() -> Message:
    return compose("opened", INCIDENT, "https://llm.example.org/")


def test_a_message_says_what_broke_why_and_what_to_run() -> None:
    made = message()
    assert made.subject.startswith("[FIRING] default: Structured answers break their schema")
    for part in ("format / schema_violation (diagnosed)", "v2 → v3", "firstfault incident incident-1"):
        assert part in made.text
    assert "https://llm.example.org/ui/incidents/incident-1" in made.text


@contextmanager
def hook(statuses: list[int]) -> Iterator[tuple[str, list[Any]]]:
    """An endpoint that answers with these, one after the other, and then 200."""
    taken: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with listening(Handler) as address:
        yield f"{address}/secret-path", taken


def test_a_webhook_is_tried_again_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with hook([503]) as (url, taken):
        monkeypatch.setenv("HOOK", url)
        assert deliver(open_channels(MonitorConfig(webhook_env="HOOK")), message()) == []
    assert len(taken) == 2
    assert taken[1]["incident"]["stage"] == "format"
    assert taken[1]["event"] == "opened"


def test_slack_gets_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    with hook([]) as (url, taken):
        monkeypatch.setenv("SLACK", url)
        deliver(open_channels(MonitorConfig(slack_env="SLACK")), message())
    assert set(taken[0]) == {"text"}
    assert "schema_violation" in taken[0]["text"]


def test_what_cannot_be_delivered_is_said_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with hook([403]) as (url, taken):
        monkeypatch.setenv("HOOK", url)
        channels = open_channels(MonitorConfig(webhook_env="HOOK"))
        (failed,) = deliver(channels, message())
    assert len(taken) == 1
    assert failed == "webhook: the endpoint answered 403"
    (failed,) = deliver(channels, message(), tries=2)
    assert "cannot be reached" in failed
    assert "secret-path" not in failed


def test_mail_is_handed_to_a_server() -> None:
    letters: list[str] = []

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 ready\r\n")
            text, data = "", False
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                if data:
                    if line == ".":
                        letters.append(text)
                        data = False
                        self.wfile.write(b"250 kept\r\n")
                    text += line + "\n"
                elif line.upper().startswith("DATA"):
                    data = True
                    self.wfile.write(b"354 go on\r\n")
                elif line.upper().startswith("QUIT"):
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = MonitorConfig(
        smtp_host="127.0.0.1",
        smtp_port=server.server_address[1],
        email_from="a@x.org",
        email_to="b@x.org, c@x.org",
    )
    try:
        assert deliver(open_channels(settings), message()) == []
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    (letter,) = letters
    assert "To: b@x.org, c@x.org" in letter
    assert "[FIRING]" in letter


def test_a_secret_that_is_missing_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    with pytest.raises(ConfigError, match="HOOK is empty"):
        open_channels(MonitorConfig(webhook_env="HOOK"))
    with pytest.raises(ConfigError, match="sender or recipients"):
        open_channels(MonitorConfig(smtp_host="localhost"))
