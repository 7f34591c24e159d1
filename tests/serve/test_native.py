"""The native API over real HTTP: answers, streams, documents, traces, errors."""

import json

import pytest
from tests.serve.conftest import Endpoint, Running, Serve

from firstfault.answer.documents import answer_document


def test_an_answer_has_the_shape_of_the_command_line(quoting: Running) -> None:
    answer = quoting.ask("What does a resident parking permit cost?")
    trace = quoting.server.engine.parts.traces()
    trace.flush()
    assert answer == json.loads(json.dumps(answer_document(trace.get(answer["trace_id"]))))
    assert "48 euros" in answer["answer"]


def test_the_trace_id_is_in_a_header(quoting: Running) -> None:
    response = quoting.post("/ask", {"question": "When does the market open?"})
    assert response.headers["x-firstfault-trace-id"] == response.json()["trace_id"]
    assert "x-firstfault-degraded" not in response.headers


def test_all_pieces_of_text_together_are_the_answer(quoting: Running) -> None:
    events = quoting.events({"question": "What does a resident parking permit cost?"})
    names = [name for name, _ in events]
    assert names[0] == "context"
    assert names[-1] == "answer"
    final = events[-1][1]
    assert "".join(data["text"] for name, data in events if name == "text") == final["answer"]
    told = [data for name, data in events if name == "sentence"]
    assert [
        {key: value for key, value in one.items() if key not in {"start", "end"}} for one in told
    ] == final["sentences"]
    assert [data for name, data in events if name == "citation"] == final["citations"]


@pytest.mark.parametrize("policy", ["annotate", "strip", "abstain"])
def test_a_stream_never_takes_back_what_it_sent(serve: Serve, endpoint: Endpoint, policy: str) -> None:
    endpoint.text = (
        "A resident parking permit costs 48 euros a year [1]. The permit is made of solid gold [7]. "
        "It is valid for one car. The sources do not say."
    )
    server = serve(endpoint.settings())
    events = server.events({"question": "What does a resident parking permit cost?", "policy": policy})
    assert "replace" not in [name for name, _ in events]
    assert "".join(data["text"] for name, data in events if name == "text") == events[-1][1]["answer"]


def test_a_question_nobody_can_answer_is_abstained_from(quoting: Running) -> None:
    events = quoting.events({"question": "How tall is the Eiffel Tower in Paris?"})
    assert events[-1][1]["abstained"] is True
    assert [data["text"] for name, data in events if name == "text"] == [events[-1][1]["answer"]]


def test_search_has_the_shape_of_the_command_line(quoting: Running) -> None:
    found = quoting.post("/search", {"question": "library books", "limit": 2}).json()
    assert found["hits"][0]["chunk"]["document_id"] == "library.md"
    assert set(found["hits"][0]["arms"]) >= {"dense", "fuse"}
    assert len(found["hits"]) == 2


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"question": "  "}, 400, "empty"),
        ({"question": ""}, 422, "question"),
        ({"question": "x", "where": "no_such = 1"}, 400, "no_such"),
        ({"question": "x", "unknown": 1}, 422, "unknown"),
        ({"question": "x", "collection": "../etc"}, 422, "collection"),
        ({"question": "x", "collection": "absent"}, 404, "absent"),
        ({"question": "x", "timeout_s": 0.5}, 422, "timeout_s"),
        ({"question": "x" * 9000}, 422, "question"),
        ({"question": "\ud800"}, 422, "unicode"),
    ],
)
def test_bad_questions_are_problems(quoting: Running, body: object, status: int, part: str) -> None:
    response = quoting.http.post(
        "/ask", content=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert part in problem["detail"]
    assert problem["hint"]
    assert problem["status"] == status


def test_a_body_that_is_no_json_names_the_place_and_the_missing_header(quoting: Running) -> None:
    json_body = {"content-type": "application/json"}
    broken = quoting.http.post("/ask", content=b'{"question": x}', headers=json_body).json()
    assert broken["detail"].startswith("body, character 13: JSON decode error")
    untyped = quoting.http.post("/ask", content=b'{"question": "x"}', headers={"content-type": "text/plain"})
    assert (untyped.status_code, untyped.json()["hint"]) == (422, "Send Content-Type: application/json.")


def test_a_stream_that_cannot_begin_has_a_status_of_its_own(quoting: Running) -> None:
    response = quoting.post("/ask", {"question": "x", "where": "no_such = 1", "stream": True})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/nope", "/traces/nope", "/jobs/nope", "/documents/nope", "/runs/nope"])
def test_what_is_not_there_is_404(quoting: Running, path: str) -> None:
    response = quoting.http.get(path)
    assert response.status_code == 404
    assert response.json()["hint"]


def test_documents_are_added_replaced_and_deleted(serve: Serve) -> None:
    server = serve()
    job = server.post(
        "/documents?wait=30",
        {
            "documents": [
                {"id": "a/ferry.md", "text": "The ferry sails at nine.", "metadata": {"kind": "time"}}
            ]
        },
    )
    assert job.status_code == 200
    assert job.json()["result"]["added"] == 1
    assert "nine" in server.ask("When does the ferry sail?")["answer"]
    changed = server.http.put(
        "/documents/a/ferry.md?wait=30", json={"text": "The ferry sails at ten."}
    ).json()
    assert changed["result"]["replaced"] == 1
    assert server.http.get("/documents/a/ferry.md").json()["text"] == "The ferry sails at ten."
    assert "ten" in server.ask("When does the ferry sail?")["answer"]
    gone = server.http.delete("/documents/a/ferry.md?wait=30").json()
    assert gone["result"] == {"retired": 1, "absent": 0}
    assert server.http.get("/documents/a/ferry.md").status_code == 404
    assert "ferry" not in server.ask("When does the ferry sail?")["answer"]


def test_a_job_is_accepted_and_watched(serve: Serve) -> None:
    server = serve()
    rows = [{"id": f"d{n}", "text": f"Fact {n} is about the number {n}."} for n in range(40)]
    accepted = server.post("/documents", {"documents": rows})
    assert accepted.status_code == 202
    done = server.http.get(f"{accepted.headers['location']}?wait=60").json()
    assert done["state"] == "done"
    assert done["done"] == done["total"] == 40
    assert accepted.json()["id"] in [job["id"] for job in server.http.get("/jobs").json()["jobs"]]


def test_two_documents_with_one_id_are_refused(quoting: Running) -> None:
    rows = [{"id": "a", "text": "one"}, {"id": "a", "text": "two"}]
    assert quoting.post("/documents", {"documents": rows}).status_code == 400


def test_a_document_without_words_fails_its_job(quoting: Running) -> None:
    job = quoting.post("/documents?wait=30", {"documents": [{"id": "blank", "text": "  \n "}]}).json()
    assert job["state"] == "failed"
    assert "no text" in job["error"]["detail"]


def test_replay_starts_where_the_change_begins(quoting: Running) -> None:
    asked = quoting.ask("What does a resident parking permit cost?")
    changes = {"trace_id": asked["trace_id"], "changes": {"answer.policy": "strip"}}
    again = quoting.post("/replay", changes).json()
    assert again["replay_of"] == asked["trace_id"]
    assert again["replayed_from"] == "cite"


def test_runs_and_diagnoses_are_jobs(serve: Serve) -> None:
    server = serve()
    case = {
        "id": "1",
        "question": "What does a resident parking permit cost?",
        "evidence": [{"document": "parking.md", "quote": "costs 48 euros a year"}],
    }
    run = server.post("/evaluate?wait=60", {"cases": [case], "generation": False}).json()
    assert run["state"] == "done", run
    assert run["result"]["metrics"]["context_recall"]["value"] == 1.0
    found = server.post("/diagnose?wait=60", {"run": run["result"]["run_id"]}).json()
    assert found["result"]["healthy"] is True
    shown = server.http.get(f"/runs/{run['result']['run_id']}").json()
    assert shown["cases"][0]["case_id"] == "1"


def test_drills_are_jobs(serve: Serve) -> None:
    server = serve()
    cases = [
        {
            "id": str(number),
            "question": question,
            "evidence": [{"document": "parking.md", "quote": "48 euros"}],
        }
        for number, question in enumerate(
            ("What does a resident parking permit cost?", "How much is a resident parking permit a year?")
        )
    ]
    server.post("/evaluate?wait=60", {"cases": cases, "generation": False})
    unknown = server.post("/drill", {"faults": ["gremlins"]})
    assert unknown.status_code == 400
    done = server.post(
        "/drill?wait=60", {"faults": ["documents_removed"], "most_cases": 4, "severity": 1}
    ).json()
    assert done["state"] == "done", done
    (drilled,) = done["result"]["drills"]
    assert drilled["found"] == {"stage": "corpus", "cause": "missing_document"}
    assert server.http.get("/status").json()["documents"] > 0, "the home is as it was"


def test_a_malformed_case_is_refused_before_it_is_queued(quoting: Running) -> None:
    assert quoting.post("/evaluate", {"cases": [{"question": "no id"}]}).status_code == 400


def test_the_deadline_passes_down_to_the_stages(serve: Serve, endpoint: Endpoint) -> None:
    endpoint.mode = "stalls"
    server = serve({**endpoint.settings(), "serve.degrade_generator": "false"})
    response = server.post("/ask", {"question": "When does the market open?", "timeout_s": 1.0})
    assert response.status_code == 504
    trace = server.trace(response.json()["trace_id"])
    assert trace["spans"][-1]["stage"] == "generate"
    assert trace["spans"][-1]["status"] == "error"
    assert trace["total_ms"] < 5000
