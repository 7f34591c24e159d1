"""The server as a process: starting, stopping, reloading, dying, and the command line beside it."""

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.conftest import Endpoint, until

COMMAND = [sys.executable, "-c", "from firstfault.cli import main; main()"]


class Process:
    """`firstfault` in a folder, with a home."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.config = folder / "firstfault.toml"
        self.config.write_text('[generator]\nkind = "extractive"\n')
        self.server: subprocess.Popen[str] | None = None
        self.url = ""
        self.certificate: Path | None = None
        """Of a server that speaks TLS."""

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, "--home", str(self.home), *arguments],
            check=False,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def start(self, *arguments: str) -> str:
        log = (self.folder / "log").open("a")
        self.server = subprocess.Popen(
            [*COMMAND, "--home", str(self.home), "serve", "--port", "0", *arguments],
            cwd=self.folder,
            stderr=log,
            text=True,
        )
        log.close()
        assert until(lambda: len(re.findall(r"serves on (\S+)", self.log())) > self._starts, 60), self.log()
        self._starts += 1
        self.url = re.findall(r"serves on (\S+)", self.log())[-1]
        assert until(lambda: httpx.get(f"{self.url}/readyz", verify=self.trusted()).status_code == 200, 60)
        return self.url

    def trusted(self) -> Any:
        return ssl.create_default_context(cafile=self.certificate) if self.certificate else True

    _starts = 0

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.server is not None
        self.server.send_signal(how)
        return self.server.wait(60)


@pytest.fixture
def process(corpus_home: Path, tmp_path: Path) -> Iterator[Process]:
    home = tmp_path / "home"
    shutil.copytree(corpus_home, home)
    found = Process(tmp_path, home)
    yield found
    if found.server is not None and found.server.poll() is None:
        found.server.kill()
        found.server.wait()


def test_beyond_loopback_it_needs_a_key(process: Process) -> None:
    refused = process.run("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "firstfault keys create" in refused.stderr
    made = process.run("keys", "create", "me", "--json")
    key = json.loads(made.stdout)
    listed = process.run("keys", "list", "--json")
    assert key["key"] not in listed.stdout
    url = process.start("--host", "0.0.0.0")
    assert httpx.post(f"{url}/ask", json={"question": "x"}).status_code == 401
    authorised = {"authorization": f"Bearer {key['key']}"}
    asked = {"question": "When does the market open?"}
    assert httpx.post(f"{url}/ask", json=asked, headers=authorised, timeout=60).status_code == 200
    assert process.run("keys", "revoke", key["id"]).returncode == 0
    assert httpx.post(f"{url}/ask", json=asked, headers=authorised).status_code == 401
    assert process.stop() == 0
    assert key["key"] not in process.log()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_tls_for_others_and_for_the_command_line_beside_it(process: Process) -> None:
    def certificate(name: str, names: str) -> Path:
        made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=rag"
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        command = ["openssl", *made.split(), "-addext", f"subjectAltName={names}", *files]
        subprocess.run(command, cwd=process.folder, check=True, capture_output=True)
        return process.folder / f"{name}.pem"

    process.certificate = certificate("own", "DNS:rag.example,IP:127.0.0.1")
    other = certificate("other", "IP:127.0.0.1")
    tls = f'[serve]\ntls_cert = "{process.certificate}"\ntls_key = "{process.folder}/own.key"\n'
    plain = process.config.read_text()
    process.config.write_text(plain + tls)
    url = process.start()
    assert url.startswith("https://127.0.0.1:")
    asked = {"question": "When does the market open?"}
    said = httpx.post(f"{url}/ask", json=asked, verify=process.trusted(), timeout=60).json()
    assert "seven" in said["answer"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/readyz")  # nobody vouches for it
    with pytest.raises(httpx.TransportError):
        httpx.get(url.replace("https", "http") + "/readyz")
    beside = process.run("ask", asked["question"], "--json")
    assert json.loads(beside.stdout)["answer"] == said["answer"], beside.stderr
    process.config.write_text(plain + tls.replace("own.pem", other.name))
    refused = process.run("ask", asked["question"])
    assert (refused.returncode, "certificate" in refused.stderr.lower()) == (3, True), refused.stderr
    assert process.stop() == 0


def test_measuring_goes_through_the_server(process: Process) -> None:
    cases = process.folder / "cases.jsonl"
    rows = [
        {
            "id": "permit",
            "question": "What does a resident parking permit cost?",
            "answer": "48 euros",
            "evidence": [{"document": "parking.md", "quote": "48 euros"}],
        },
        {"id": "absent", "question": "Who won the chess olympiad of 1924?", "answerable": False},
    ]
    cases.write_text("".join(json.dumps(row) + "\n" for row in rows))
    url = process.start()
    for address in ((), ("--url", url)):
        ran = json.loads(process.run(*address, "eval", str(cases), "--json").stdout)
        assert ran["finished"]
        assert ran["metrics"]["error_rate"]["value"] == 0
        shown = json.loads(process.run(*address, "runs", ran["run_id"], "--json").stdout)
        assert [case["case_id"] for case in shown["cases"]] == ["permit", "absent"]
        found = json.loads(process.run(*address, "diagnose", "--run", ran["run_id"], "--json").stdout)
        assert (found["cases"], found["run_id"], found["trace_id"]) == (2, ran["run_id"], None)
        traces = json.loads(process.run(*address, "traces", "--json").stdout)["traces"]
        one = json.loads(process.run(*address, "diagnose", "--trace", traces[0]["trace_id"], "--json").stdout)
        assert (one["run_id"], one["trace_id"]) == (None, traces[0]["trace_id"])
        again = process.run(*address, "replay", traces[0]["trace_id"], "--set", "search.top_k=1", "--json")
        assert json.loads(again.stdout)["replay_of"] == traces[0]["trace_id"]
    alone = json.loads(process.run("eval", str(cases), "--json", "--baseline", "last").stdout)
    assert all(one["delta"] == 0 for one in alone["baseline"])
    window = json.loads(process.run("diagnose", "--since", "1h", "--json").stdout)
    assert window["scope"] == "the last 1h"
    proven = json.loads(process.run("fix", "--json").stdout)
    assert proven["applied"] is None
    refused = process.run("fix", "--apply")
    assert refused.returncode == 2
    assert "reload" in refused.stderr
    dropped = json.loads(process.run("gc", "--keep-days", "0", "--json").stdout)
    assert dropped["runs"] >= 1
    assert process.run("diagnose", "--since", "yesterday").returncode == 2


def test_the_command_line_goes_through_the_server(process: Process) -> None:
    process.start()
    asked = process.run("ask", "What does a resident parking permit cost?", "--json")
    assert asked.returncode == 0, asked.stderr
    assert "48 euros" in json.loads(asked.stdout)["answer"]
    shown = process.run("ask", "What does a resident parking permit cost?")
    assert "48 euros" in shown.stdout
    assert process.url in shown.stdout
    new = process.folder / "new"
    new.mkdir()
    (new / "ferry.md").write_text("The ferry sails at nine.")
    (new / "empty.md").write_text("")
    first = json.loads(process.run("ingest", "new", "--json").stdout)
    again = json.loads(process.run("ingest", "new", "--json").stdout)
    assert (first["added"], len(first["failed"])) == (1, 1)
    assert (again["added"], again["unchanged"]) == (0, 1)
    assert "ferry.md" in process.run("documents").stdout
    assert (
        json.loads(process.run("search", "ferry", "--json").stdout)["hits"][0]["chunk"]["document_id"]
        == "ferry.md"
    )
    (new / "ferry.md").unlink()
    (new / "boat.md").write_text("The boat sails at ten.")
    pruned = json.loads(process.run("ingest", "new", "--prune", "--json").stdout)
    assert (pruned["added"], pruned["retired"]) == (1, 1)
    refused = process.run("--set", "search.top_k=1", "ask", "x")
    assert refused.returncode == 2
    assert "--set" in refused.stderr
    bad = process.run("ask", "x", "--where", "absent = 1", "--json")
    assert bad.returncode == 2
    assert "absent" in json.loads(bad.stdout)["error"]["message"]
    assert process.stop() == 0
    alone = json.loads(process.run("ingest", "new", "--json").stdout)
    assert (alone["added"], alone["unchanged"]) == (0, 1), "the same revision, whoever stored it"
    assert process.url not in process.run("ask", "When does the boat sail?").stdout


def test_a_signal_reloads_the_configuration(process: Process) -> None:
    process.start()
    process.config.write_text('[generator]\nkind = "extractive"\n[search]\ntop_k = 1\n[trace]\nqueue = 9\n')
    assert process.server is not None
    process.server.send_signal(signal.SIGHUP)
    assert until(lambda: "needs a restart" in process.log())
    assert "trace" in process.log().rpartition("needs a restart")[2]
    answer = httpx.post(f"{process.url}/ask", json={"question": "When does the market open?"}).json()
    trace = httpx.get(f"{process.url}/traces/{answer['trace_id']}").json()
    assert len(trace["context"]["passages"]) == 1
    process.config.write_text("[search]\ntop_k = -1\n")
    process.server.send_signal(signal.SIGHUP)
    assert until(lambda: "not taken over" in process.log())
    assert (
        httpx.post(f"{process.url}/ask", json={"question": "When does the market open?"}).status_code == 200
    )
    assert process.stop() == 0


def test_stopping_lets_requests_finish(process: Process, endpoint: Endpoint) -> None:
    endpoint.mode = "stalls"
    process.config.write_text(
        f'[generator]\nkind = "openai"\nmodel = "told"\nbase_url = "{endpoint.url}/v1"\n'
        "[serve]\ndegrade_generator = false\n"
    )
    url = process.start()
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{url}/ask", json={"question": "market?"}, timeout=60))
    )
    asking.start()
    assert endpoint.begun.wait(20)
    assert process.server is not None
    process.server.send_signal(signal.SIGTERM)
    assert until(lambda: httpx.get(f"{url}/readyz").status_code == 503)
    refused = httpx.post(f"{url}/search", json={"question": "market"})
    assert refused.status_code == 503
    endpoint.mode = "answer"
    endpoint.release.set()
    assert process.server.wait(60) == 0
    asking.join()
    assert len(answers) == 1
    assert answers[0].status_code in {200, 503}
    assert answers[0].json().get("trace_id")


def test_nothing_accepted_is_lost_when_it_is_killed(process: Process) -> None:
    process.start()
    asked = httpx.post(f"{process.url}/ask", json={"question": "When does the market open?"}).json()
    rows = [{"id": f"d{n}", "text": f"Fact {n} is about the number {n}."} for n in range(200)]
    job = httpx.post(f"{process.url}/documents", json={"documents": rows})
    assert job.status_code == 202
    process.stop(signal.SIGKILL)
    url = process.start()
    assert httpx.get(f"{url}/traces/{asked['trace_id']}").status_code == 200
    done = httpx.get(f"{url}/jobs/{job.json()['id']}?wait=60", timeout=90).json()
    assert done["state"] == "done"
    stored = httpx.get(f"{url}/documents?limit=1000").json()["documents"]
    assert {row["id"] for row in rows} <= {one["id"] for one in stored}
    assert process.stop() == 0


def test_a_taken_port_is_said(process: Process) -> None:
    url = process.start()
    port = url.rsplit(":", 1)[1]
    (process.folder / "second").mkdir()
    refused = subprocess.run(
        [*COMMAND, "--home", "second", "serve", "--port", port],
        check=False,
        cwd=process.folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "FIRSTFAULT__GENERATOR__KIND": "extractive"},
    )
    assert refused.returncode == 2
    assert "cannot be bound" in refused.stderr
    assert process.stop() == 0
