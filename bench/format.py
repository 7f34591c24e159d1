"""Structured output: agreement with labels, constrained answers, a broken endpoint, the cost, drift.

    python -m bench.format agreement
    python -m bench.format constrained [--home DIR] [--log FILE] [--count 200]
    python -m bench.format broken [--count 1000] [--rate 0.05]
    python -m bench.format cost
    python -m bench.format drift

Reads the folder that FIRSTFAULT_DATA names (`../shared/data` by default). `constrained` takes long; with a log
it goes on where it stopped.
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
from typing import Any

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
    print(f"constrained: {sum(row['constrained'] for row in found)}, relaxed {sum(r['relaxed'] for r in found)}")
    calls = [sum(kind == "retried" for kind in row["kinds"]) for row in found]
    print(f"extra calls: {statistics.mean(calls):.3f} an answer")
    rules = Counter(rule for row in found for rule in set(row["rules"][0]))
    print(f"rules broken at the first try: {rules.most_common(8)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["agreement", "constrained"])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--count", type=int, default=200)
    given = parser.parse_args()
    match given.what:
        case "agreement":
            agreement()
        case "constrained":
            constrained(given.home, given.log, given.count)
