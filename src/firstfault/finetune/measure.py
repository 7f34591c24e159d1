"""What a training changed: base and tuned model in; abilities, task and serving of both, paired, out.

Abilities are scored on the weights. The task is answered through the runtime that serves the GGUF adapter, so
that what is measured is what users get; without a GGUF file, and for a full training, by the weights.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.evaluate.statistics import paired, sign_flip_p
from firstfault.finetune import abilities, harness
from firstfault.finetune.base import Base, load_model, load_tokenizer
from firstfault.finetune.data import Row
from firstfault.finetune.extra import load
from firstfault.finetune.generate import ServedWriter, WeightsWriter, Writer
from firstfault.finetune.instructions import AXIS, MAX_TOKENS, instructions
from firstfault.finetune.tokens import greedy, render
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
    """Everything that was measured on a tuned model."""

    axes: tuple[Paired, ...]
    """Abilities."""
    task: tuple[Paired, ...]
    """On held-out examples: `validity` where a form is taught, `agreement` with the expected answer."""
    changed: float
    """Share of held-out outputs that differ from the base model's; 0 = the adapter does nothing."""
    exported: float | None
    """Mean share of equal characters, from the first, of outputs by the PEFT and by the GGUF adapter; None
    where they see other prompts, or nothing was served."""
    template_agrees: bool
    """Whether serving renders a prompt as training did."""
    samples: tuple[Mapping[str, str], ...]
    """A few held-out prompts with the expected answer, and both outputs."""
    served: bool = True
    """Whether the embedded runtime answered; otherwise the weights did."""
    lm_eval: Mapping[str, Any] = field(default_factory=dict)
    """Its `version` and the `limit` of samples, where tasks of it are among the axes; else empty."""


Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a training left in its folder."""

    method: str
    """`lora` or `full`."""
    folder: Path
    """What transformers load: `peft/`, or `model/` of a full training."""
    gguf: Path
    """The adapter for the embedded runtime; not there for a full training, or another architecture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """What one of the two models scored, item by item."""

    abilities: Mapping[str, list[float]]
    outputs: list[str]
    instructions: list[float]
    tasks: Mapping[str, harness.Scored]
    exported: float | None = None


def bench(
    base: Base,
    tuned: Tuned,
    held: Sequence[Row],
    *,
    schema: "Schema | None" = None,
    template: str | None = None,
    shape: str | None,
    tasks: harness.Tasks | None = None,
    told: Told | None = None,
) -> Bench:
    """Measure a tuned model against its base model, one after the other. `tasks` are of lm-eval.

    Raises:
        InputError: lm-eval has no such task.
        MissingError: an extra, or the data of a task, is missing.
    """
    tell = told or (lambda *_: None)
    if tasks is not None:
        harness.require(tasks)  # before minutes are spent on the rest
    rows = list(held)[:TASK_ROWS]
    tokenizer = open_tokenizer(base, template)
    served = base.gguf is not None and tuned.gguf.exists()
    agrees = _agrees(base, tuned, tokenizer, rows[:COMPARED], served=served)
    sides = []
    for plain in (True, False):
        name = "base model" if plain else "tuned model"
        model = load_model(base) if plain else _load_tuned(base, tuned)
        sides.append(
            _side(
                model,
                tokenizer,
                rows,
                writer=_writer(base, tuned, model, tokenizer, plain=plain, served=served),
                compared=() if plain or not (served and agrees) else rows[:COMPARED],
                tasks=tasks,
                tell=partial(_told, tell, name),
            )
        )
        del model  # one of them at a time is in memory
    one, two = sides
    axes = [
        compare(axis, one.abilities[axis], two.abilities[axis], higher=axis != "perplexity")
        for axis in abilities.AXES
    ]
    axes.append(compare(AXIS, one.instructions, two.instructions))
    for name, scored in one.tasks.items():
        after = two.tasks[name]
        label = f"{name}.{scored.metric}"
        axes.append(compare(label, scored.values, after.values, higher=scored.higher_is_better))
        if tasks is not None and tasks.log is not None:
            harness.write_log(tasks.log, name, scored, after)
    outputs = list(zip(one.outputs, two.outputs, strict=True))
    return Bench(
        axes=tuple(axes),
        task=tuple(_task(rows, outputs, schema, shape)),
        changed=sum(a != b for a, b in outputs) / len(outputs),
        exported=two.exported,
        template_agrees=agrees,
        served=served,
        samples=tuple(
            {"prompt": row.question, "expected": row.target, "base": a, "tuned": b}
            for row, (a, b) in list(zip(rows, outputs, strict=True))[:5]
        ),
        lm_eval={} if tasks is None else {"version": harness.version(), "limit": tasks.limit},
    )


def _told(tell: Told, name: str, what: str, done: int, total: int) -> None:
    tell(f"{name}: {what}", done, total)


def _load_tuned(base: Base, tuned: Tuned) -> Any:
    """The tuned weights, in evaluation mode."""
    if tuned.method == "full":
        return load_model(replace(base, folder=str(tuned.folder))).eval()
    peft = load("peft")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
        return peft.PeftModel.from_pretrained(load_model(base), str(tuned.folder)).eval()


def _writer(base: Base, tuned: Tuned, model: Any, tokenizer: Any, *, plain: bool, served: bool) -> Writer:
    if not served or base.gguf is None:
        return WeightsWriter(model, tokenizer)
    return ServedWriter(base.gguf, None if plain else tuned.gguf)


def _agrees(base: Base, tuned: Tuned, tokenizer: Any, rows: Sequence[Row], *, served: bool) -> bool:
    """Whether prompts are rendered by what serves as they were in training."""
    given = [row.messages[:-1] for row in rows]
    trained = [render(tokenizer, turns) for turns in given]
    if served and base.gguf is not None:
        with ServedWriter(base.gguf) as writer:
            return trained == [writer.generator.render(turns).removeprefix("<s>") for turns in given]
    place = base.folder if tuned.method == "lora" else str(tuned.folder)
    there = load_tokenizer(replace(base, folder=place))
    return trained == [render(there, turns) for turns in given]


def _side(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    *,
    writer: Writer,
    compared: Sequence[Row],
    tasks: harness.Tasks | None,
    tell: Told,
) -> _Side:
    items = abilities.battery()
    tell("abilities", 0, 1)
    scores = abilities.by_axis(items, abilities.score(model, tokenizer, items))
    longest = 24 + max(len(tokenizer(row.target)["input_ids"]) for row in rows)
    outputs, answered = [], []
    with writer:
        for number, row in enumerate(rows):
            tell("held-out examples", number, len(rows))
            outputs.append(writer.write(row.messages[:-1], max_tokens=longest))
        asked = list(instructions())
        for number, item in enumerate(asked):
            tell("instructions", number, len(asked))
            turns = (Message(role="user", content=item.prompt),)
            answered.append(float(item.holds(writer.write(turns, max_tokens=MAX_TOKENS))))
        exported = _exported(model, tokenizer, writer, compared) if compared else None
    found: Mapping[str, harness.Scored] = {}
    if tasks is not None:
        tell("tasks of lm-eval", 0, 1)
        found = harness.score(model, tokenizer, tasks)
    return _Side(abilities=scores, outputs=outputs, instructions=answered, tasks=found, exported=exported)


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


def _exported(model: Any, tokenizer: Any, tuned: Writer, rows: Sequence[Row]) -> float:
    shares: list[float] = []
    for row in rows:
        turns = row.messages[:-1]
        one = greedy(model, tokenizer, turns, max_tokens=COMPARED_TOKENS).strip()
        two = tuned.write(turns, max_tokens=COMPARED_TOKENS).strip()
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
