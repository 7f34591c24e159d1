"""Responses as the OpenAPI document shows them: examples of success, and the errors that a path may give."""

from typing import Any

_TRACE_ID = "20261122T150000000-0123456789"

_PROBLEM = {
    "type": "about:blank",
    "title": "Bad request",
    "status": 400,
    "detail": "The question is empty.",
    "hint": 'Ask something, e.g. firstfault ask "What is X?".',
    "trace_id": None,
}

_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "hint", "trace_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string"},
        "trace_id": {"type": ["string", "null"]},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}

_OPENAI_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
                "trace_id": {"type": ["string", "null"]},
            },
        }
    },
}

_MEANING = {
    400: "The request cannot be used.",
    401: "The request carries no valid key.",
    403: "The key does not allow it.",
    404: "There is no such thing.",
    405: "The path does not take this method.",
    409: "It contradicts what is stored or running.",
    413: "The body is too large.",
    421: "The Host header names another host.",
    422: "The body does not fit its schema.",
    429: "Asked too often; see Retry-After.",
    500: "The server failed; its log names the trace id.",
    502: "The model behind an endpoint failed.",
    503: "No room, or something is not available now; see Retry-After.",
    504: "The deadline passed.",
    507: "The disk refused.",
}

Responses = dict[int | str, dict[str, Any]]


def problems(*, openai: bool = False) -> Responses:
    """Every error, documented in the shape of the path."""
    found: Responses = {}
    for status, meaning in _MEANING.items():
        content: dict[str, Any] = (
            {"application/json": {"schema": _OPENAI_SCHEMA}}
            if openai
            else {
                "application/problem+json": {
                    "schema": _PROBLEM_SCHEMA,
                    "example": {**_PROBLEM, "status": status, "detail": meaning},
                }
            }
        )
        found[status] = {"description": meaning, "content": content}
    return found


def success(description: str, example: Any, *, status: int = 200, stream: bool = False) -> Responses:
    """A good response with its example, and every error."""
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}, "example": example}}
    if stream:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {status: {"description": description, "content": content}}


CITATION = {
    "number": 1,
    "document_id": "pumps.md",
    "document_title": "Pumps",
    "chunk_id": "pumps.md@1a2b3c4d:0-28",
    "cited_text": "The red pump costs 40 euros.",
    "start_char_index": 0,
    "end_char_index": 28,
    "verdict": "supported",
}

ANSWER_DOCUMENT = {
    "trace_id": _TRACE_ID,
    "answer": "The red pump costs 40 euros [1].",
    "abstained": False,
    "sentences": [{"text": "The red pump costs 40 euros.", "verdict": "supported", "citations": [1]}],
    "citations": [CITATION],
    "removed": [],
    "timings_ms": {
        "embed": 5.1,
        "index": 2.0,
        "generate": 310.0,
        "time_to_first_token": 120.0,
        "total": 340.0,
    },
}

ANSWER = success("The answer, or its events.", ANSWER_DOCUMENT, stream=True)
REPLAY = success("The new answer.", {**ANSWER_DOCUMENT, "replay_of": _TRACE_ID, "replayed_from": "generate"})
HITS = success(
    "Candidates in final order.",
    {
        "question": "greatest divisor",
        "hits": [
            {
                "chunk": {
                    "id": "gcd.md@1a2b3c4d:0-40",
                    "document_id": "gcd.md",
                    "document_title": "math.gcd",
                    "start": 0,
                    "end": 40,
                    "text": "math.gcd returns the greatest common divisor",
                    "metadata": {},
                },
                "arms": {"dense": {"rank": 1, "score": 0.71}, "bm25": {"rank": 1, "score": 9.3}},
            }
        ],
    },
)
TRACES = success(
    "Newest first.",
    {
        "traces": [
            {
                "trace_id": _TRACE_ID,
                "at": "2026-11-22T15:00:00.000+00:00",
                "question": "What does the red pump cost?",
                "status": "supported",
                "total_ms": 340.0,
            }
        ]
    },
)
TRACE = success("Every field of the trace.", {"id": _TRACE_ID, "question": "What does the red pump cost?"})
JOB_DOCUMENT = {
    "id": f"job-{_TRACE_ID}",
    "kind": "ingest",
    "lane": "write",
    "collection": "default",
    "state": "done",
    "created": "2026-11-22T15:00:00.000+00:00",
    "started": "2026-11-22T15:00:00.010+00:00",
    "finished": "2026-11-22T15:00:00.400+00:00",
    "done": 1,
    "total": 1,
    "result": {"added": 1, "replaced": 0, "unchanged": 0},
    "error": None,
}
JOB = success("The job as it is now.", JOB_DOCUMENT)
JOBS = success("Newest first.", {"jobs": [JOB_DOCUMENT]})
ACCEPTED: Responses = {
    202: {
        "description": "Accepted and on disk; GET /jobs/{id} shows its progress.",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {**JOB_DOCUMENT, "state": "queued", "result": None},
            }
        },
    },
    200: {
        "description": "Finished within `wait`.",
        "content": {"application/json": {"schema": {"type": "object"}, "example": JOB_DOCUMENT}},
    },
}
DOCUMENTS = success(
    "Live documents, by id.",
    {"documents": [{"id": "pumps.md", "title": "Pumps", "source": "api", "revision": "…", "chunks": 1}]},
)
DOCUMENT = success(
    "The stored document.", {"id": "pumps.md", "title": "Pumps", "text": "The red pump costs 40 euros."}
)
STATUS = success("Size and state of the collection.", {"name": "default", "documents": 5, "chunks": 5})
RUNS = success("Newest first.", {"runs": [{"run_id": "run-20261122T150000000-0123456789", "metrics": {}}]})
HEALTH = success("It runs.", {"status": "ok"})
READY = success("It takes requests.", {"ready": True, "reasons": {}, "working": 0, "waiting": 0})
FEEDBACK = success(
    "It is kept.",
    {"trace_id": _TRACE_ID, "at": "2026-11-22T15:02:00.000+00:00", "verdict": "down", "note": "wrong price"},
    status=201,
)
STAGES = success("One row a stage.", {"worst": "ok", "requests": 1204, "rows": [{"stage": "embed"}]})
ALERTS = success(
    "Newest first.", {"alerts": [{"rule": "format_drift", "state": "firing", "stage": "format"}]}
)
INCIDENT_DOCUMENT = {
    "id": "incident-20261122T150000000-0123456789",
    "state": "open",
    "stage": "format",
    "cause": "schema_violation",
    "summary": "Structured answers break their schema since 01:40 UTC: 58 of 1204 requests, usually 0.4%.",
    "next_command": "firstfault diagnose --since 1h",
}
INCIDENTS = success("Newest first.", {"incidents": [INCIDENT_DOCUMENT]})
INCIDENT = success("With its alerts and timeline.", {**INCIDENT_DOCUMENT, "alerts": [], "timeline": []})
_GATE = {
    "name": "task_gain",
    "status": "ok",
    "measured": 0.62,
    "limit": 0.0,
    "reason": "agreement with 60 held-out answers 0.21 → 0.83 (p = 0.0002)",
    "remedy": "",
}
FINETUNE_ROW = {
    "run_id": "ft-20261122T150000000-0123456789",
    "at": "2026-11-22T15:00:00.000+00:00",
    "status": "trained",
    "base": "SmolLM2-135M-Instruct",
    "examples": 300,
    "validation_loss": {"before": 2.01, "best": 0.41, "step": 120},
    "gates": {"passed": True, "failed": []},
    "releases": [{"name": "tickets", "number": 2, "current": True}],
}
FINETUNES = success("Newest first.", {"finetunes": [FINETUNE_ROW]})
FINETUNE = success(
    "Everything that was recorded, the verdict of every gate, and the first fault.",
    {
        "run_id": FINETUNE_ROW["run_id"],
        "status": "trained",
        "points": [{"step": 0, "epoch": 0.0, "train_loss": 2.0, "validation_loss": 2.01}],
        "gates": [_GATE],
        "diagnosis": {"healthy": True, "primary": None, "findings": [], "unknown": ""},
        "releases": FINETUNE_ROW["releases"],
    },
)
RELEASE_DOCUMENT = {
    "name": "tickets",
    "number": 2,
    "at": "2026-11-22T15:10:00.000+00:00",
    "run_id": FINETUNE_ROW["run_id"],
    "folder": "/srv/.firstfault/finetune/releases/tickets-2",
    "digest": "9f2c…",
    "base": "SmolLM2-135M-Instruct",
    "base_digest": "1b7e…",
    "verdicts": [_GATE],
    "current": True,
}
RELEASES = success("By name, newest first.", {"releases": [RELEASE_DOCUMENT]})
_SWITCHED = "What the name means now; the next request uses it. `loaded`: whether this server has it."
RELEASED = success(_SWITCHED, {**RELEASE_DOCUMENT, "loaded": True, "reason": ""}, status=201)
ROLLED_BACK = success(_SWITCHED, {**RELEASE_DOCUMENT, "number": 1, "loaded": True, "reason": ""})
MARKDOWN: Responses = {
    200: {
        "description": "The post-mortem.",
        "content": {
            "text/markdown": {"schema": {"type": "string"}, "example": "# Answers break their schema"}
        },
    }
}
