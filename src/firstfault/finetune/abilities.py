"""The ability battery: a model in, its score on every item of a few plain skills out; offline.

Axes: arithmetic, cloze (facts), copying, perplexity (of plain text). They are what a model of 135M parameters
can do already, so that a loss shows. An item
is answered by likelihood or by greedy continuation, in one pass.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from firstfault.finetune.extra import load

AXES = ("arithmetic", "cloze", "copying", "perplexity")
SEED = 20_250_101
_TOKENS = 2048
"""Of one batch, padding included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question to a model."""

    axis: str
    id: str
    prompt: str
    choices: tuple[str, ...]
    """The first is right. One alone: the model must write it, greedily; for perplexity it is the text."""


@cache
def battery() -> tuple[Item, ...]:
    """Every item, in order."""
    made = json.loads(files("firstfault.finetune").joinpath("battery.json").read_text(encoding="utf-8"))
    return (
        *_arithmetic(60),
        *_cloze(made["facts"]),
        *_copying(made["words"], 40),
        *_texts(made["texts"]),
    )


def probe() -> tuple[Item, ...]:
    """A few items of each axis, for probing while training runs."""
    by_axis: dict[str, list[Item]] = defaultdict(list)
    for item in battery():
        by_axis[item.axis].append(item)
    return tuple(item for axis in AXES if axis != "perplexity" for item in by_axis[axis][:20])


def score(model: Any, tokenizer: Any, items: Sequence[Item]) -> list[float]:
    """Each item's score, in order: 1 right or 0 wrong; for perplexity the nats a token of the text."""
    torch = load("torch")
    flat = [(number, choice) for number, item in enumerate(items) for choice in range(len(item.choices))]
    encoded = [_encode(tokenizer, items[number], choice) for number, choice in flat]
    order = sorted(range(len(flat)), key=lambda i: -len(encoded[i][0]))
    nats: dict[tuple[int, int], tuple[float, bool]] = {}
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for group in _batches(order, encoded):
            for i, result in zip(group, _run(model, torch, [encoded[j] for j in group]), strict=True):
                nats[flat[i]] = result
    model.train(was_training)
    scores = []
    for number, item in enumerate(items):
        if item.axis == "perplexity":
            scores.append(nats[number, 0][0])
        elif len(item.choices) == 1:
            scores.append(float(nats[number, 0][1]))
        else:
            first, *others = (nats[number, choice][0] for choice in range(len(item.choices)))
            scores.append(float(first < min(others)))
    return scores


def by_axis(items: Sequence[Item], scores: Sequence[float]) -> dict[str, list[float]]:
    """Scores grouped by axis, in order."""
    found: dict[str, list[float]] = defaultdict(list)
    for item, value in zip(items, scores, strict=True):
        found[item.axis].append(value)
    return dict(found)


def means(items: Sequence[Item], scores: Sequence[float]) -> Mapping[str, float]:
    """The mean score of each axis."""
    return {axis: sum(values) / len(values) for axis, values in by_axis(items, scores).items()}


def _encode(tokenizer: Any, item: Item, choice: int) -> tuple[list[int], int]:
    """Token numbers, and how many of the last are scored."""
    text = item.choices[choice]
    given = tokenizer(item.prompt, add_special_tokens=False)["input_ids"] if item.prompt else []
    scored = tokenizer(text, add_special_tokens=False)["input_ids"]
    return given + scored, len(scored) if given else len(scored) - 1


def _batches(order: Sequence[int], encoded: Sequence[tuple[list[int], int]]) -> Iterator[list[int]]:
    group: list[int] = []
    for i in order:
        if group and (len(group) + 1) * len(encoded[group[0]][0]) > _TOKENS:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _run(model: Any, torch: Any, rows: Sequence[tuple[list[int], int]]) -> Iterator[tuple[float, bool]]:
    """For each row nats a scored token, and whether every one of them is the likeliest."""
    width = max(len(ids) for ids, _ in rows)
    device = next(model.parameters()).device
    ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row, _ in rows], device=device)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    for number, (row, scored) in enumerate(rows):
        span = slice(len(row) - scored - 1, len(row) - 1)
        wanted = ids[number, len(row) - scored : len(row)]
        chances = torch.log_softmax(logits[number, span], dim=-1)
        nats = -chances.gather(1, wanted[:, None]).mean().item()
        yield nats, bool((chances.argmax(dim=-1) == wanted).all().item())


def _arithmetic(number: int) -> Iterator[Item]:
    pick = random.Random(SEED)
    sums = [(a, b) for a in range(1, 10) for b in range(1, 10)]
    pick.shuffle(sums)
    for i, (a, b) in enumerate(sums[:number]):
        shots = [sums[-1 - (i + k) % 15] for k in range(4)]
        given = "".join(f"{x} + {y} = {x + y}\n" for x, y in shots)
        yield Item(
            axis="arithmetic", id=f"sum-{a}-{b}", prompt=f"{given}{a} + {b} =", choices=(f" {a + b}\n",)
        )


def _cloze(facts: Sequence[Sequence[str]]) -> Iterator[Item]:
    for i, (prompt, *choices) in enumerate(facts):
        yield Item(
            axis="cloze", id=f"fact-{i}", prompt=prompt, choices=tuple(f" {choice}" for choice in choices)
        )


def _copying(words: Sequence[str], number: int) -> Iterator[Item]:
    pick = random.Random(SEED + 1)
    for i in range(number):
        lines = [" ".join(pick.sample(list(words), 4)) for _ in range(3)]
        given = "".join(f"in: {line}\nout: {line}\n" for line in lines[:2])
        yield Item(
            axis="copying", id=f"copy-{i}", prompt=f"{given}in: {lines[2]}\nout:", choices=(f" {lines[2]}\n",)
        )


def _texts(texts: Sequence[str]) -> Iterator[Item]:
    for i, text in enumerate(texts):
        yield Item(axis="perplexity", id=f"text-{i}", prompt="", choices=(text,))
