"""The models of the small applications: an OpenAI-compatible server on this machine, faulty where it is told
so.

In: clerks and embeddings by name. Out: `/NAME/v1/chat/completions` and `/NAME/v1/embeddings`. A clerk answers
from the passages of the prompt and nothing else, cites what it used and abstains where nothing helps, unless
its manner is a fault. It knows how to phrase the answer of every question, not whether the passages hold it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.situations.world import Fact, Question

_PASSAGE = re.compile(r'<passage number="(\d+)" title="([^"\n]*)">\n(.*?)\n</passage>', re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")

Vectors = NDArray[np.float32]
Embed = Callable[[list[str]], Vectors]


@dataclass(frozen=True)
class Source:
    """A passage of the prompt."""

    number: int
    title: str
    text: str


@dataclass
class Clerk:
    """A model that answers from its passages.

    `manner` is `right`, the name of a fault (`contradicts`, `ignores`, `abstains`, `invents`, `fabricates`,
    `misattributes`, `omits`, `drowns`), or a way of being right (`rewords`, `tells_more`, `formats`).
    """

    questions: Mapping[str, Question]
    """By their text."""
    manner: str = "right"
    share: float = 1.0
    """Of the questions on which the manner shows, chosen by a hash."""
    seed: int = 0
    outdated: Mapping[str, tuple[Fact, ...]] = field(default_factory=dict)
    """By question id: what other passages may say instead; believed before what is right."""
    drowns_above: int = 8
    """Passages that it can keep apart."""
    abstention: str = "The sources do not say."

    def answer(self, prompt: str) -> str:
        sources = [
            Source(int(n), title, " ".join(text.split())) for n, title, text in _PASSAGE.findall(prompt)
        ]
        asked = prompt.rsplit("Question:", 1)[-1].strip()
        question = self.questions.get(asked)
        if question is None:
            return self.abstention
        struck = self._struck(question)
        if not question.facts:
            if self.manner == "invents" and struck and sources:
                return f"{question.invented} [1]"
            return self.abstention
        for fact in self.outdated.get(question.id, ()):
            numbers = _holding(fact, sources)
            if numbers:
                return self._cited(fact.quote, numbers)
        if self.manner == "drowns" and struck and len(sources) > self.drowns_above:
            return self._drowned(question, sources)
        found = [_holding(fact, sources) for fact in question.facts]
        if not all(found):
            return self.abstention
        return self._say(question, found, sources, struck)

    def _say(self, question: Question, found: list[list[int]], sources: list[Source], struck: bool) -> str:
        pairs = list(zip(question.facts, found, strict=True))
        manner = self.manner if struck else "right"
        if manner == "contradicts":
            return " ".join(self._cited(fact.wrong, numbers) for fact, numbers in pairs)
        if manner == "ignores":
            return question.invented + (" [1]" if self.seed % 2 else "")
        if manner == "abstains":
            return self.abstention
        if manner == "fabricates":
            return " ".join(self._cited(fact.quote, [len(sources) + 1 + self.seed % 5]) for fact, _ in pairs)
        if manner == "misattributes":
            return " ".join(self._cited(f.quote, [_another(f, n, sources)]) for f, n in pairs)
        if manner == "omits":
            return " ".join(fact.quote for fact, _ in pairs)
        if manner == "rewords":
            return " ".join(self._cited(fact.reworded, numbers) for fact, numbers in pairs)
        if manner == "tells_more":
            return " ".join(self._more(fact, numbers, sources) for fact, numbers in pairs)
        if manner == "formats":
            return self._formatted(pairs)
        return " ".join(self._cited(fact.quote, numbers) for fact, numbers in pairs)

    def _cited(self, sentence: str, numbers: list[int]) -> str:
        marks = "".join(f"[{number}]" for number in numbers)
        if self.seed % 3 == 0:
            return f"{sentence.rstrip('.')} {marks}."
        return f"{sentence} {marks}"

    def _more(self, fact: Fact, numbers: list[int], sources: list[Source]) -> str:
        """The answer, then what else the same passage says, each sentence with its mark."""
        text = next(source.text for source in sources if source.number == numbers[0])
        sentences = [
            s for s in _SENTENCE.split(text) if s != fact.quote and s[-1:] == "." and len(s.split()) > 4
        ]
        return " ".join(self._cited(s, numbers[:1]) for s in [fact.quote, *sentences[: 2 + self.seed % 3]])

    def _formatted(self, pairs: list[tuple[Fact, list[int]]]) -> str:
        lines = []
        for fact, numbers in pairs:
            marks = "".join(f"[{n}]" for n in numbers)
            bold = fact.quote.replace(fact.value, f"**{fact.value}**", 1)
            lines.append(
                (
                    f"- {bold} {marks}",
                    f"{bold}\n{marks}",
                    f"According to the documents: {fact.quote} {marks}",
                    f"1. {fact.quote} {marks}",
                    f"“{fact.quote}” {marks}",
                )[self.seed % 5]
            )
        return "\n".join(lines)

    def _drowned(self, question: Question, sources: list[Source]) -> str:
        """A sentence of a passage that has nothing to do with it, as models do when there are too many."""
        quotes = {fact.quote for fact in question.facts}
        others = [s for s in sources if not any(quote in s.text for quote in quotes)]
        source = others[self._hash(question.id) % len(others)]
        sentences = [s for s in _SENTENCE.split(source.text) if s[-1:] == "." and len(s.split()) > 4]
        return f"{sentences[self._hash(question.text) % len(sentences)]} [{source.number}]"

    def _struck(self, question: Question) -> bool:
        return self._hash(question.id) % 1000 < self.share * 1000

    def _hash(self, text: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{text}".encode()).digest()[:6])


def _holding(fact: Fact, sources: list[Source]) -> list[int]:
    """The passage that says it, or two of one document that say it together; empty when none does."""
    quote = " ".join(fact.quote.split())
    for source in sources:
        if quote in source.text:
            return [source.number]
    words = quote.split()
    for cut in range(1, len(words)):
        head, tail = " ".join(words[:cut]), " ".join(words[cut:])
        for first in sources:
            for second in sources:
                if first.text.endswith(head) and second.text.startswith(tail) and first.title == second.title:
                    return [first.number, second.number]
    return []


def _another(fact: Fact, numbers: list[int], sources: list[Source]) -> int:
    """A passage that does not say it."""
    others = [s.number for s in sources if s.number not in numbers and fact.quote not in s.text]
    return others[len(fact.quote) % len(others)] if others else numbers[0]


@dataclass
class Room:
    """The models behind one address."""

    clerk: Clerk
    embed: Embed | None = None


class Endpoint:
    """The server. Use as a context manager; `rooms` may change while it runs."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            _headers_buffer: list[bytes]

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                _, name, _, *what = self.path.split("/")
                room = outer.rooms[name]
                outer.requests += 1
                if what[-1] == "embeddings":
                    self._json(_embeddings(room, body))
                else:
                    text = room.clerk.answer("\n".join(str(m["content"]) for m in body["messages"]))
                    if body.get("stream"):
                        self._stream(body["model"], text)
                    else:
                        message = {"role": "assistant", "content": text}
                        choice = {"index": 0, "message": message, "finish_reason": "stop"}
                        self._json(
                            {
                                "id": "c",
                                "object": "chat.completion",
                                "created": 0,
                                "model": body["model"],
                                "choices": [choice],
                            }
                        )

            def do_GET(self) -> None:
                self._json({"object": "list", "data": [{"id": "house", "object": "model"}]})

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

            def _json(self, value: Any) -> None:
                self._reply("application/json", json.dumps(value).encode())

            def _reply(self, kind: str, raw: bytes) -> None:
                """In one write: a second one would wait for the first one's acknowledgement."""
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(raw)))
                self._headers_buffer.append(b"\r\n")
                head = b"".join(self._headers_buffer)
                self._headers_buffer = []
                self.wfile.write(head + raw)

            def _stream(self, model: str, text: str) -> None:
                base = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": model}
                deltas = [{"role": "assistant", "content": ""}, {"content": text}]
                chunks: list[dict[str, Any]] = [
                    {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
                    for delta in deltas
                ]
                chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
                raw = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
                self._reply("text/event-stream", raw.encode())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}/v1"

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _embeddings(room: Room, body: dict[str, Any]) -> dict[str, Any]:
    assert room.embed is not None
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    rows = [
        {"object": "embedding", "index": i, "embedding": [float(x) for x in vector]}
        for i, vector in enumerate(room.embed(texts))
    ]
    return {
        "object": "list",
        "model": body["model"],
        "data": rows,
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }


class Encoders:
    """Embeddings that the endpoint can serve, all made from one local encoder."""

    def __init__(self, encode: Embed) -> None:
        self._model = encode
        self._known: dict[str, Vectors] = {}

    def _encode(self, texts: list[str]) -> Vectors:
        """Each text once: many situations ask the same."""
        for text in texts:
            if text not in self._known:
                self._known[text] = self._model([text])[0]
        return np.stack([self._known[text] for text in texts])

    def named(self, name: str) -> Embed:
        """`plain`, or a distortion: `rotated:SEED`, `first_words:N`, `few:N`, `biased:SEED`."""
        kind, _, number = name.partition(":")
        if kind == "plain":
            return self._encode
        value = int(number)
        if kind == "rotated":
            return lambda texts: self._encode(texts) @ _rotation(value)
        if kind == "first_words":
            return lambda texts: self._encode([" ".join(text.split()[:value]) for text in texts])
        if kind == "few":
            return lambda texts: _few(self._encode(texts), value)
        assert kind == "biased"
        return lambda texts: _biased(self._encode(texts), texts, value)


@cache
def _rotation(seed: int) -> Vectors:
    matrix = np.random.default_rng(seed).standard_normal((384, 384))
    return np.linalg.qr(matrix)[0].astype(np.float32)


def _few(vectors: Vectors, count: int) -> Vectors:
    """All but a few components lost, as by a wrong quantisation."""
    kept = np.full_like(vectors, 0.01)
    kept[:, :count] = vectors[:, :count]
    return kept


def _biased(vectors: Vectors, texts: list[str], seed: int) -> Vectors:
    """Meaning drowned by what depends on the characters alone, as by a model not trained for search."""
    rows = []
    for vector, text in zip(vectors, texts, strict=True):
        digest = int.from_bytes(hashlib.sha256(f"{seed}/{text}".encode()).digest()[:4])
        noise = np.random.default_rng(digest).standard_normal(384)
        rows.append(0.08 * vector + noise / np.linalg.norm(noise) * 0.6 + np.full(384, 0.04))
    return np.stack(rows).astype(np.float32)
