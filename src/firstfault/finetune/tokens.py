"""What the model sees: conversations in; token numbers, and which of them are learnt, out.

Only the assistant's last turn and its end mark are learnt. The prompt is rendered by the chat template as
serving renders it, then the answer is appended: a mismatch would be visible, token for token. A row of one
turn is plain text: it is learnt as it stands, without a template.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from firstfault.errors import InputError
from firstfault.finetune.data import Row
from firstfault.finetune.extra import load
from firstfault.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A row as numbers."""

    ids: tuple[int, ...]
    learnt: int
    """How many of the last tokens are learnt; 0 = nothing, the row teaches nothing."""


def render(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The prompt as the template writes it, up to where the assistant begins."""
    turns = [{"role": m.role, "content": m.content} for m in messages]
    text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return text


def encode(tokenizer: Any, row: Row, *, longest: int) -> Encoded:
    """A row as numbers, cut at `longest` tokens.

    Raises:
        InputError: the template rewrites earlier turns, so that prompt and answer cannot be told apart.
    """
    if len(row.messages) == 1:
        plain = tokenizer(row.target, add_special_tokens=False)["input_ids"][:longest]
        return Encoded(ids=tuple(plain), learnt=max(0, len(plain) - 1))
    prompt = render(tokenizer, row.messages[:-1])
    turns = [{"role": m.role, "content": m.content} for m in row.messages]
    whole: str = tokenizer.apply_chat_template(turns, tokenize=False)
    if not whole.startswith(prompt):
        raise InputError(
            "The chat template writes a conversation otherwise once the answer is there.",
            hint="Train with the template that the model came with.",
        )
    answer = whole[len(prompt) :].rstrip("\n")
    given = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    learnt = tokenizer(answer, add_special_tokens=False)["input_ids"]
    ids = (given + learnt)[:longest]
    return Encoded(ids=tuple(ids), learnt=max(0, len(ids) - len(given)))


def greedy(model: Any, tokenizer: Any, messages: Sequence[Message], *, max_tokens: int) -> str:
    """What a model in evaluation mode writes to a prompt, the likeliest token each time."""
    torch = load("torch")
    ids = tokenizer(render(tokenizer, messages), add_special_tokens=False)["input_ids"]
    given = torch.tensor([ids], device=model.device)
    padding = tokenizer.pad_token_id or 0
    with torch.inference_mode():
        made = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=max_tokens,
            do_sample=False,
            pad_token_id=padding,
        )
    text: str = tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True)
    return text


def batch(rows: Sequence[Encoded], padding: int, torch: Any, device: Any) -> dict[str, Any]:
    """Rows side by side, padded on the right: input_ids, attention_mask, labels. (rows, tokens)"""
    width = max(len(row.ids) for row in rows)
    ids = [[*row.ids, *[padding] * (width - len(row.ids))] for row in rows]
    mask = [[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows]
    labels = [
        [-100] * (len(row.ids) - row.learnt)
        + list(row.ids[len(row.ids) - row.learnt :])
        + [-100] * (width - len(row.ids))
        for row in rows
    ]
    named = (("input_ids", ids), ("attention_mask", mask), ("labels", labels))
    return {name: torch.tensor(values, device=device) for name, values in named}


def losses(model: Any, inputs: dict[str, Any], torch: Any) -> tuple[Any, Any]:
    """Sum of the negative log-likelihood of the learnt tokens of each row, and how many there are. (rows,)"""
    wanted = (inputs["labels"] != -100).any(dim=0).nonzero()
    width = inputs["labels"].shape[1]
    kept = (
        width - max(int(wanted.min()) - 1, 0) if len(wanted) else 2
    )  # logits of prompts cost and teach nothing
    labels = inputs["labels"][:, width - kept + 1 :]
    logits = model(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        use_cache=False,
        logits_to_keep=kept,
    ).logits[:, :-1]
    each = torch.nn.functional.cross_entropy(
        logits.float().transpose(1, 2), labels, ignore_index=-100, reduction="none"
    )
    return each.sum(dim=1), (labels != -100).sum(dim=1)
