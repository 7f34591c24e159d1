"""The server under load, on the loopback: overhead, saturation, overload, kill -9, telemetry, fuzzing.

    python -m bench.serve WHAT [--out FILE]

WHAT: overhead, saturation, overload, telemetry, recording, monitoring, kill, cancel or fuzz.

Every subcommand makes a home of its own in a temporary folder, starts `firstfault serve` as a process, says
on stderr how far it is, and prints one JSON document, which also goes to `--out` (bench/out/serve-WHAT.json).
Answers are extractive unless said otherwise. The whole figures, unattended: overhead --rounds 400,
telemetry, recording and monitoring --seconds 30, overload --seconds 600, kill and cancel --rounds 20, and
fuzz --requests 20000.
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
from firstfault.answer.ask import ask
from firstfault.config import load
from firstfault.ingest import Chunker, ingest_documents
from firstfault.ingest.stdlib import stdlib_documents
from firstfault.serve.runtime import Parts

PROGRAM = "from firstfault.cli import main; main()"
FORGETFUL = f"from firstfault.trace import TraceStore; TraceStore.put = lambda *_: None; {PROGRAM}"
"""The server without the recording of traces, which it cannot be told to leave out."""
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
WARM = 2 * len(QUESTIONS)
"""Requests that are not counted: afterwards every verdict is remembered."""
TURNS = 2
"""How often off, on, on, off."""


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

    def __init__(self, folder: Path, home: Path, settings: dict[str, str], program: str = PROGRAM) -> None:
        self.folder, self.home = folder, home
        self.command = [sys.executable, "-c", program]
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
                [*self.command, "--home", str(self.home), *changes, "serve", "--port", "0"], stderr=file
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

    def wanted_ns(self) -> int:
        """CPU time so far, and the time in which there was work and no core for it."""
        assert self.child is not None
        tasks = Path(f"/proc/{self.child.pid}/task").glob("*/schedstat")
        return sum(sum(map(int, one.read_text().split()[:2])) for one in tasks)

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
    if not ordered:
        return {}
    found = {
        f"p{p}": round(ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))], 2) for p in (50, 95, 99)
    }
    return {**found, "max": round(ordered[-1], 2)}


def tell(text: str) -> None:
    """How far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def overhead(rounds: int) -> dict[str, Any]:
    """The same questions by HTTP and by a direct call, in turn; both remember verdicts.

    Overhead = what a request takes outside the answer path (`timings_ms.total`) less the median of what a
    direct call takes outside it: there, the trace is written, here too.
    """
    with served() as process, tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        documents(home, 50)
        config = load(home, overrides=SETTINGS)
        parts = Parts(config)
        parts.collection("default", create=True)
        app = parts.application(config, "default")
        by_http, outside, direct, beside = [], [], [], []
        cpu = {"served": 0.0, "direct": 0.0}
        with asyncio.Runner() as runner:
            connection = runner.run(_open(process.url))
            for number in range(rounds + WARM):
                if number == WARM:
                    cpu = {"served": -process.cpu_s(), "direct": -time.process_time()}
                    by_http, outside, direct, beside = [], [], [], []
                question = QUESTIONS[number % len(QUESTIONS)]
                raw = json.dumps({"question": question}).encode()
                began = time.perf_counter()
                _, _, body = runner.run(_post(*connection, "/ask", raw))
                by_http.append((time.perf_counter() - began) * 1000)
                outside.append(by_http[-1] - json.loads(body)["timings_ms"]["total"])
                began = time.perf_counter()
                trace = runner.run(ask(app, question))
                direct.append((time.perf_counter() - began) * 1000)
                beside.append(direct[-1] - trace.total_ms)
                if number % 100 == 99:
                    tell(f"overhead: {number + 1} of {rounds + WARM}")
            cpu["served"] += process.cpu_s()
            cpu["direct"] += time.process_time()
        parts.close()
    usual = statistics.median(beside)
    return {
        "requests": rounds,
        "request_ms": percentiles(by_http),
        "direct_call_ms": percentiles(direct),
        "outside_the_answer_path_ms": {"served": percentiles(outside), "direct": percentiles(beside)},
        "overhead_ms": percentiles([one - usual for one in outside]),
        "overhead_of_pairs_ms": percentiles([a - b for a, b in zip(by_http, direct, strict=True)]),
        "cpu_ms_a_request": {name: round(spent / rounds * 1000, 2) for name, spent in cpu.items()},
    }


async def _open(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def _load(
    url: str, path: str, *, seconds: float, parallel: int, body: dict[str, Any], timeout_s: float = 10.0
) -> dict[str, Any]:
    """Closed-loop load: so many clients, each asking again when it was answered.

    A client of our own on bare streams: with 80 of httpx's, the measuring process was the bottleneck.
    """
    done: dict[int, list[float]] = {}
    errors: dict[str, int] = {}
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        rng = random.Random(number)
        while time.perf_counter() < end:
            try:
                reader, writer = await _open(url)
            except OSError as error:
                errors[type(error).__name__] = errors.get(type(error).__name__, 0) + 1
                continue
            try:
                while time.perf_counter() < end:
                    began = time.perf_counter()
                    raw = json.dumps({**body, "question": rng.choice(QUESTIONS)}).encode()
                    status, headers, _ = await asyncio.wait_for(_post(reader, writer, path, raw), timeout_s)
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
) -> tuple[int, dict[str, str], bytes]:
    """One request over an open connection: its status, headers and body."""
    head = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(raw)}",
    )
    writer.write("\r\n".join((*head, "", "")).encode() + raw)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), headers, body


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
            tell(f"saturation: {direct_rates[-1]:.1f} a second direct, {http_rates[-1]} by HTTP")
    ratio = statistics.median(http_rates) / statistics.median(direct_rates)
    return {
        "direct_per_second": [round(rate, 1) for rate in direct_rates],
        "http_per_second": http_rates,
        "ratio": round(ratio, 3),
    }


def overload(seconds: float) -> dict[str, Any]:
    """Peak with as many clients as slots, then four times slots and queue; the memory all the while."""
    with served(serve__queue="16", serve__concurrency="4") as process:
        body = {"limit": 10}
        warm = asyncio.run(_load(process.url, "/search", seconds=5, parallel=4, body=body))
        peak = asyncio.run(_load(process.url, "/search", seconds=min(seconds, 30), parallel=4, body=body))
        tell(f"overload: peak {peak['per_second']} a second")
        memory = [process.rss_mib()]

        async def over() -> dict[str, Any]:
            async def watch() -> None:
                while True:
                    await asyncio.sleep(max(seconds / 20, 1))
                    memory.append(process.rss_mib())
                    tell(f"overload: {memory[-1]:.1f} MiB")

            watching = asyncio.create_task(watch())
            try:
                return await _load(
                    process.url, "/search", seconds=seconds, parallel=4 * 20, body={**body, "timeout_s": 5}
                )
            finally:
                watching.cancel()

        found = asyncio.run(over())
        ready = httpx.get(f"{process.url}/readyz").status_code
    fifth = max(len(memory) // 5, 1)
    return {
        "seconds": seconds,
        "warm_per_second": warm["per_second"],
        "peak_per_second": peak["per_second"],
        "overload": found,
        "goodput_of_peak": round(found["per_second"] / peak["per_second"], 3),
        "rss_mib": {
            "before": round(memory[0], 1),
            "second_fifth": round(statistics.mean(memory[fifth : 2 * fifth] or memory), 1),
            "last_fifth": round(statistics.mean(memory[-fifth:]), 1),
            "all": [round(one, 1) for one in memory],
        },
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
            tell(
                f"kill: round {number + 1} of {rounds}, ready in {restarts[-1]:.1f} s; so far "
                f"{documents_kept} documents, {traces_kept} traces; lost {lost_documents} and {lost_traces}"
            )
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
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        documents(home, 50)
        collector = {"serve.otlp_endpoint": f"http://127.0.0.1:{sink.server_address[1]}"}
        compared = _compared(Path(folder), home, seconds, off={}, on=collector)
    sink.shutdown()
    return compared


def recording(seconds: float) -> dict[str, Any]:
    """50 clients asking a server that records traces, and one that does not; turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        documents(home, 50)
        return _compared(Path(folder), home, seconds, off={}, on={}, off_program=FORGETFUL)


def monitoring(seconds: float) -> dict[str, Any]:
    """50 clients asking, with the watch over their requests and without; turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        documents(home, 50)
        return _compared(Path(folder), home, seconds, off={"monitor.enabled": "false"}, on={})


def _compared(
    folder: Path,
    home: Path,
    seconds: float,
    *,
    off: dict[str, str],
    on: dict[str, str],
    off_program: str = PROGRAM,
) -> dict[str, Any]:
    """Answers a second, and CPU of each, of a server with one set of settings and with another."""
    rates: dict[str, list[float]] = {"off": [], "on": []}
    cpu: dict[str, list[float]] = {"off": [], "on": []}
    for name in ("off", "on", "on", "off") * TURNS:
        settings = {"serve.queue": "64", "serve.degrade_reranker": "false", **(on if name == "on" else off)}
        process = Process(folder, home, settings, PROGRAM if name == "on" else off_program)
        process.start()
        asyncio.run(_load(process.url, "/ask", seconds=5, parallel=50, body={}))
        before = process.cpu_s()
        load = asyncio.run(_load(process.url, "/ask", seconds=seconds, parallel=50, body={}))
        answered = load["statuses"].get("200", 0)
        rates[name].append(load["per_second"])
        cpu[name].append(round((process.cpu_s() - before) / answered * 1000, 2))
        process.stop()
        tell(f"{name}: {rates[name][-1]} answers a second, {cpu[name][-1]} ms of CPU each")
    return {
        "answers_per_second": rates,
        "loss_of_throughput": round(1 - statistics.median(rates["on"]) / statistics.median(rates["off"]), 4),
        "cpu_ms_an_answer": cpu,
        "loss_in_cpu": round(statistics.median(cpu["on"]) / statistics.median(cpu["off"]) - 1, 4),
    }


def fuzz(requests: int, log: Path) -> dict[str, Any]:
    """schemathesis over the server's own OpenAPI document, seed after seed; needs it installed."""
    statuses: dict[str, int] = {}
    findings: list[int] = []
    seed = 0
    with served() as process:
        before = _requests(process.url)
        while (made := sum(statuses.values()) - sum(before.values())) < requests:
            seed += 1
            command = [
                "schemathesis",
                "run",
                f"{process.url}/openapi.json",
                "--checks",
                "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
                "--max-examples",
                "100",
                "--seed",
                str(seed),
                "--request-timeout",
                "30",
            ]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "110"}
            )
            with log.open("a") as file:
                file.write(done.stdout + done.stderr)
            if done.returncode:
                findings.append(seed)
            statuses = _requests(process.url)
            now = sum(statuses.values()) - sum(before.values())
            tell(f"fuzz: seed {seed}, {now} requests, {statuses.get('500', 0)} server errors")
            if now == made:
                raise SystemExit(f"schemathesis makes no requests: see {log}")
    return {
        "requests": made,
        "server_errors": statuses.get("500", 0),
        "statuses": statuses,
        "seeds": seed,
        "seeds_with_findings": findings,
        "log": str(log),
    }


def _requests(url: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in httpx.get(f"{url}/metrics").text.splitlines():
        if match := re.match(r'firstfault_http_requests_total\{.*status="(\d+)"\} (\S+)', line):
            found[match[1]] = found.get(match[1], 0) + int(float(match[2]))
    return found


def cancel(rounds: int) -> dict[str, Any]:
    """How long after a client left the server goes on computing, and its slot is taken; embedded model.

    A server that wants no core for 150 ms has ended the work. Answers that were complete before do not count.
    """
    took: dict[str, list[float]] = {"stream": [], "whole": []}
    slots: dict[str, list[float]] = {"stream": [], "whole": []}
    with served(generator__kind="llama", generator__max_tokens="400") as process:

        def working() -> int:
            return int(httpx.get(f"{process.url}/readyz").json()["working"])

        for number in range(2 * rounds):
            for name in ("stream", "whole"):
                after = random.Random(number // 2).uniform(0.1, 1.5)
                if not asyncio.run(_leave(process.url, name == "stream", after, number)):
                    continue
                if number % 2:  # asking for the slot costs a core itself: one or the other
                    took[name].append(_until_quiet(process))
                    assert not working()
                else:
                    began = time.perf_counter()
                    while working():
                        time.sleep(0.002)
                    slots[name].append((time.perf_counter() - began) * 1000)
                    _until_quiet(process)
            tell(f"cancel: {number + 1} of {2 * rounds}")
    return {
        "rounds": rounds,
        "counted": {name: len(values) for name, values in took.items()},
        "ms_until_nothing_is_computed": {k: percentiles(v) for k, v in took.items()},
        "ms_until_the_slot_is_free": {k: percentiles(v) for k, v in slots.items()},
    }


def _until_quiet(process: Process) -> float:
    """Milliseconds until the last moment at which the process wanted a core."""
    began = time.perf_counter()
    last, before = 0.0, process.wanted_ns()
    while (now := (time.perf_counter() - began) * 1000) < last + 150:
        time.sleep(0.005)
        wanted = process.wanted_ns()
        elapsed = (time.perf_counter() - began) * 1000 - now
        if (wanted - before) / 1e6 > 0.2 * elapsed:
            last = now + elapsed
        before = wanted
    return last


async def _leave(url: str, stream: bool, after: float, number: int) -> bool:
    """Ask, and go; whether there was work left."""
    reader, writer = await _open(url)
    question = f"{QUESTIONS[number % len(QUESTIONS)]} ({number})"
    raw = json.dumps({"question": question, "stream": stream}).encode()
    head = (
        "POST /ask HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(raw)}",
    )
    writer.write("\r\n".join((*head, "", "")).encode() + raw)
    await writer.drain()
    seen = b""
    try:
        async with asyncio.timeout(after):
            while part := await reader.read(65536):
                seen += part
    except TimeoutError:
        pass
    writer.close()
    await writer.wait_closed()
    return b"event: answer" not in seen if stream else not seen


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    out = given.out or Path("bench/out") / f"serve-{given.what}.json"
    works = {
        "overhead": lambda: overhead(max(given.rounds, 200)),
        "saturation": lambda: saturation(given.seconds),
        "overload": lambda: overload(given.seconds),
        "kill": lambda: kill(given.rounds),
        "telemetry": lambda: telemetry(given.seconds),
        "recording": lambda: recording(given.seconds),
        "monitoring": lambda: monitoring(given.seconds),
        "fuzz": lambda: fuzz(given.requests, out.with_suffix(".log")),
        "cancel": lambda: cancel(given.rounds),
    }
    if given.what not in works:
        parser.error(f"give one of {', '.join(works)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    document = json.dumps(works[given.what](), indent=2)
    out.write_text(f"{document}\n")
    print(document)


if __name__ == "__main__":
    main()
