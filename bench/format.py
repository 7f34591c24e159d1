"""Structured output: agreement with labels, constrained answers, a broken endpoint, the cost, drift.

    python -m bench.format agreement
    python -m bench.format constrained [--home DIR] [--log FILE] [--count 200]
    python -m bench.format broken [--home DIR] [--count 1000] [--rate 0.05]
    python -m bench.format cost [--count 8]
    python -m bench.format drift [--count 1000]

Reads the folder that FIRSTFAULT_DATA names (`../shared/data` by default). `constrained` takes long; with a
log it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jsonschema import FormatChecker
from jsonschema.validators import validator_for
from referencing import Registry

import firstfault
from bench.peers.corpus import data_folder
from bench.retrieval import rows
from firstfault.answer import Application
from firstfault.errors import FirstfaultError
from firstfault.structured import compile_schema
from firstfault.types import Trace

SEED = 6


def development() -> list[dict[str, Any]]:
    """The development schemas, each with labelled instances."""
    return rows(data_folder() / "formats" / "jsonschema.jsonl.gz")


def agreement() -> None:
    """Our verdicts beside the labels, and beside those of jsonschema with the formats that it knows."""
    counts: Counter[str] = Counter()
    for row in development():
        schema = compile_schema(row["schema"])
        nothing: Registry[Any] = Registry()
        library = validator_for(row["schema"])(
            row["schema"], registry=nothing, format_checker=FormatChecker()
        )
        for test in row["tests"]:
            ours, theirs = schema.is_valid(test["data"]), library.is_valid(test["data"])
            counts["instances"] += 1
            counts["as labelled"] += ours == test["valid"]
            counts["jsonschema as labelled"] += theirs == test["valid"]
            counts["as jsonschema"] += ours == theirs
            if ours != test["valid"] or ours != theirs:
                problems = "; ".join(f"{p.path} {p.rule}" for p in schema.problems(test["data"]))
                print(
                    f"  {row['name']}: label {test['valid']}, ours {ours}, jsonschema {theirs} "
                    f"({test['description']}) {problems}"
                )
    for name, count in counts.items():
        print(f"{name:<24} {count:>6} {count / counts['instances']:.4f}")


def independent(schema: dict[str, Any], value: Any) -> bool:
    """The verdict of jsonschema alone, without anything of ours."""
    nothing: Registry[Any] = Registry()
    return validator_for(schema)(schema, registry=nothing).is_valid(value)


def questions(count: int) -> list[str]:
    cases = [case for case in rows(data_folder() / "qa" / "xquad" / "cases.jsonl.gz") if case["answerable"]]
    step = len(cases) // count
    return [cases[i * step]["question"] for i in range(count)]


@contextmanager
def application(home: Path | None, **settings: str) -> Iterator[Application]:
    """The XQuAD documents, ingested once per home."""
    with tempfile.TemporaryDirectory() as temporary:
        place = home or Path(temporary) / "home"
        fresh = not place.exists()
        named = {name.replace("__", "."): value for name, value in settings.items()}
        named |= {"answer.min_relevance": "-1", "pack.budget_tokens": "160", "generator.timeout_s": "600"}
        with firstfault.open(place, create=fresh, settings=named) as app:
            if fresh:
                app.ingest([data_folder() / "qa" / "xquad" / "documents.jsonl.gz"])
            yield app


def answered(app: Application, question: str, schema: dict[str, Any]) -> dict[str, Any]:
    """What became of one question; an error is a named failure like any other."""
    try:
        return outcome(app.ask(question, schema=schema), schema)
    except FirstfaultError as error:
        nothing = {"trace": "", "constrained": False, "relaxed": False, "kinds": [], "rules": [[]], "ms": 0}
        return {**nothing, "valid": False, "first_try": False, "cause": type(error).__name__, "holds": None}


def outcome(trace: Trace, schema: dict[str, Any]) -> dict[str, Any]:
    """What became of one answer."""
    made = trace.format
    assert made is not None
    return {
        "trace": trace.id,
        "valid": made.valid,
        "first_try": made.first_try,
        "cause": made.cause,
        "constrained": made.constrained,
        "relaxed": any(event.name == "constraint_relaxed" for _, event in trace.events()),
        "kinds": [attempt.kind for attempt in made.attempts],
        "rules": [[problem.rule for problem in attempt.problems] for attempt in made.attempts],
        "holds": independent(schema, made.value) if made.valid else None,
        "ms": round(trace.total_ms),
    }


def constrained(home: Path | None, log: Path | None, count: int) -> None:
    """`count` questions, each under another development schema, with the embedded model."""
    chosen = development()
    random.Random(SEED).shuffle(chosen)
    done: dict[int, dict[str, Any]] = {}
    if log is not None and log.exists():
        done = {row["i"]: row for row in map(json.loads, log.read_text().splitlines())}
    with application(home, format__max_tokens="192", format__retries="1") as app:
        for i, question in enumerate(questions(count)):
            if i in done:
                continue
            row = chosen[i % len(chosen)]
            done[i] = {"i": i, "schema": row["name"], **answered(app, question, row["schema"])}
            if log is not None:
                with log.open("a") as file:
                    file.write(json.dumps(done[i]) + "\n")
    summary(list(done.values()))


def summary(found: list[dict[str, Any]]) -> None:
    n = len(found)
    valid = [row for row in found if row["valid"]]
    print(f"{n} answers: {len(valid)} valid, {sum(row['first_try'] for row in found)} at the first try")
    print(f"named failures: {dict(Counter(row['cause'] for row in found if not row['valid']))}")
    wrong = [row for row in valid if not row["holds"]]
    print(f"returned as valid and invalid for jsonschema: {len(wrong)} {[row['trace'] for row in wrong]}")
    print(
        f"constrained: {sum(row['constrained'] for row in found)}, relaxed {sum(r['relaxed'] for r in found)}"
    )
    calls = [sum(kind == "retried" for kind in row["kinds"]) for row in found]
    print(f"extra calls: {statistics.mean(calls):.3f} an answer")
    rules = Counter(rule for row in found for rule in set(row["rules"][0]))
    print(f"rules broken at the first try: {rules.most_common(8)}")


PRODUCT: dict[str, Any] = {
    "title": "Finding",
    "type": "object",
    "properties": {
        "answer": {"type": "string"},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "year": {"type": ["integer", "null"]},
        "topics": {"type": "array", "items": {"enum": ["person", "place", "event", "other"]}, "maxItems": 4},
    },
    "required": ["answer", "confidence", "topics"],
    "additionalProperties": False,
}

WAYS = (
    "prose",
    "fence",
    "trailing comma",
    "scalar types",
    "duplicate key",
    "truncated",
    "endless blanks",
    "huge number",
)


def well(rng: random.Random) -> dict[str, Any]:
    words = " ".join(rng.choice(["the", "blue", "river", "was", "crossed", "in", "spring"]) for _ in range(8))
    topics = rng.sample(["person", "place", "event", "other"], rng.randint(0, 3))
    return {
        "answer": words,
        "confidence": round(rng.random(), 3),
        "year": rng.randint(1000, 2024),
        "topics": topics,
    }


def badly(way: str, value: dict[str, Any]) -> tuple[str, str]:
    """The text of a value, broken in one of the eight ways, and its finish reason."""
    text = json.dumps(value)
    match way:
        case "prose":
            return f"Sure, here is what I found: {text} Let me know [1] if you need more!", "stop"
        case "fence":
            return f"```json\n{json.dumps(value, indent=2)}\n```", "stop"
        case "trailing comma":
            return text.replace("]}", "],}"), "stop"
        case "scalar types":
            return json.dumps(
                {**value, "confidence": str(value["confidence"]), "year": str(value["year"])}
            ), "stop"
        case "duplicate key":
            return text.replace("]}", f'], "year": {value["year"] + 1}}}'), "stop"
        case "truncated":
            return text[: len(text) * 2 // 3], "length"
        case "endless blanks":
            return text[: len(text) // 2] + " \n" * 400, "stop"
        case _:
            return text.replace(f'"year": {value["year"]}', '"year": 1e999'), "stop"


class Broken(BaseHTTPRequestHandler):
    """Chat completions without constrained decoding; a share of the replies is broken."""

    rate = 0.05
    rng = random.Random(SEED)
    calls: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "Say hello" in body["messages"][-1]["content"]:
            self.send("Hello", "stop")
            return
        broken = self.rng.random() < self.rate
        way = self.rng.choice(WAYS) if broken else "well"
        self.calls[way] += 1
        value = well(self.rng)
        self.send(*(badly(way, value) if broken else (json.dumps(value), "stop")))

    def send(self, text: str, finish: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for delta, reason in (({"content": text}, None), ({}, finish)):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = {
                "id": "1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": [choice],
            }
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        pass


def broken_endpoint(home: Path | None, count: int, rate: float) -> None:
    """`count` answers from an endpoint that breaks a share of its replies, in eight ways."""
    Broken.rate = rate
    server = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    settings = {"generator.kind": "openai", "generator.model": "m", "generator.base_url": url}
    asked = questions(100)
    try:
        with application(home, **settings) as app:
            found = [answered(app, asked[i % len(asked)], PRODUCT) for i in range(count)]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    print(f"replies: {dict(Broken.calls)}")
    summary(found)
    repaired = sum(row["valid"] and "retried" not in row["kinds"] for row in found)
    print(
        f"valid at the first try {sum(row['first_try'] for row in found) / count:.4f}, "
        f"after repair {repaired / count:.4f}, in the end {sum(row['valid'] for row in found) / count:.4f}"
    )


def cost(repeats: int) -> None:
    """Tokens per second of the embedded model, free and constrained in turn, in one run."""
    from firstfault.models import LlamaGenerator, store
    from firstfault.structured.decoding import offers
    from firstfault.types import Message

    store.ensure("SmolLM2-135M-Instruct")
    schema = {
        "type": "object",
        "properties": {"story": {"type": "string", "minLength": 250, "maxLength": 400}},
        "required": ["story"],
        "additionalProperties": False,
    }
    generator = LlamaGenerator(context_window=1024)
    versions = offers(compile_schema(schema), max_string=400, max_items=12)

    async def speed(seed: int, constraint: Any) -> float:
        turn = [Message(role="user", content=f"Tell me a long story about {seed} boats and a lighthouse.")]
        first = last = 0.0
        tokens = 0
        async for delta in generator.stream(turn, max_tokens=64, constraint=constraint):
            if delta.text:
                last = time.perf_counter()
                first = first or last
                tokens += 1
        return (tokens - 1) / (last - first)

    async def run() -> None:
        began = time.perf_counter()
        held = await generator.constrain([version.schema for version in versions])
        print(f"finding out what holds: {time.perf_counter() - began:.2f} s, once a schema")
        pairs = [(await speed(i, None), await speed(i, held)) for i in range(repeats)]
        free, bound = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(b / f for f, b in pairs)
        print(f"free {free:.1f} tokens/s, constrained {bound:.1f} tokens/s, median ratio {ratio:.3f}")
        await generator.aclose()

    asyncio.run(run())


def drift_alarm(runs: int) -> None:
    """The sequential test: exact probabilities, and a seeded simulation of each."""
    from firstfault.structured.drift import HORIZON, alarmed, design

    watch = design(0.01)
    print(f"{watch}")
    exact = alarmed(0.05, watch.up, watch.down, watch.threshold, responses=200)
    false = alarmed(0.01, watch.up, watch.down, watch.threshold)
    print(f"exact: alarm within 200 at 95 % {exact:.3f}; false alarm within {HORIZON:,} at 99 % {false:.3f}")
    rng = np.random.default_rng(SEED)

    def simulated(failures: float, longest: int) -> Any:
        state, first = np.zeros(runs, dtype=int), np.full(runs, longest + 1)
        for i in range(1, longest + 1):
            failed = rng.random(runs) < failures
            state = np.where(failed, state + watch.up, np.maximum(state - watch.down, 0))
            first = np.where((state >= watch.threshold) & (first > longest), i, first)
        return first

    changed = simulated(0.05, 3000)
    print(
        f"simulated, {runs:,} runs at 95 %: alarm within 200 in {np.mean(changed <= 200):.3f}, "
        f"median {np.median(changed):.0f}, mean {np.mean(changed):.0f}, "
        f"95 % within {np.quantile(changed, 0.95):.0f}"
    )
    resting = simulated(0.01, HORIZON)
    for size in (500, 2000, 5000):
        estimated = [design((rng.binomial(size, 0.01) + 0.5) / (size + 1)) for _ in range(400)]
        false = statistics.mean(alarmed(0.01, one.up, one.down, one.threshold) for one in estimated)
        print(f"with a reference estimated from {size:,} answers: false alarm in {false:.3f}")
    quiet = np.mean(resting > HORIZON)
    print(f"simulated at 99 %: no alarm in {HORIZON:,} responses in {quiet:.3f} of the runs")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["agreement", "constrained", "broken", "cost", "drift"])
    parser.add_argument("--home", type=Path, help="kept between runs: the documents are ingested once")
    parser.add_argument(
        "--log", type=Path, help="constrained: one line an answer; an interrupted run goes on"
    )
    parser.add_argument("--count", type=int)
    parser.add_argument("--rate", type=float, default=0.05)
    given = parser.parse_args()
    match given.what:
        case "agreement":
            agreement()
        case "constrained":
            constrained(given.home, given.log, given.count or 200)
        case "broken":
            broken_endpoint(given.home, given.count or 1000, given.rate)
        case "cost":
            cost(given.count or 8)
        case "drift":
            drift_alarm(given.count or 1000)
