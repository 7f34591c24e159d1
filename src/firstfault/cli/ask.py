"""`ask` and `search`: questions in, answers and candidates out."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firstfault.cli.state import Json, print_json, state

if TYPE_CHECKING:
    from firstfault.types import Formatted, Trace

Where = Annotated[
    str | None,
    typer.Option(
        "--where", help="""Metadata filter, e.g. 'kind = "function" and published >= "2024-01-01"'."""
    ),
]


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    where: Where = None,
    policy: Annotated[
        str | None, typer.Option(help="Unsupported sentences: annotate, strip or abstain.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="JSON schema that the answer must satisfy; exit 1 when it does not.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer from the documents, with every sentence checked and every citation verified."""
    from firstfault.cli import render

    shape = None
    if schema is not None:
        from firstfault.structured import read_schema

        shape = read_schema(schema).document
    with state(context).application() as app:
        settings = app.settings.override({"answer.policy": policy}, origin="--policy") if policy else None
        if as_json:
            trace = app.ask(question, where=where, settings=settings, schema=shape)
            print_json(answer_document(trace))
            _exit_when_malformed(trace)
            return
        draft = render.Draft(render.console(stderr=True))
        with draft:
            trace = app.ask(question, where=where, settings=settings, schema=shape, listener=draft.add)
    out = render.console()
    assert trace.answer is not None
    render.shown(out, trace)
    out.print()
    render.waterfall(out, trace)
    out.print(f"  [dim]trace {trace.id}[/]")
    _exit_when_malformed(trace)


def _exit_when_malformed(trace: "Trace") -> None:
    """An answer that does not satisfy its schema is a verdict: exit 1."""
    if trace.format is not None and not trace.format.valid:
        raise typer.Exit(1)


def search(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What to look for.")],
    where: Where = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many candidates to show.")] = 10,
    exact: Annotated[bool, typer.Option(help="Exact dense search instead of the index.")] = False,
    as_json: Json = False,
) -> None:
    """Show the candidates for a question, the arms side by side."""
    with state(context).application(looks=True) as app:
        hits = app.search(question, where=where, exact=exact)
    if as_json:
        print_json({"question": question, "hits": [asdict(hit) for hit in hits[:limit]]})
        return
    from firstfault.cli import render

    render.hits(render.console(), hits, limit=limit)


def answer_document(trace: "Trace") -> dict[str, Any]:
    """The JSON document of `ask --json`: a contract that scripts rely on."""
    answer = trace.answer
    assert answer is not None
    structured: dict[str, Any] = {} if trace.schema is None else {"value": None, "format": None}
    if trace.format is not None:
        structured = {"value": trace.format.value, "format": _format_document(trace.format)}
    return {
        "trace_id": trace.id,
        "answer": answer.text,
        "abstained": answer.abstained,
        "sentences": [
            {"text": claim.text, "verdict": claim.verdict.label, "citations": list(claim.citations)}
            | ({} if claim.path is None else {"path": claim.path})
            for claim in answer.claims
        ],
        "citations": [
            {
                "number": citation.number,
                "document_id": citation.document_id,
                "document_title": citation.document_title,
                "chunk_id": citation.chunk_id,
                "cited_text": citation.cited_text,
                "start_char_index": citation.start_char_index,
                "end_char_index": citation.end_char_index,
                "verdict": citation.verdict.label,
            }
            for citation in answer.citations
        ],
        "removed": [{"text": claim.text, "reason": claim.verdict.reason} for claim in answer.removed],
        "timings_ms": trace.timings_ms(),
        **structured,
    }


def _format_document(made: "Formatted") -> dict[str, Any]:
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


def register(app: typer.Typer) -> None:
    """Hang the commands on the root."""
    app.command()(ask)
    app.command()(search)
