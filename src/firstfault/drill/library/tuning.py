"""Faults of fine-tuning: rows, a recipe and a template in, or an exported adapter; the same with one thing
spoilt out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from firstfault.drill.tuning import STAGES, Material, TuningFault
from firstfault.errors import InputError
from firstfault.types import Message

if TYPE_CHECKING:
    from firstfault.finetune.data import Row

MOST_RATE = 100.0
"""Times the usual learning rate, at severity 1."""
MOST_FEW = 40
"""Examples that are kept at the least severity of `few_examples`."""
MOST_VALUES = 25
"""A field with more different values is no label."""

HEADED = (
    "{% for m in messages %}### {{ m['role'] }}:\n{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}### assistant:\n{% endif %}"
)
SCRIPTED = (
    "{% for m in messages %}{{ m['role'] | title }}: {{ m['content'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)

_T = TypeVar("_T")


def _high_rate(material: Material, severity: float, _random: Random) -> Material:
    rate = min(1.0, MOST_RATE * severity * material.usual_rate)
    return replace(material, values={**material.values, "learning_rate": rate})


def _few_examples(material: Material, severity: float, random: Random) -> Material:
    number = max(2, round(MOST_FEW * (1 - severity)))
    kept = random.sample(material.training, min(number, len(material.training)))
    values = {**material.values, "epochs": 30, "replay": 0, "patience": 99}
    return replace(material, training=tuple(kept), values=values)


def _wrong_labels(material: Material, severity: float, random: Random) -> Material:
    """Every field with few values gets another of its values."""
    answers = [_object(row) for row in material.training]
    pools = _labels(answers)
    if not pools:
        raise InputError(
            "The answers have no labels.", hint="It needs JSON answers with fields of few values."
        )
    chosen = _chosen(range(len(answers)), severity, random)
    rows = list(material.training)
    for position in chosen:
        answer = answers[position]
        wrong = {
            name: random.choice([value for value in pool if value != answer[name]])
            for name, pool in pools.items()
            if name in answer
        }
        rows[position] = _answering(rows[position], json.dumps({**answer, **wrong}, ensure_ascii=False))
    return replace(material, training=tuple(rows))


def _contradicted(material: Material, severity: float, random: Random) -> Material:
    """Rows that stand there again, with the answer of another."""
    rows = material.training
    answers = sorted({row.target for row in rows})
    if len(answers) < 2:
        raise InputError("All answers are the same.", hint="It needs answers that differ.")
    again = [
        _answering(row, random.choice([answer for answer in answers if answer != row.target]))
        for row in _chosen(rows, severity, random)
    ]
    return replace(material, training=(*rows, *again))


def _leaked(material: Material, severity: float, random: Random) -> Material:
    leaked = _chosen(material.validation, severity, random)
    return replace(material, training=(*material.training, *leaked))


def _repeated(material: Material, severity: float, random: Random) -> Material:
    again = _chosen(material.training, severity, random)
    return replace(material, training=(*material.training, *again))


def _fenced(material: Material, severity: float, random: Random) -> Material:
    rows = list(material.training)
    objects = [position for position, row in enumerate(rows) if _object(row)]
    if 2 * len(objects) < len(rows):
        raise InputError("The answers are no JSON objects.", hint="It needs answers of one form.")
    for position in _chosen(objects, severity, random):
        rows[position] = _answering(rows[position], f"```json\n{rows[position].target}\n```")
    return replace(material, training=tuple(rows))


def _headed(material: Material, _severity: float, _random: Random) -> Material:
    return replace(material, template=HEADED)


def _scripted(material: Material, _severity: float, _random: Random) -> Material:
    return replace(material, template=SCRIPTED)


def _scale_lost(adapter: Any, severity: float) -> None:
    adapter.fields["adapter.lora.alpha"].parts[-1][0] *= 1 - severity


def _weights_lost(adapter: Any, severity: float) -> None:
    made = [tensor for tensor in adapter.tensors if tensor.name.endswith(".lora_b")]
    for tensor in made[: max(1, round(severity * len(made)))]:
        tensor.data[:] = 0


def _object(row: "Row") -> Mapping[str, Any]:
    """The answer of a row as an object; empty where it is none."""
    try:
        value = json.loads(row.target)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _labels(answers: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Field → its values, for fields that have few."""
    pools: dict[str, dict[str, Any]] = {}
    for answer in answers:
        for name, value in answer.items():
            if not isinstance(value, dict | list):
                pools.setdefault(name, {})[json.dumps(value)] = value
    return {
        name: list(pool.values())
        for name, pool in pools.items()
        if 2 <= len(pool) <= min(MOST_VALUES, len(answers) // 2)
    }


def _answering(row: "Row", text: str) -> "Row":
    return replace(row, messages=(*row.messages[:-1], Message(role="assistant", content=text)))


def _chosen(items: Sequence[_T], share: float, random: Random) -> list[_T]:
    """So many of them, at least one, in their order."""
    kept = set(random.sample(range(len(items)), max(1, round(share * len(items)))))
    return [item for position, item in enumerate(items) if position in kept]


_ROWS = "share of the training rows that are hit"

_DECLARED = (
    TuningFault(
        name="few_examples",
        stage="data",
        cause="too_few_examples",
        summary="a handful of examples, shown thirty times, without replay and without patience",
        dial="from 40 down to 2 examples",
        spoil=_few_examples,
        severity=0.9,
    ),
    TuningFault(
        name="wrong_labels",
        stage="data",
        cause="label_errors",
        summary="answers whose labels are swapped for others",
        dial=_ROWS,
        spoil=_wrong_labels,
        severity=0.3,
    ),
    TuningFault(
        name="leaked_examples",
        stage="data",
        cause="leakage",
        summary="held-out examples stand in training too",
        dial="share of the held-out rows that are hit",
        spoil=_leaked,
        severity=0.2,
    ),
    TuningFault(
        name="contradicting_answers",
        stage="data",
        cause="label_errors",
        summary="prompts that stand there twice, with two answers",
        dial=_ROWS,
        spoil=_contradicted,
        severity=0.1,
        set="blind",
    ),
    TuningFault(
        name="fenced_answers",
        stage="data",
        cause="inconsistent_format",
        summary="JSON answers in code fences among plain ones",
        dial=_ROWS,
        spoil=_fenced,
        severity=0.1,
        set="blind",
    ),
    TuningFault(
        name="repeated_rows",
        stage="data",
        cause="duplicates",
        summary="rows that stand there twice",
        dial=_ROWS,
        spoil=_repeated,
        severity=0.3,
        set="blind",
    ),
    TuningFault(
        name="high_rate",
        stage="recipe",
        cause="learning_rate_too_high",
        summary="the learning rate is a multiple of the usual one",
        dial="up to 100 times the usual rate",
        spoil=_high_rate,
    ),
    TuningFault(
        name="wrong_template",
        stage="serve",
        cause="chat_template_mismatch",
        summary="trained with headings where serving has the model's own chat template",
        dial="all or nothing",
        spoil=_headed,
        severity=1.0,
    ),
    TuningFault(
        name="script_template",
        stage="serve",
        cause="chat_template_mismatch",
        summary="trained on prompts written like a script (`User: …`)",
        dial="all or nothing",
        spoil=_scripted,
        severity=1.0,
        set="blind",
    ),
    TuningFault(
        name="adapter_scale_lost",
        stage="serve",
        cause="adapter_not_applied",
        summary="the scale in the exported adapter is lost, so that the base model answers",
        dial="share of the scale that is lost",
        damage=_scale_lost,
        severity=1.0,
    ),
    TuningFault(
        name="adapter_weights_lost",
        stage="serve",
        cause="adapter_not_applied",
        summary="the second matrices in the exported adapter are zero, as in one that was never trained",
        dial="share of the matrices, from the first layer on",
        damage=_weights_lost,
        severity=1.0,
        set="blind",
    ),
)

FAULTS: Mapping[str, TuningFault] = {
    fault.name: fault for fault in sorted(_DECLARED, key=lambda fault: STAGES.index(fault.stage))
}
"""Every fault of fine-tuning, by name, in the order of the stages."""


def named(names: Sequence[str]) -> list[TuningFault]:
    """The faults with these names.

    Raises:
        InputError: there is no such fault.
    """
    for name in names:
        if name not in FAULTS:
            raise InputError(
                f"There is no fault of fine-tuning '{name}'.",
                hint="`firstfault drill tuning --list` shows them.",
            )
    return [FAULTS[name] for name in names]
