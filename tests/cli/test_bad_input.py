"""Bad input gets a clear error, the right exit code and a hint; nothing is lost."""

import fcntl
import gzip
import json
import socket
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.listening import listening

EXTRACTIVE = ("--set", "generator.kind=extractive")


def test_an_empty_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run("--home", tmp_path / "h", "ingest", tmp_path / "empty")
    assert done.code == 2
    assert "fix:" in done.err


def test_a_path_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    done = run("--home", tmp_path / "h", "ingest", tmp_path / "absent")
    assert done.code == 2
    assert "absent" in done.err


@pytest.mark.parametrize("name", ["binary.md", "broken.pdf", "broken.docx"])
def test_a_file_that_is_not_what_its_name_says(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)) * 20)
    done = run("--home", tmp_path / "h", "ingest", tmp_path / name)
    assert done.code == 2
    assert name in done.err
    status = run("--home", tmp_path / "h", "status", "--json")
    assert status.json["failed"][0]["source"].endswith(name)
    assert status.json["chunks"] == 0


def test_a_bad_file_is_reported_and_the_rest_goes_in(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("Water boils at one hundred degrees Celsius at sea level.")
    (tmp_path / "binary.md").write_bytes(b"\x00\x01\x02" * 100)
    done = run("--home", tmp_path / "h", "ingest", tmp_path, "--json")
    assert done.code == 0
    assert done.json["added"] == 1
    assert "binary.md" in done.json["failed"][0]["source"]


def test_a_malformed_line_is_named_by_number_and_the_rest_goes_in(run: Run, tmp_path: Path) -> None:
    lines = ['{"id": "a", "text": "One fish."}', '{"id": "b", "text": ', '{"id": "c", "text": "Two fish."}']
    with gzip.open(tmp_path / "d.jsonl.gz", "wt") as out:
        out.write("\n".join(lines))
    done = run("--home", tmp_path / "h", "ingest", tmp_path / "d.jsonl.gz", "--json")
    assert done.code == 0
    assert done.json["added"] == 2
    assert done.json["failed"][0]["source"].endswith("d.jsonl.gz:2")


@pytest.mark.parametrize("command", ["search", "ask"])
def test_an_unknown_filter_field_is_an_error_with_a_suggestion(run: Run, home: Path, command: str) -> None:
    done = run("--home", home, *EXTRACTIVE, command, "divisor", "--where", 'knd = "function"')
    assert done.code == 2
    assert "knd" in done.err
    assert "kind" in done.err


def test_a_malformed_filter(run: Run, home: Path) -> None:
    done = run("--home", home, "search", "divisor", "--where", 'kind = = "function"')
    assert done.code == 2
    assert "fix:" in done.err


@pytest.mark.parametrize("command", ["search", "ask"])
@pytest.mark.parametrize("question", ["", "   \n", "why " * 25_000])
def test_an_empty_or_endless_question(run: Run, home: Path, command: str, question: str) -> None:
    done = run("--home", home, *EXTRACTIVE, command, question)
    assert done.code == 2
    assert "question" in done.err


def test_no_home_yet(run: Run, tmp_path: Path) -> None:
    for command in (["search", "x"], ["ask", "x"], ["status"], ["traces"], ["documents"], ["trace", "1"]):
        done = run("--home", tmp_path / "h", *command)
        assert done.code == 3, command
        assert "firstfault ingest" in done.err
        assert not (tmp_path / "h").exists()


def test_an_unknown_trace(run: Run, home: Path) -> None:
    assert run("--home", home, "trace", "2020").code == 2


def test_a_corpus_made_with_another_embedder(run: Run, home: Path, other_embedder: Path) -> None:
    done = run("--home", home, "--set", f"embedder.model={other_embedder}", "search", "divisor")
    assert done.code == 2
    assert "all-MiniLM-L6-v2" in done.err


def test_a_second_process_on_the_same_home_learns_who_has_it(run: Run, home: Path) -> None:
    (lock,) = [file for file in home.iterdir() if "lock" in file.name]
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run("--home", home, "search", "divisor")
    assert done.code == 3
    assert "in use by process" in done.err
    assert "fix:" in done.err


def test_the_doctor_does_not_judge_what_a_server_has(run: Run, home: Path) -> None:
    (lock,) = [file for file in home.iterdir() if "lock" in file.name]
    noted = lock.read_text()
    try:
        note = {"pid": 7, "command": "firstfault serve", "since": "now", "url": "http://127.0.0.1:8"}
        lock.write_text(json.dumps(note))
        with lock.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            done = run("--home", home, "doctor")
    finally:
        lock.write_text(noted)
    assert done.code == 0
    assert "not checked: the server on http://127.0.0.1:8 has it" in done.out
    assert "http://127.0.0.1:8/readyz" in done.out
    assert "fix:" not in done.out


def test_an_unreachable_endpoint(run: Run, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    remote = ("--set", "generator.kind=openai", "--set", f"generator.base_url=http://127.0.0.1:{port}/v1")
    done = run("--home", home, *remote, "--set", "generator.model=m", "ask", "What does math.gcd return?")
    assert done.code == 3
    assert f"127.0.0.1:{port}" in done.err
    newest = run("--home", home, "traces", "--json").json["traces"][0]
    assert newest["status"] == "error"


class Refuse(BaseHTTPRequestHandler):
    """An endpoint that refuses every key."""

    def do_POST(self) -> None:
        body = json.dumps({"error": {"message": f"bad key {self.headers['Authorization']}"}}).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_wrong_key_names_the_variable_never_the_key(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    with listening(Refuse) as address:
        done = run(
            *("--home", home, "--set", "generator.kind=openai", "--set", "generator.model=m"),
            *("--set", f"generator.base_url={address}/v1"),
            *("--set", "generator.api_key_env=MY_KEY", "ask", "What does math.gcd return?"),
        )
    assert done.code == 3
    assert "MY_KEY" in done.err
    assert "sk-secret-123" not in done.err + done.out
    newest = run("--home", home, "traces", "--json").json["traces"][0]["trace_id"]
    assert "sk-secret-123" not in run("--home", home, "trace", newest, "--json").out


def test_with_json_an_error_is_one_document_too(run: Run, home: Path) -> None:
    done = run("--home", home, "search", "", "--json")
    assert done.code == 2
    assert done.json["error"]["exit_code"] == 2
    assert done.json["error"]["hint"]


def test_an_unknown_setting(run: Run, home: Path) -> None:
    done = run("--home", home, "--set", "search.topk=3", "search", "divisor")
    assert done.code == 2
    assert "search.top_k" in done.err


def test_a_question_that_is_not_unicode(run: Run, home: Path) -> None:
    done = run("--home", home, *EXTRACTIVE, "ask", "\udcff keys", "--json")
    assert done.code == 2
    assert "Unicode" in done.json["error"]["message"]


@pytest.mark.parametrize("arguments", [["search", "--json"], ["frob", "--json"], ["ask", "a", "b", "--json"]])
def test_a_wrong_command_line_is_one_document_too(run: Run, home: Path, arguments: list[str]) -> None:
    done = run("--home", home, *arguments)
    assert done.code == 2
    assert done.json["error"]["exit_code"] == 2


def test_verify_does_not_pass_what_it_did_not_check(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("  \n")
    (tmp_path / "page.txt").write_text("The warranty lasts two years.")
    assert run("verify", "The warranty lasts two years.").code == 2
    assert run("verify", "--context", tmp_path / "page.txt", " ").code == 2
    assert run("verify", "--context", tmp_path / "empty.txt", "It lasts.").code == 1


def test_an_empty_filter_is_not_no_filter(run: Run, home: Path) -> None:
    assert run("--home", home, "search", "divisor", "--where", "").code == 2


def test_prune_retires_the_last_file_and_a_folder_that_is_gone(run: Run, tmp_path: Path) -> None:
    folder, home = tmp_path / "docs", tmp_path / "home"
    folder.mkdir()
    (folder / "a.txt").write_text("The green pump is sold out until spring.")
    assert run("--home", home, "ingest", folder).code == 0
    (folder / "a.txt").unlink()
    folder.rmdir()
    assert run("--home", home, "ingest", folder).code == 2
    assert run("--home", home, "ingest", folder, "--prune", "--json").json["retired"] == 1
    assert run("--home", home, "ingest", folder, "--prune").code == 2


def test_a_document_cannot_drive_the_terminal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The red \x1b[31m pump \u202e costs ten euros in every shop.")
    run("--home", tmp_path / "h", "ingest", tmp_path / "a.txt")
    done = run("--home", tmp_path / "h", *EXTRACTIVE, "ask", "What does the red pump cost?")
    assert "pump" in done.out
    assert "\x1b[31m" not in done.out
    assert "\u202e" not in done.out
