"""Answers in OpenAI's shapes: traces in, completions, chunks and annotations out."""

import json
import time
from typing import Any
from urllib.parse import quote

from firstfault.answer.documents import citation_document
from firstfault.types import Answer, Claim, Generation, Trace

_FINISH = {"length": "length", "content_filter": "content_filter"}


def finish_reason(generation: Generation | None) -> str:
    """Why the text ended, in OpenAI's words."""
    return _FINISH.get(generation.finish_reason, "stop") if generation is not None else "stop"


def usage(generation: Generation | None) -> dict[str, Any] | None:
    """Tokens; None where the endpoint did not count."""
    if generation is None:
        return counts(0, 0)
    return counts(generation.prompt_tokens, generation.completion_tokens)


def counts(prompt: int | None, completion: int | None) -> dict[str, Any] | None:
    """Tokens in OpenAI's shape."""
    if prompt is None or completion is None:
        return None
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def annotations(answer: Answer, claims: tuple[Claim, ...], base_url: str) -> list[dict[str, Any]]:
    """One `url_citation` for each mark of the claims; the indices are those of the mark in the answer."""
    by_number = {citation.number: citation for citation in answer.citations}
    found = []
    for claim in claims:
        for number in claim.citations:
            at = answer.text.find(f"[{number}]", claim.start, claim.end)
            if at >= 0 and number in by_number:
                cited = citation_document(by_number[number])
                found.append(annotation(cited, at, at + len(f"[{number}]"), base_url))
    return found


def annotation(citation: dict[str, Any], start: int, end: int, base_url: str) -> dict[str, Any]:
    """A citation as OpenAI's clients know it."""
    address = f"{base_url}documents/{quote(citation['document_id'])}"
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": start,
            "end_index": end,
            "title": citation["document_title"],
            "url": address,
        },
    }


def completion(trace: Trace, model: str, base_url: str) -> dict[str, Any]:
    """A whole chat completion."""
    answer = trace.answer
    assert answer is not None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content(trace),
        "refusal": None,
        "annotations": annotations(answer, answer.claims, base_url) if trace.schema is None else [],
        "citations": [citation_document(one) for one in answer.citations],
    }
    return plain_completion(
        trace.id, model, message, finish_reason(trace.generation), usage(trace.generation)
    )


def content(trace: Trace) -> str:
    """The text of the message: the answer, or its value as JSON where a schema was asked for."""
    assert trace.answer is not None
    if trace.format is not None and trace.format.valid:
        return json.dumps(trace.format.value, ensure_ascii=False)
    return trace.answer.text


def plain_completion(
    identity: str, model: str, message: dict[str, Any], finish: str, used: dict[str, Any] | None
) -> dict[str, Any]:
    """A chat completion with this message."""
    return {
        "id": f"chatcmpl-{identity}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": used,
        "trace_id": identity,
    }


class Chunks:
    """The chunks of one streamed completion, as server-sent data."""

    def __init__(self, identity: str, model: str) -> None:
        self._head = {
            "id": f"chatcmpl-{identity}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
            "trace_id": identity,
        }

    def delta(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        """A piece of the message; the last one says why it ended."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data({**self._head, "choices": [choice]})

    def usage(self, used: dict[str, Any] | None) -> bytes:
        """The last chunk of a stream that includes usage."""
        return data({**self._head, "choices": [], "usage": used})


def data(document: Any) -> bytes:
    """A server-sent event without a name."""
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


DONE = b"data: [DONE]\n\n"
