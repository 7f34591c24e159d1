"""Passages that speak to the model: a packed context in, flags on the trace out. Nothing is left out.

A flag is a reason to read the document. What keeps a passage from acting is the fence around it, the grammar
of the answer and the check of every sentence, whether it was flagged or not.
"""

import re

from firstfault.serve.calls import Call
from firstfault.types import Context

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "overrides_instructions",
        re.compile(
            r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|all|any|your)\b"
            r"[^.\n]{0,30}\b(?:instruction|prompt|rule|direction|guideline|context)s?\b",
            re.IGNORECASE,
        ),
    ),
    (
        "assumes_role",
        re.compile(
            r"(?:^|\n)\s*(?:system|assistant|developer)\s*:|<\|[a-z_]+\|>|\[/?INST\]|<</?SYS>>|</passage>",
            re.IGNORECASE,
        ),
    ),
    (
        "gives_orders",
        re.compile(
            r"\byou (?:are now|must now|will now)\b"
            r"|\bact as (?:an?|the)\b[^.\n]{0,40}\b(?:assistant|model|ai)\b"
            r"|\b(?:new|updated) instructions?\s*:|\bdo not (?:tell|inform|mention to) the user\b"
            r"|\brespond only with\b|\bsay exactly\b",
            re.IGNORECASE,
        ),
    ),
    (
        "asks_for_secrets",
        re.compile(
            r"\b(?:reveal|print|repeat|output|show|leak)\b[^.\n]{0,30}"
            r"\b(?:system prompt|hidden prompt|api[ _-]?keys?|credentials|passwords?)\b",
            re.IGNORECASE,
        ),
    ),
    ("hidden_text", re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\U000e0000-\U000e007f]{3,}")),
)


def suspicions(text: str) -> list[str]:
    """Names of what in a text reads like instructions to a model, in a fixed order."""
    return [name for name, pattern in _PATTERNS if pattern.search(text)]


def flag_injections(context: Context, call: Call) -> None:
    """Note suspicious passages on the call; they become events of the next stage."""
    for passage in context.passages:
        for kind in suspicions(f"{passage.chunk.document_title}\n{passage.chunk.text}"):
            call.note_event(
                "suspected_injection", chunk_id=passage.chunk.id, passage=passage.number, kind=kind
            )
