"""The server under load, on the loopback: overhead, saturation, overload, kill -9, telemetry, fuzzing.

    python -m bench.serve overhead | saturation | overload | telemetry | kill | cancel | fuzz

Every subcommand makes a home of its own in a temporary folder, starts `firstfault serve` as a process, and
prints one JSON document. Answers are extractive unless said otherwise.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import firstfault
from firstfault.ingest import Chunker, ingest_documents
from firstfault.ingest.stdlib import stdlib_documents

COMMAND = [sys.executable, "-c", "from firstfault.cli import main; main()"]
QUESTIONS = [
    "What does math.gcd return?",
    "How do I copy a file with its metadata?",
    "Which function parses JSON text?",
    "How can I run a subprocess and capture its output?",
    "What is a frozen dataclass?",
    "How do I open a zip archive?",
    "Which module has regular expressions?",
    "How do I format a date?",
]
SETTINGS = {"generator.kind": "extractive"}


def documents(home: Path, count: int) -> None:
    """Fill a home with documentation of the standard library; made once, then copied."""
    made = Path(tempfile.gettempdir()) / f"firstfault-bench-serve-{count}"
    if not (made / "complete").exists():
        with firstfault.open(made, settings=SETTINGS, create=True) as app:
            found = list(stdlib_documents())[:count]
            ingest_documents(app.collection, found, chunker=Chunker(app.settings.chunking, app.embedder))
        (made / "complete").touch()
    shutil.copytree(made, home)


class Process:
    """A server as a process."""

    def __init__(self, folder: Path, home: Path, settings: dict[str, str]) -> None:
        self.folder, self.home = folder, home
        self.settings = {**SETTINGS, **settings}
        self.child: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> float:
        """Start it; returns the seconds until it is ready."""
        began = time.perf_counter()
        changes = [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        log = self.folder / f"log-{time.monotonic_ns()}"
        with log.open("wb") as file:
            self.child = subprocess.Popen(
                [*COMMAND, "--home", str(self.home), *changes, "serve", "--port", "0"], stderr=file
            )
        while True:
            if found := re.search(r"serves on (\S+)", log.read_text()):
                self.url = found[1]
                try:
                    if httpx.get(f"{self.url}/readyz").status_code == 200:
                        return time.perf_counter() - began
                except httpx.TransportError:
                    pass
            if self.child.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.child is not None
        self.child.send_signal(how)
        self.child.wait(60)

    def cpu_s(self) -> float:
        """CPU seconds so far: what counts when others want the cores as well."""
        assert self.child is not None
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        assert self.child is not None
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


@contextmanager
def served(count: int = 50, **settings: str) -> Iterator[Process]:
    """A running server over a new home."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        documents(home, count)
        process = Process(Path(folder), home, {name.replace("__", "."): v for name, v in settings.items()})
        process.start()
        try:
            yield process
        finally:
            if process.child is not None and process.child.poll() is None:
                process.stop()


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        f"p{p}": round(ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))], 2) for p in (50, 95, 99)
    }


def overhead(rounds: int) -> dict[str, Any]:
    """The time of a request less the time of the answer path in it, and direct calls beside it."""
    with served() as process:
        extra, whole, served_cpu = [], [], 0.0
        with httpx.Client(base_url=process.url, timeout=60) as http:
            for number in range(rounds + 20):
                if number == 20:
                    served_cpu = process.cpu_s()
                body = {"question": QUESTIONS[number % len(QUESTIONS)]}
                began = time.perf_counter()
                answer = http.post("/ask", json=body).json()
                took = (time.perf_counter() - began) * 1000
                if number >= 20:
                    whole.append(took)
                    extra.append(took - answer["timings_ms"]["total"])
            served_cpu = process.cpu_s() - served_cpu
        home = process.home
        process.stop()
        direct, direct_cpu = [], 0.0
        with firstfault.open(home, settings=SETTINGS) as app:
            for number in range(rounds + 20):
                if number == 20:
                    direct_cpu = time.process_time()
                began = time.perf_counter()
                app.ask(QUESTIONS[number % len(QUESTIONS)])
                if number >= 20:
                    direct.append((time.perf_counter() - began) * 1000)
            direct_cpu = time.process_time() - direct_cpu
    return {
        "requests": rounds,
        "request_ms": percentiles(whole),
        "direct_call_ms": percentiles(direct),
        "outside_the_answer_path_ms": percentiles(extra),
        "cpu_ms_a_request": {
            "served": round(served_cpu / rounds * 1000, 2),
            "direct": round(direct_cpu / rounds * 1000, 2),
        },
    }


async def _load(
    url: str, path: str, *, seconds: float, parallel: int, body: dict[str, Any], timeout_s: float = 10.0
) -> dict[str, Any]:
    """Closed-loop load: so many clients, each asking again when it was answered.

    A client of our own on bare streams: with 80 of httpx's, the measuring process was the bottleneck.
    """
    done: dict[int, list[float]] = {}
    errors: dict[str, int] = {}
    host, port = url.removeprefix("http://").split(":")
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        rng = random.Random(number)
        while time.perf_counter() < end:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
            except OSError as error:
                errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
                continue
            try:
                while time.perf_counter() < end:
                    began = time.perf_counter()
                    raw = json.dumps({**body, "question": rng.choice(QUESTIONS)}).encode()
                    status, headers = await asyncio.wait_for(_post(reader, writer, path, raw), timeout_s)
                    done.setdefault(status, []).append((time.perf_counter() - began) * 1000)
                    if status in {429, 503}:
                        await asyncio.sleep(min(float(headers.get("retry-after", 1)), 1.0))
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
            finally:
                writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(parallel)))
    took = time.perf_counter() - began
    return {
        "per_second": round(len(done.get(200, [])) / took, 1),
        "statuses": {str(status): len(times) for status, times in sorted(done.items())},
        "ms": {str(status): percentiles(times) for status, times in sorted(done.items())},
        "transport_errors": errors,
    }


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, raw: bytes
) -> tuple[int, dict[str, str]]:
    """One request over an open connection: its status and headers."""
    head = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(raw)}",
    )
    writer.write("\r\n".join((*head, "", "")).encode() + raw)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), headers


def saturation(seconds: float) -> dict[str, Any]:
    """The search endpoint with 8 clients against the same search in this process, turn by turn."""
    http_rates, direct_rates = [], []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        documents(home, 50)
        for _ in range(3):
            with firstfault.open(home, settings=SETTINGS) as app:
                for question in QUESTIONS:
                    app.search(question)
                count, began = 0, time.perf_counter()
                while time.perf_counter() - began < seconds:
                    app.search(QUESTIONS[count % len(QUESTIONS)])
                    count += 1
                direct_rates.append(count / (time.perf_counter() - began))
            process = Process(Path(folder), home, {})
            process.start()
            load = asyncio.run(_load(process.url, "/search", seconds=seconds, parallel=8, body={"limit": 10}))
            http_rates.append(load["per_second"])
            process.stop()
    ratio = statistics.median(http_rates) / statistics.median(direct_rates)
    return {
        "direct_per_second": [round(rate, 1) for rate in direct_rates],
        "http_per_second": http_rates,
        "ratio": round(ratio, 3),
    }


def overload(seconds: float) -> dict[str, Any]:
    """Peak with as many clients as slots, then four times slots and queue; the memory before and after."""
    with served(serve__queue="16", serve__concurrency="4") as process:
        warm = asyncio.run(_load(process.url, "/search", seconds=5, parallel=4, body={"limit": 10}))
        peak = asyncio.run(
            _load(process.url, "/search", seconds=min(seconds, 30), parallel=4, body={"limit": 10})
        )
        before = process.rss_mib()
        over = asyncio.run(
            _load(
                process.url,
                "/search",
                seconds=seconds,
                parallel=4 * 20,
                body={"limit": 10, "timeout_s": 5},
            )
        )
        after = process.rss_mib()
        ready = httpx.get(f"{process.url}/readyz").status_code
    return {
        "seconds": seconds,
        "warm_per_second": warm["per_second"],
        "peak_per_second": peak["per_second"],
        "overload": over,
        "goodput_of_peak": round(over["per_second"] / peak["per_second"], 3),
        "rss_mib": {"before": round(before, 1), "after": round(after, 1)},
        "ready_afterwards": ready == 200,
    }


def kill(rounds: int) -> dict[str, Any]:
    """kill -9 under load with ingest; what was acknowledged must be there after the next start."""
    rng = random.Random(0)
    lost_documents = lost_traces = documents_kept = traces_kept = 0
    restarts: list[float] = []
    with served() as process:
        for number in range(rounds):
            acknowledged: dict[str, str] = {}
            traces: list[str] = []
            jobs: list[str] = []
            asyncio.run(_until_killed(process, number, rng.uniform(0.5, 3.0), acknowledged, traces, jobs))
            restarts.append(process.start())
            with httpx.Client(base_url=process.url, timeout=120) as http:
                for job in jobs:
                    state = http.get(f"/jobs/{job}?wait=60").json()["state"]
                    lost_documents += state != "done"
                for identity, text in acknowledged.items():
                    found = http.get(f"/documents/{identity}")
                    lost_documents += found.status_code != 200 or found.json()["text"] != text
                lost_traces += sum(http.get(f"/traces/{one}").status_code != 200 for one in traces)
            documents_kept += len(acknowledged)
            traces_kept += len(traces)
    return {
        "rounds": rounds,
        "documents_acknowledged": documents_kept,
        "traces_acknowledged": traces_kept,
        "lost_documents": lost_documents,
        "lost_traces": lost_traces,
        "ready_again_s": {"median": round(statistics.median(restarts), 2), "max": round(max(restarts), 2)},
    }


async def _until_killed(
    process: Process,
    number: int,
    seconds: float,
    acknowledged: dict[str, str],
    traces: list[str],
    jobs: list[str],
) -> None:
    async with httpx.AsyncClient(base_url=process.url, timeout=30) as http:

        async def write() -> None:
            for step in range(10_000):
                rows = [
                    {"id": f"r{number}-{step}-{row}", "text": f"Round {number}, step {step}, fact {row}."}
                    for row in range(5)
                ]
                job = await http.post("/documents", json={"documents": rows})
                if job.status_code == 202:
                    jobs.append(job.json()["id"])
                    acknowledged.update({row["id"]: row["text"] for row in rows})
                await asyncio.sleep(0.05)

        async def read() -> None:
            while True:
                answer = await http.post("/ask", json={"question": random.choice(QUESTIONS)})
                if answer.status_code == 200:
                    traces.append(answer.json()["trace_id"])

        tasks = [asyncio.create_task(write()), asyncio.create_task(read()), asyncio.create_task(read())]
        await asyncio.sleep(seconds)
        assert process.child is not None
        process.child.kill()
        await asyncio.gather(*tasks, return_exceptions=True)
        process.child.wait()


def telemetry(seconds: float) -> dict[str, Any]:
    """50 clients asking, with OTLP to a collector that takes everything, and without; turn by turn."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    Thread(target=sink.serve_forever, daemon=True).start()
    rates: dict[str, list[float]] = {"off": [], "on": []}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        documents(home, 50)
        for _ in range(3):
            for name, measured in rates.items():
                settings = {"serve.queue": "64", "serve.degrade_reranker": "false"}
                if name == "on":
                    settings["serve.otlp_endpoint"] = f"http://127.0.0.1:{sink.server_address[1]}"
                process = Process(Path(folder), home, settings)
                process.start()
                load = asyncio.run(_load(process.url, "/ask", seconds=seconds, parallel=50, body={}))
                measured.append(load["per_second"])
                process.stop()
    sink.shutdown()
    loss = 1 - statistics.median(rates["on"]) / statistics.median(rates["off"])
    return {"answers_per_second": rates, "loss": round(loss, 4)}


def fuzz(examples: int) -> dict[str, Any]:
    """schemathesis over the server's own OpenAPI document; needs it installed."""
    with served() as process:
        command = [
            "schemathesis",
            "run",
            f"{process.url}/openapi.json",
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            "--max-examples",
            str(examples),
            "--seed",
            "1",
            "--request-timeout",
            "30",
        ]
        before = _requests(process.url)
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "110"}
        )
        statuses = _requests(process.url)
        print(done.stdout[-6000:], file=sys.stderr)
    total = sum(statuses.values()) - sum(before.values())
    return {
        "requests": total,
        "server_errors": statuses.get("500", 0),
        "statuses": statuses,
        "exit_code": done.returncode,
    }


def _requests(url: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in httpx.get(f"{url}/metrics").text.splitlines():
        if match := re.match(r'firstfault_http_requests_total\{.*status="(\d+)"\} (\S+)', line):
            found[match[1]] = found.get(match[1], 0) + int(float(match[2]))
    return found


def cancel(rounds: int) -> dict[str, Any]:
    """How long after a client left its slot is free again; embedded model, streamed and not."""
    took: dict[str, list[float]] = {"stream": [], "whole": []}
    with served(generator__kind="llama", generator__max_tokens="400") as process:

        def working() -> int:
            return int(httpx.get(f"{process.url}/readyz").json()["working"])

        for number in range(rounds):
            for name, measured in took.items():
                asyncio.run(_leave(process.url, name == "stream", random.Random(number).uniform(0.2, 1.5)))
                began = time.perf_counter()
                while working():
                    time.sleep(0.002)
                measured.append((time.perf_counter() - began) * 1000)
    return {"rounds": rounds, "ms_until_the_slot_is_free": {k: percentiles(v) for k, v in took.items()}}


async def _leave(url: str, stream: bool, after: float) -> None:
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    raw = json.dumps({"question": QUESTIONS[0], "stream": stream}).encode()
    head = (
        "POST /ask HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(raw)}",
    )
    writer.write("\r\n".join((*head, "", "")).encode() + raw)
    await writer.drain()
    await asyncio.sleep(after)
    writer.close()
    await writer.wait_closed()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    works = {
        "overhead": lambda: overhead(max(given.rounds, 200)),
        "saturation": lambda: saturation(given.seconds),
        "overload": lambda: overload(given.seconds),
        "kill": lambda: kill(given.rounds),
        "telemetry": lambda: telemetry(given.seconds),
        "fuzz": lambda: fuzz(given.rounds),
        "cancel": lambda: cancel(given.rounds),
    }
    if given.what not in works:
        parser.error(f"give one of {', '.join(works)}")
    print(json.dumps(works[given.what](), indent=2))


if __name__ == "__main__":
    main()
