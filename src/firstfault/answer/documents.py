"""The JSON documents of answers, candidates and traces: one shape for the command line and the HTTP API.

In: traces and hits. Out: plain JSON values; a contract that scripts rely on.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstfault.diagnose.apply import Applied
    from firstfault.diagnose.fix import FixReport
    from firstfault.types import Citation, Claim, Diagnosis, Formatted, Hit, Run, Trace


def answer_document(trace: "Trace") -> dict[str, Any]:
    """The JSON document of `ask --json`: a contract that scripts rely on."""
    answer = trace.answer
    assert answer is not None
    structured: dict[str, Any] = {} if trace.schema is None else {"value": None, "format": None}
    if trace.format is not None:
        structured = {"value": trace.format.value, "format": format_document(trace.format)}
    made = trace.generation
    if made is not None and made.adapter is not None:
        structured["adapter"] = {
            "name": made.adapter,
            "release": made.adapter_release,
            "digest": made.adapter_digest,
        }
    return {
        "trace_id": trace.id,
        "answer": answer.text,
        "abstained": answer.abstained,
        "sentences": [sentence_document(claim) for claim in answer.claims],
        "citations": [citation_document(citation) for citation in answer.citations],
        "removed": [{"text": claim.text, "reason": claim.verdict.reason} for claim in answer.removed],
        "timings_ms": trace.timings_ms(),
        **structured,
    }


def sentence_document(claim: "Claim") -> dict[str, Any]:
    """One of its sentences; in a structured answer with the JSON pointer of the field."""
    place = {} if claim.path is None else {"path": claim.path}
    return {
        "text": claim.text,
        "verdict": claim.verdict.label,
        "citations": list(claim.citations),
        **place,
    }


def format_document(made: "Formatted") -> dict[str, Any]:
    """How an answer came to satisfy its schema; the schema itself is on the trace."""
    return {
        "valid": made.valid,
        "first_try": made.first_try,
        "constrained": made.constrained,
        "cause": made.cause,
        "problems": [asdict(problem) for problem in made.attempts[-1].problems],
        "attempts": [
            {
                "kind": attempt.kind,
                "rules": [problem.rule for problem in attempt.problems],
                "finish_reason": attempt.finish_reason,
                "duration_ms": attempt.duration_ms,
                "prompt_tokens": attempt.prompt_tokens,
                "completion_tokens": attempt.completion_tokens,
            }
            for attempt in made.attempts
        ],
    }


def citation_document(citation: "Citation") -> dict[str, Any]:
    """One of its citations; the offsets are characters of the stored document."""
    return {
        "number": citation.number,
        "document_id": citation.document_id,
        "document_title": citation.document_title,
        "chunk_id": citation.chunk_id,
        "cited_text": citation.cited_text,
        "start_char_index": citation.start_char_index,
        "end_char_index": citation.end_char_index,
        "verdict": citation.verdict.label,
    }


def search_document(question: str, hits: "Iterable[Hit]") -> dict[str, Any]:
    """The JSON document of `search --json`."""
    return {"question": question, "hits": [asdict(hit) for hit in hits]}


def trace_row(trace: "Trace") -> dict[str, Any]:
    """A trace in a list of `traces --json`."""
    from firstfault.trace import status

    return {
        "trace_id": trace.id,
        "at": trace.at,
        "question": trace.question,
        "status": status(trace),
        "total_ms": trace.total_ms,
    }


def replay_document(before: "Trace", after: "Trace") -> dict[str, Any]:
    """The JSON document of `replay --json`."""
    return {**answer_document(after), "replay_of": before.id, "replayed_from": after.replayed_from}


def run_document(run: "Run") -> dict[str, Any]:
    """The JSON document of `eval --json`: a contract that scripts rely on."""
    fields = asdict(run)
    return {"run_id": fields.pop("id"), "metrics": fields.pop("metrics"), **fields}


def fix_document(report: "FixReport", diagnosis: "Diagnosis", applied: "Applied | None") -> dict[str, Any]:
    """The JSON document of `fix --json`: a contract that scripts rely on."""
    return {
        "run_id": report.run_id,
        "trials": [asdict(trial) for trial in report.trials],
        "patch": dict(report.patch),
        "repairs": list(report.repairs),
        "findings": [
            {
                "stage": one.finding.stage,
                "cause": one.finding.cause,
                "cases": len(one.finding.cases),
                "metric": one.metric,
                "tried": [asdict(attempt) for attempt in one.attempts],
                "sampled": one.sampled,
                "reason": one.trial.reason if one.trial else one.reason,
                "remedy": asdict(one.finding.remedy),
            }
            for one in report.fixes
        ],
        "healthy": diagnosis.healthy,
        "generations": report.generations,
        "budget": report.budget,
        "applied": None
        if applied is None
        else {
            "file": None if applied.file is None else str(applied.file),
            "backup": None if applied.backup is None else str(applied.backup),
            "collection": applied.collection,
        },
    }
