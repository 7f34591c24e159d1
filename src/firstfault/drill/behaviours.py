"""How a model behind an endpoint misbehaves: replies and vectors in, faulty replies and vectors out.

Each works on the reply of a healthy upstream, whatever that is, so that the same fault can be put in front of
the drill's own answerer and in front of a real model.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from firstfault.answer.prompt import ABSTENTION, abstains
from firstfault.drill.answerer import Reply, question_of
from firstfault.drill.text import contradict, invented
from firstfault.models.embedder import FloatArray

_MARK = re.compile(r"\s*\[(\d+)\]")
_FENCE = re.compile(r"<passage number=\"(\d+)\"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """What the proxy does with one request."""

    reply: Reply | None = None
    """None: the reply of the upstream as it is."""
    wait_s: float = 0.0
    """Before the first byte."""
    pause_s: float = 0.0
    """Between pieces of the stream."""
    hang: bool = False
    """Accept the request and never answer."""
    reset: bool = False
    """Break the connection off in the middle of the reply."""
    status: int | None = None
    """Refuse with this HTTP status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request with the upstream's honest reply."""

    messages: Sequence[Mapping[str, Any]]
    reply: Reply
    random: Random
    delay_s: float

    @property
    def question(self) -> str:
        """What was asked."""
        return question_of(self.messages)

    @property
    def passages(self) -> list[int]:
        """Numbers of the passages in the prompt."""
        return [int(n) for one in self.messages for n in _FENCE.findall(str(one.get("content", "")))]


Chat = Callable[[Exchange], Faulty]
Vectors = Callable[[Sequence[str], FloatArray, float], FloatArray]
"""Texts, their honest vectors (texts, dimension) and the severity → faulty vectors."""


def _say(text: str, like: Reply) -> Faulty:
    return Faulty(reply=replace(like, text=text))


def _ignores_context(exchange: Exchange) -> Faulty:
    return _says_otherwise(exchange, lambda _: f"{invented(exchange.question)} [1]")


def _contradicts_context(exchange: Exchange) -> Faulty:
    return _says_otherwise(
        exchange, lambda text: _each_sentence(text, lambda one: contradict(one, exchange.random))
    )


def _stale_knowledge(exchange: Exchange) -> Faulty:
    """Values as they were when the model was trained: numbers differ, nothing else does."""

    def older(text: str) -> str:
        return contradict(text, exchange.random) if re.search(r"\d", text) else text

    return _says_otherwise(exchange, lambda text: _each_sentence(text, older))


def _says_otherwise(exchange: Exchange, change: Callable[[str], str]) -> Faulty:
    """The reply with another content: of an object in JSON each text, so that it stays valid."""
    text = exchange.reply.text
    try:
        value = json.loads(text)
    except ValueError:
        return _say(change(text), exchange.reply)
    if not isinstance(value, dict):
        return _say(change(text), exchange.reply)
    changed = {name: change(part) if isinstance(part, str) else part for name, part in value.items()}
    return _say(json.dumps(changed), exchange.reply)


def _abstains(exchange: Exchange) -> Faulty:
    return _say(ABSTENTION, exchange.reply)


def _refuses(exchange: Exchange) -> Faulty:
    return _say("The passages do not mention this.", exchange.reply)


def _never_abstains(exchange: Exchange) -> Faulty:
    if not abstains(exchange.reply.text):
        return Faulty()
    return _say(f"{invented(exchange.question)} [1]", exchange.reply)


def _answers_beside(exchange: Exchange) -> Faulty:
    """Instead of abstaining, repeats the beginning of the first passage, which says something else."""
    if not abstains(exchange.reply.text):
        return Faulty()
    content = next(str(one["content"]) for one in exchange.messages if one["role"] == "user")
    body = content.split(">\n", 1)[-1].split("\n</passage>", 1)[0]
    words = body.split()[:24]
    return _say(f"{' '.join(words).rstrip('.,;:')}. [1]", exchange.reply)


def _fabricated_citations(exchange: Exchange) -> Faulty:
    number = max(exchange.passages, default=0) + exchange.random.randint(3, 40)
    return _say(_MARK.sub(f" [{number}]", exchange.reply.text), exchange.reply)


def _shifted_citations(exchange: Exchange) -> Faulty:
    """Every mark names the passage after the right one."""
    passages = exchange.passages or [1]

    def shifted(match: "re.Match[str]") -> str:
        number = int(match[1])
        place = passages.index(number) if number in passages else 0
        return f" [{passages[(place + 1) % len(passages)]}]"

    return _say(_MARK.sub(shifted, exchange.reply.text), exchange.reply)


def _padded_citations(exchange: Exchange) -> Faulty:
    """Every sentence cites every passage, whether it supports the sentence or not."""
    marks = "".join(f"[{number}]" for number in exchange.passages)
    return _say(_MARK.sub(f" {marks}", exchange.reply.text), exchange.reply)


def _missing_citations(exchange: Exchange) -> Faulty:
    return _say(_MARK.sub("", exchange.reply.text), exchange.reply)


def _invalid_json(exchange: Exchange) -> Faulty:
    """Another notation in the place of JSON, as models slip into it."""
    value = _parsed(exchange.reply.text)
    rows = value.items() if isinstance(value, dict) else [("answer", value)]
    return _say("\n".join(f"- **{name}** {part}" for name, part in rows), exchange.reply)


def _prose_around_json(exchange: Exchange) -> Faulty:
    text = exchange.reply.text
    return _say(
        f"Sure! Here is the JSON you asked for:\n```json\n{text}\n```\nHope this helps.", exchange.reply
    )


def _truncated(exchange: Exchange) -> Faulty:
    text = exchange.reply.text
    return Faulty(reply=Reply(text=text[: max(1, len(text) // 2)], finish_reason="length"))


def _wrong_types(exchange: Exchange) -> Faulty:
    """Texts become lists of texts, numbers become texts."""
    return _say(json.dumps(_retyped(_parsed(exchange.reply.text))), exchange.reply)


def _extra_keys(exchange: Exchange) -> Faulty:
    value = _parsed(exchange.reply.text)
    value = value if isinstance(value, dict) else {"answer": value}
    return _say(json.dumps({**value, "reasoning": "as asked", "confidence": 0.9}), exchange.reply)


def _missing_keys(exchange: Exchange) -> Faulty:
    value = _parsed(exchange.reply.text)
    kept = dict(list(value.items())[1:]) if isinstance(value, dict) else {}
    return _say(json.dumps(kept), exchange.reply)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"answer": text}


def _retyped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _retyped(part) for name, part in value.items()}
    if isinstance(value, str):
        return [value]
    return str(value)


def _each_sentence(text: str, change: Callable[[str], str]) -> str:
    """Each marked sentence changed, its mark kept; abstentions stay."""
    if abstains(text):
        return text
    pieces = _MARK.split(text)
    changed = ""
    for said, number in zip(pieces[::2], [*pieces[1::2], None], strict=False):
        if said.strip():
            changed += f" {change(said.strip())}" + (f" [{number}]" if number else "")
    return changed.strip()


def _of_answers(change: Chat) -> Chat:
    """The fault on replies that answer; an abstention is plain text and stays."""

    def struck(exchange: Exchange) -> Faulty:
        return Faulty() if abstains(exchange.reply.text) else change(exchange)

    return struck


CHAT: Mapping[str, Chat] = {
    "ignores_context": _ignores_context,
    "contradicts_context": _contradicts_context,
    "stale_knowledge": _stale_knowledge,
    "always_abstains": _abstains,
    "refuses_in_own_words": _refuses,
    "never_abstains": _never_abstains,
    "answers_beside_the_question": _answers_beside,
    "fabricated_citations": _fabricated_citations,
    "shifted_citations": _shifted_citations,
    "padded_citations": _padded_citations,
    "missing_citations": _missing_citations,
    "invalid_json": _of_answers(_invalid_json),
    "prose_around_json": _of_answers(_prose_around_json),
    "truncated_reply": _of_answers(_truncated),
    "wrong_types": _of_answers(_wrong_types),
    "extra_keys": _of_answers(_extra_keys),
    "missing_keys": _of_answers(_missing_keys),
    "slow_first_token": lambda exchange: Faulty(wait_s=exchange.delay_s),
    "slow_stream": lambda exchange: Faulty(pause_s=exchange.delay_s / 4),
    "hangs": lambda _: Faulty(hang=True),
    "resets": lambda _: Faulty(reset=True),
    "server_errors": lambda _: Faulty(status=500),
    "rate_limits": lambda _: Faulty(status=429),
}
"""Faults of a chat model, by name."""


def _rotated(_texts: Sequence[str], vectors: FloatArray, severity: float) -> FloatArray:
    """Another model of the same dimension: a share of the axes permuted and mirrored, the same for every
    text, so that neighbours stay neighbours among themselves.
    """
    dimension = vectors.shape[1]
    random = np.random.default_rng(7)
    axes = random.permutation(dimension)[: max(2, round(severity * dimension))]
    turned = vectors.copy()
    turned[:, axes] = vectors[:, random.permutation(axes)] * random.choice([-1.0, 1.0], size=len(axes))
    return turned


def _noisy(texts: Sequence[str], vectors: FloatArray, severity: float) -> FloatArray:
    """Noise of its own for every text, `severity` / (1 - severity) times as long as the vector."""
    scale = severity / max(1e-3, 1.0 - severity)
    rows = []
    for text in texts:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
        noise = np.random.default_rng(seed).normal(size=vectors.shape[1])
        rows.append(noise / np.linalg.norm(noise) * scale)
    noisy: FloatArray = (vectors + np.stack(rows)).astype(np.float32)
    return noisy


def _shortened(_texts: Sequence[str], vectors: FloatArray, severity: float) -> FloatArray:
    """Only the first dimensions are kept, of a model that was not made for that; the others are 0."""
    kept = max(2, round((1 - severity) * vectors.shape[1]))
    short = vectors.copy()
    short[:, kept:] = 0.0
    return short


EMBEDDINGS: Mapping[str, Vectors] = {
    "rotated": _rotated,
    "noisy": _noisy,
    "shortened": _shortened,
}
"""Faults of an embedding model, by name; `truncated_input` and `slow_embeddings` are the proxy's own."""

EMBEDDING_INPUT = "truncated_input"
"""Each text is cut to its first words before it is embedded: (1 - severity) × 24, at least 2."""
EMBEDDING_DELAY = "slow_embeddings"
NAMES = (*CHAT, *EMBEDDINGS, EMBEDDING_INPUT, EMBEDDING_DELAY)
