"""Releases over HTTP and the models they make: moved under load, rolled back, never mixed up."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.finetune.records import bench, record
from tests.models.test_llama import write_adapter
from tests.serve.conftest import Endpoint, Running, Serve, until
from typer.testing import CliRunner

from firstfault.cli.root import app
from firstfault.finetune import list_releases
from firstfault.finetune.runs import TrainingRuns
from firstfault.models import store
from firstfault.models.gguf import read_header
from firstfault.serve.examples import RELEASE_DOCUMENT

QUESTION: Any = [{"role": "user", "content": "What does a resident parking permit cost?"}]
MODEL = "SmolLM2-135M-Instruct"
WRITING = {"generator.kind": "llama", "generator.context_window": "512", "generator.max_tokens": "4"}


def trained(home: Path, run_id: str, *, scale: float = 1.0, digest: str = "", **changes: Any) -> None:
    """A training run as a finished one is stored, with an adapter that disturbs the model."""
    runs = TrainingRuns(home)
    run = runs.begin(run_id, record(base={"name": MODEL, "digest": digest}, **changes))
    runs.update(run_id, {}, "trained")
    runs.close()
    (run.folder / "peft").mkdir()
    write_adapter(run.folder / "adapter.gguf", scale)


def said(server: Running, model: str, **fields: Any) -> str:
    """The words of a completion."""
    response = server.post("/v1/chat/completions", {"model": model, "messages": QUESTION, **fields})
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


def names(server: Running) -> list[str]:
    return [one["id"] for one in server.http.get("/v1/models").json()["data"]][:-1]


def released(server: Running, run: str, name: str) -> Any:
    response = server.post("/releases", {"run": run, "name": name})
    assert response.status_code == 201, response.text
    return response.json()


def test_each_name_is_its_own_model_and_moves_while_requests_run(serve: Serve) -> None:
    server = serve(WRITING)
    home = server.config.home
    digest = read_header(store.weights_path(MODEL)).digest
    for run_id, scale in (("ft-a", 1.0), ("ft-b", 3.0)):
        trained(home, run_id, scale=scale, digest=digest)
    assert names(server) == ["rag", "base"]
    base = said(server, "base")

    first = released(server, "ft-a", "tickets")
    assert (first["number"], first["current"], first["loaded"], first["reason"]) == (1, True, True, "")
    assert names(server) == ["rag", "base", "tickets", "hybrid"]
    as_first = said(server, "tickets")
    assert as_first != base

    answers: list[str] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            answers.append(said(server, "tickets"))

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(keep_asking)
        try:
            second = released(server, "ft-b", "tickets")
            as_second = said(server, "tickets")
            assert until(lambda: as_second in answers)
            back = server.post("/releases/rollback", {"name": "tickets"}).json()
            as_third = said(server, "tickets")
        finally:
            stop.set()
        asking.result(60)
    assert (second["number"], back["number"], back["loaded"]) == (2, 1, True)
    assert as_third == as_first != as_second
    assert set(answers) <= {as_first, as_second}  # each as one release, whole; none failed
    parts = server.server.engine.parts
    assert (parts.retire("tickets"), parts.retire("tickets")) == (1, 0)  # what the name meant before

    released(server, "ft-b", "billing")
    expected = {"base": base, "tickets": as_first, "billing": as_second}
    assert len(set(expected.values())) == 3
    with ThreadPoolExecutor(6) as pool:
        asked = [name for _ in range(3) for name in expected]
        assert list(pool.map(lambda name: said(server, name), asked)) == [expected[name] for name in asked]


def test_rag_is_the_base_model_and_hybrid_an_adapter(serve: Serve, endpoint: Endpoint) -> None:
    """What the endpoint is asked for tells them apart; a trace names the adapter."""
    server = serve(endpoint.settings())
    for run_id, name in (("ft-a", "tickets"), ("ft-b", "billing")):
        trained(server.config.home, run_id)
        done = released(server, run_id, name)
        assert done["loaded"] is False
        assert "endpoint" in done["reason"]
        if name == "tickets":
            assert names(server) == ["rag", "base", "tickets", "hybrid"]
            for model in ("rag", "base", "hybrid", "tickets"):
                said(server, model)
    assert [one["model"] for one in endpoint.asked] == ["told", "told", "tickets", "tickets"]
    with_passages = ["<passage" in json.dumps(one["messages"]) for one in endpoint.asked]
    assert with_passages == [True, False, True, False]
    assert names(server) == ["rag", "base", "billing", "tickets"]  # which one would hybrid be?
    unclear = server.post("/v1/chat/completions", {"model": "hybrid", "messages": QUESTION})
    assert unclear.status_code == 404
    assert "billing, tickets" in unclear.json()["error"]["message"]
    done = server.post(
        "/v1/chat/completions",
        {"model": "hybrid", "messages": QUESTION, "firstfault": {"adapter": "billing"}},
    ).json()
    assert server.trace(done["id"].removeprefix("chatcmpl-"))["generation"]["adapter"] == "billing"
    unknown = server.post("/v1/chat/completions", {"model": "nobody", "messages": QUESTION})
    assert unknown.status_code == 404
    assert "rag, base, billing, tickets" in unknown.json()["error"]["message"]
    beside = {"model": "rag", "messages": QUESTION, "firstfault": {"adapter": "billing"}}
    assert server.post("/v1/chat/completions", beside).status_code == 400


def test_who_may_release_what(serve: Serve) -> None:
    server = serve(
        keys={
            "reader": {"scopes": ["traces"]},
            "boss": {"scopes": ["admin"]},
            "elsewhere": {"scopes": ["admin"], "collections": ["other"]},
        }
    )
    headers = {name: {"authorization": f"Bearer {secret}"} for name, secret in server.secrets.items()}
    home = server.config.home
    trained(home, "ft-good")
    trained(home, "ft-bad", bench=bench(changed=0.0))
    wanted = {"run": "ft-good", "name": "tickets"}
    for who in ("reader", "elsewhere"):
        assert server.post("/releases", wanted, headers=headers[who]).status_code == 403
        refused = server.post("/releases/rollback", {"name": "tickets"}, headers=headers[who])
        assert refused.status_code == 403
    boss = headers["boss"]
    for body, status in (
        ({"run": "ft-bad", "name": "tickets"}, 400),
        ({"run": "ft-none", "name": "tickets"}, 404),
        ({"run": "ft-good", "name": "hybrid"}, 400),
        ({"run": "ft-good", "name": "../x"}, 422),
    ):
        assert server.post("/releases", body, headers=boss).status_code == status, body
    assert server.post("/releases/rollback", {"name": "tickets"}, headers=boss).status_code == 404
    assert list_releases(home) == ()
    made = server.post("/releases", wanted, headers=boss).json()
    assert set(made) == {*RELEASE_DOCUMENT, "loaded", "reason"}
    first = server.post("/releases/rollback", {"name": "tickets"}, headers=boss)
    assert (first.status_code, "there is none before it" in first.text) == (400, True)
    listed = server.http.get("/releases", headers=headers["reader"]).json()["releases"]
    assert [(one["name"], one["number"], one["current"]) for one in listed] == [("tickets", 1, True)]

    rows = {
        one["run_id"]: one
        for one in server.http.get("/finetunes", headers=headers["reader"]).json()["finetunes"]
    }
    assert rows["ft-good"]["releases"] == [{"name": "tickets", "number": 1, "current": True}]
    assert rows["ft-bad"]["gates"] == {"passed": False, "failed": ["applied"]}
    found = server.http.get("/finetunes/ft-bad", headers=headers["reader"]).json()
    assert found["diagnosis"]["primary"]["cause"] == "adapter_not_applied"
    assert server.http.get("/finetunes/none", headers=headers["reader"]).status_code == 404


def test_the_command_line_releases_through_the_server(serve: Serve) -> None:
    server = serve()
    trained(server.config.home, "ft-a")
    trained(server.config.home, "ft-b")

    def run(*arguments: str, by: tuple[str, str] = ("--url", server.url)) -> Any:
        found = CliRunner().invoke(app, [*by, "finetune", *arguments])
        assert found.exit_code == 0, found.output
        return found.stdout

    assert json.loads(run("release", "ft-a", "tickets", "--json"))["number"] == 1
    shown = run("release", "last", "tickets")
    assert "tickets is tickets-2 now" in shown
    assert "has not loaded it" in shown
    assert "tickets is tickets-1 again" in run("rollback", "tickets")
    assert [one.number for one in list_releases(server.config.home) if one.current] == [1]
    here = ("--home", str(server.config.home))
    for command in ("runs", "releases", "show", "gate", "diagnose"):
        for form in ((), ("--json",)):
            assert run(command, *form) == run(command, *form, by=here), command
    assert run("releases", "--name", "other", "--json") == run(
        "releases", "--name", "other", "--json", by=here
    )


def test_every_path_of_releases_is_documented_with_an_example(quoting: Running) -> None:
    paths = quoting.http.get("/openapi.json").json()["paths"]
    for path, method, status in (
        ("/finetunes", "get", "200"),
        ("/finetunes/{run_id}", "get", "200"),
        ("/releases", "get", "200"),
        ("/releases", "post", "201"),
        ("/releases/rollback", "post", "200"),
    ):
        operation = paths[path][method]
        assert operation["responses"][status]["content"]["application/json"]["example"], path
        assert {"401", "403", "404"} <= set(operation["responses"])
