"""The pages over a million traces: first byte of the lists, the whole trace page, on the loopback.

    python -m bench.pages [--traces 1000000] [--home FOLDER] [--requests 200]

Real requests over the standard library's documentation are recorded, and repeated under new ids, times and
questions until there are enough; that takes some minutes and gigabytes, and is kept in the folder for the
next time. Then `firstfault serve` is started as a process. Prints one JSON document.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert, text

import firstfault
from bench.serve import QUESTIONS, SETTINGS, Process, documents
from firstfault.collection.database import connect, reading, writing
from firstfault.collection.schema import traces
from firstfault.trace import status
from firstfault.trace.store import encode
from firstfault.types import Trace

TOPICS = "gcd zip socket json thread regex date path hash queue copy decimal random mail ssl heap".split()
EVERY_MS = 500
"""Between two requests."""
BATCH = 2000
ADLER = 65521


def fill(home: Path, count: int) -> None:
    """Record real requests, and repeat them."""
    if not home.exists():
        documents(home, 60)
    engine = connect(home)
    with reading(engine) as connection:
        have = int(connection.execute(text("SELECT count(*) FROM traces")).scalar() or 0)
    if have >= count:
        engine.dispose()
        return
    with firstfault.open(home, settings=SETTINGS) as app:
        recorded = [
            app.ask(f"{question} And what of {topic}?") for question in QUESTIONS for topic in TOPICS[:4]
        ]
    recorded += [
        Trace(**{**_fields(one), "error": "The model is gone.", "answer": None}) for one in recorded[:1]
    ]
    rows = _rows(recorded, count - have)
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            _write(engine, batch)
            batch = []
    if batch:
        _write(engine, batch)
    engine.dispose()


def _fields(trace: Trace) -> dict[str, Any]:
    return {name: getattr(trace, name) for name in Trace.__dataclass_fields__}


def _write(engine: Any, batch: list[dict[str, Any]]) -> None:
    with writing(engine) as connection:
        connection.execute(insert(traces), batch)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A record cut behind its question: what follows is compressed once, for all its repetitions."""

    trace: Trace
    head: bytes
    tail: bytes
    """Raw deflate."""
    length: int
    adler: int
    """Of the tail before it was compressed."""

    @classmethod
    def of(cls, trace: Trace) -> "_Parts":
        plain = zlib.decompress(encode(trace))
        question = json.dumps(trace.question, ensure_ascii=False).encode()
        cut = plain.index(question) + len(question)
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        tail = packer.compress(plain[cut:]) + packer.flush()
        return cls(trace, plain[:cut], tail, len(plain) - cut, zlib.adler32(plain[cut:]))

    def record(self, identity: str, at: str, question: str) -> bytes:
        """The record under another id, time and question: two deflate parts under one checksum."""
        head = self.head
        for old, new in ((self.trace.id, identity), (self.trace.at, at), (self.trace.question, question)):
            head = head.replace(_json(old), _json(new), 1)
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        packed = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
        return b"\x78\x01" + packed + self.tail + _joined(zlib.adler32(head), self.adler, self.length)


def _json(value: str) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _joined(first: int, second: int, length: int) -> bytes:
    """Adler-32 of two texts, one after the other, from that of each (RFC 1950)."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % ADLER
    high = ((first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)) % ADLER
    return (high << 16 | low).to_bytes(4, "big")


def _rows(recorded: list[Trace], count: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(7)
    parts = [_Parts.of(trace) for trace in recorded]
    began = datetime.now(UTC) - timedelta(milliseconds=EVERY_MS * count)
    for number in range(count):
        # one in a thousand fails, so that a rare verdict is looked for, too
        which = len(recorded) - 1 if number % 1000 == 999 else draw.randrange(len(recorded) - 1)
        trace = recorded[which]
        moment = began + timedelta(milliseconds=EVERY_MS * number)
        at = moment.isoformat(timespec="milliseconds")
        identity = f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}-{draw.getrandbits(40):010x}"
        question = f"{trace.question} Request {number}."
        yield {
            "id": identity,
            "at": at,
            "collection": trace.collection,
            "question": question,
            "status": status(trace),
            "record": parts[which].record(identity, at, question),
        }


def measure(home: Path, requests: int) -> dict[str, Any]:
    """First byte and whole page, in milliseconds."""
    draw = random.Random(11)
    engine = connect(home)
    with reading(engine) as connection:
        count = int(connection.execute(text("SELECT count(*) FROM traces")).scalar() or 0)
        places = [
            (row.at, row.id)
            for row in connection.execute(
                text("SELECT at, id FROM traces WHERE abs(random()) % :step = 0"),
                {"step": max(1, count // (3 * requests))},
            )
        ]
    engine.dispose()
    draw.shuffle(places)
    kinds = {
        "traces_newest": lambda i: "/ui/traces",
        "traces_anywhere": lambda i: f"/ui/traces?before={places[i][0].replace('+', '%2B')}~{places[i][1]}",
        "traces_rare_verdict": lambda i: (
            f"/ui/traces?status=error&before={places[i][0].replace('+', '%2B')}~{places[i][1]}"
        ),
        "traces_words": lambda i: f"/ui/traces?q={TOPICS[i % 4]}",
        "traces_words_absent": lambda i: f"/ui/traces?q=absent{i}",
        "trace": lambda i: f"/ui/traces/{places[-1 - i][1]}",
        "health": lambda i: "/ui",
    }
    found: dict[str, Any] = {"traces": count}
    with serving(home) as process, httpx.Client(base_url=process.url, timeout=60) as http:
        for name, address in kinds.items():
            first, whole, size = [], [], 0
            cpu = process.cpu_s()
            for i in range(min(requests, len(places) // 2)):
                began = time.perf_counter()
                with http.stream("GET", address(i)) as response:
                    assert response.status_code == 200, (name, response.status_code)
                    chunks = response.iter_raw()
                    size = len(next(chunks))
                    first.append(time.perf_counter() - began)
                    size += sum(len(chunk) for chunk in chunks)
                whole.append(time.perf_counter() - began)
            found[name] = {
                "requests": len(first),
                "first_byte_p50_ms": _ms(statistics.median(first)),
                "first_byte_p95_ms": _ms(sorted(first)[int(0.95 * len(first))]),
                "whole_p95_ms": _ms(sorted(whole)[int(0.95 * len(whole))]),
                "server_cpu_ms": _ms((process.cpu_s() - cpu) / len(first)),
                "bytes": size,
            }
    return found


@contextmanager
def serving(home: Path) -> Iterator[Process]:
    """A server over the home; it has read what monitoring wants to know of earlier traces."""
    with tempfile.TemporaryDirectory() as folder:
        process = Process(Path(folder), home, {})
        process.start()
        try:
            before = process.cpu_s() - 1
            while process.cpu_s() - before > 0.15:
                before = process.cpu_s()
                time.sleep(5)
            yield process
        finally:
            process.stop()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "firstfault-bench-pages")
    given = parser.parse_args()
    began = time.perf_counter()
    fill(given.home, given.traces)
    filled = round(time.perf_counter() - began, 1)
    json.dump({"filled_s": filled, **measure(given.home, given.requests)}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
