"""What an adapter changed: a training run in; abilities, task and serving with and without it, paired, out.

Abilities are scored on the weights, the task through the runtime that serves the GGUF adapter: what is
measured is what users get.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.evaluate.statistics import paired, sign_flip_p
from firstfault.finetune import abilities
from firstfault.finetune.base import Base, load_model
from firstfault.finetune.data import Row
from firstfault.finetune.export import export_gguf
from firstfault.finetune.extra import load
from firstfault.finetune.generate import Writer
from firstfault.finetune.instructions import AXIS, MAX_TOKENS, instructions
from firstfault.finetune.tokens import render
from firstfault.finetune.train import is_valid, open_tokenizer
from firstfault.types import Message

if TYPE_CHECKING:
    from firstfault.structured.schema import Schema

TASK_ROWS = 60
"""Held-out rows that are answered, at most."""
COMPARED = 6
"""Prompts on which the PEFT and the GGUF adapter are compared."""
COMPARED_TOKENS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """One measure without and with the adapter, item by item."""

    name: str
    before: float
    after: float
    delta: float
    """after - before."""
    ci_low: float | None
    ci_high: float | None
    """95 % interval of the difference."""
    p_value: float
    n: int
    higher_is_better: bool = True

    @property
    def relative_drop(self) -> float:
        """Share of `before` that was lost; of nats a token the rise of perplexity. Negative = gained."""
        import math

        if not self.higher_is_better:
            return math.expm1(min(self.delta, 50.0))
        return -self.delta / self.before if self.before > 0 else 0.0


def compare(name: str, before: Sequence[float], after: Sequence[float], *, higher: bool = True) -> Paired:
    """Paired values as one measure."""
    difference = paired(before, after)
    return Paired(
        name=name,
        before=sum(before) / len(before),
        after=sum(after) / len(after),
        delta=difference.value,
        ci_low=difference.low,
        ci_high=difference.high,
        p_value=sign_flip_p(before, after),
        n=len(before),
        higher_is_better=higher,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that was measured on an adapter."""

    axes: tuple[Paired, ...]
    """Abilities."""
    task: tuple[Paired, ...]
    """On held-out examples: `validity` where a form is taught, `agreement` with the expected answer."""
    changed: float
    """Share of held-out outputs that differ from the base model's; 0 = the adapter does nothing."""
    exported: float | None
    """Mean share of equal characters, from the first, of outputs by the PEFT and by the GGUF adapter; None
    where only one of them could be run."""
    template_agrees: bool
    """Whether serving renders a prompt as training did."""
    samples: tuple[Mapping[str, str], ...]
    """A few held-out prompts with the expected answer, and both outputs."""


Told = Callable[[str, int, int], None]


def bench(
    base: Base,
    peft: Path,
    gguf: Path,
    held: Sequence[Row],
    *,
    schema: "Schema | None" = None,
    template: str | None = None,
    shape: str | None,
    told: Told | None = None,
) -> Bench:
    """Measure an adapter against its base model. Writes the GGUF adapter when it is not there.

    Raises:
        InputError: the base has no GGUF file, or the adapter cannot be written for llama.cpp.
        MissingError: the extra is not installed.
    """
    tell = told or (lambda *_: None)
    torch, peft_ = load("torch"), load("peft")
    tokenizer = open_tokenizer(base, template)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
        model = peft_.PeftModel.from_pretrained(load_model(base), str(peft)).eval()
    if not gguf.exists():
        export_gguf(peft, model.config, gguf)
    items = abilities.battery()
    tell("abilities", 0, 2)
    with model.disable_adapter():
        before = abilities.by_axis(items, abilities.score(model, tokenizer, items))
    tell("abilities", 1, 2)
    after = abilities.by_axis(items, abilities.score(model, tokenizer, items))
    axes = [compare(axis, before[axis], after[axis], higher=axis != "perplexity") for axis in abilities.AXES]
    rows = list(held)[:TASK_ROWS]
    longest = 24 + max(len(tokenizer(row.target)["input_ids"]) for row in rows)
    with Writer(base) as plain, Writer(base, gguf) as tuned:
        agrees = all(
            plain.generator.render(row.messages[:-1]).removeprefix("<s>")
            == render(tokenizer, row.messages[:-1])
            for row in rows[:COMPARED]
        )
        outputs: list[tuple[str, str]] = []
        for number, row in enumerate(rows):
            tell("held-out examples", number, len(rows))
            turns = row.messages[:-1]
            outputs.append((plain.write(turns, max_tokens=longest), tuned.write(turns, max_tokens=longest)))
        answered: list[tuple[float, float]] = []
        for number, item in enumerate(instructions()):
            tell("instructions", number, 24)
            turns = (Message(role="user", content=item.prompt),)
            said = [writer.write(turns, max_tokens=MAX_TOKENS) for writer in (plain, tuned)]
            answered.append((float(item.holds(said[0])), float(item.holds(said[1]))))
        axes.append(compare(AXIS, [one for one, _ in answered], [two for _, two in answered]))
        exported = _exported(model, tokenizer, tuned, rows[:COMPARED], torch) if agrees else None
    return Bench(
        axes=tuple(axes),
        task=tuple(_task(rows, outputs, schema, shape)),
        changed=sum(a != b for a, b in outputs) / len(outputs),
        exported=exported,
        template_agrees=agrees,
        samples=tuple(
            {"prompt": row.question, "expected": row.target, "base": a, "tuned": b}
            for row, (a, b) in list(zip(rows, outputs, strict=True))[:5]
        ),
    )


def _task(
    rows: Sequence[Row], outputs: Sequence[tuple[str, str]], schema: "Schema | None", shape: str | None
) -> list[Paired]:
    found = []
    if schema is not None or shape is not None:
        valid = [[float(is_valid(one, schema, shape)) for one in pair] for pair in outputs]
        found.append(compare("validity", [one[0] for one in valid], [one[1] for one in valid]))
    right = [[agreement(one, row.target) for one in pair] for row, pair in zip(rows, outputs, strict=True)]
    found.append(compare("agreement", [one[0] for one in right], [one[1] for one in right]))
    return found


def agreement(said: str, expected: str) -> float:
    """How far an output says what was expected, 0 to 1.

    For JSON objects the share of equal fields; otherwise the F1 of the words (Rajpurkar et al. 2016).
    """
    try:
        wanted = json.loads(expected)
    except ValueError:
        wanted = None
    if isinstance(wanted, dict) and wanted:
        try:
            made = json.loads(said.strip())
        except (ValueError, RecursionError):
            return 0.0
        if not isinstance(made, dict):
            return 0.0
        names = list(wanted.keys() | made.keys())
        equal = [name in wanted and bool(made.get(name) == wanted[name]) for name in names]
        return sum(equal) / len(equal)
    return _word_f1(said, expected)


def _word_f1(said: str, expected: str) -> float:
    from collections import Counter

    one, two = Counter(said.lower().split()), Counter(expected.lower().split())
    common = (one & two).total()
    return 2 * common / (one.total() + two.total()) if common else 0.0


def _exported(model: Any, tokenizer: Any, tuned: Writer, rows: Sequence[Row], torch: Any) -> float:
    shares: list[float] = []
    for row in rows:
        ids = tokenizer(render(tokenizer, row.messages[:-1]), add_special_tokens=False)["input_ids"]
        given = torch.tensor([ids], device=model.device)
        with torch.inference_mode():
            made = model.generate(
                input_ids=given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=COMPARED_TOKENS,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id or 0,
            )
        one = tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True).strip()
        two = tuned.write(row.messages[:-1], max_tokens=COMPARED_TOKENS).strip()
        same = next(
            (i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two))
        )
        shares.append(float(same / max(len(one), len(two), 1)))
    return float(sum(shares) / len(shares))


def bench_document(made: Bench) -> dict[str, Any]:
    """As JSON."""
    from dataclasses import asdict

    return asdict(made)


def restored_bench(document: Mapping[str, Any]) -> Bench:
    """From its JSON."""
    return Bench(
        **{
            **document,
            "axes": tuple(Paired(**one) for one in document["axes"]),
            "task": tuple(Paired(**one) for one in document["task"]),
            "samples": tuple(document["samples"]),
        }
    )
