"""Cross-encoders that are broken as real ones are: written as ONNX graphs, with the embedder's own tokenizer.

In: what is wrong with it. Out: a folder for `search.rerank_model`. The healthy part of each graph counts how
many words of the passage stand in the question; no weights are needed for that.
"""

import shutil
import struct
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from firstfault.models import store
from firstfault.models.cross_encoder import CrossEncoder

Breakage = Literal["swapped_labels", "untrained", "slow"]

_INT64, _FLOAT = 7, 1
_TOKENIZER_OF = "all-MiniLM-L6-v2"
_TRIAL = 40
"""The work by which a machine is measured."""


def write_reranker(folder: Path, breakage: Breakage, *, work: int = 0) -> Path:
    """Write a cross-encoder that is broken in one way; `work` is how often `slow` repeats a large product.

    `swapped_labels`: of its two logits the first stands for "relevant", where the second should.
    `untrained`: its logit is the sine of a sum over token numbers, which says nothing.
    `slow`: right, and late.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(store.path(_TOKENIZER_OF) / "tokenizer.json", folder / "tokenizer.json")
    nodes, constants = _overlap()
    match breakage:
        case "swapped_labels":
            nodes += [_node("Concat", ["overlap", "zero_column"], "logits", axis=1)]
            nodes.insert(-1, _node("Sub", ["overlap", "overlap"], "zero_column"))
        case "untrained":
            nodes += [
                _node("Cast", ["input_ids"], "numbers", to=_FLOAT),
                _node("Mul", ["numbers", "stride"], "angles"),
                _node("ReduceSum", ["angles", "last_axis"], "angle", keepdims=1),
                _node("Sin", ["angle"], "logits"),
            ]
            constants += [_floats("stride", [], [0.7])]
        case "slow":
            nodes += _busy(work)
            constants += [_floats("large", [256, 256], [1.0 / 256] * (256 * 256))]
    (folder / "model.onnx").write_bytes(_model(nodes, constants))
    return folder


def work_for(seconds: float, folder: Path) -> int:
    """How much `work` keeps this machine busy for so long at each batch of pairs; measured, at least 1.

    `folder` is written to.
    """
    encoder = CrossEncoder(write_reranker(folder, "slow", work=_TRIAL))
    took = []
    for _ in range(4):  # the first also warms up
        started = time.perf_counter()
        encoder.scores("question", ["passage"])
        took.append(time.perf_counter() - started)
    return max(1, round(_TRIAL * seconds / min(took)))


def _overlap() -> tuple[list[bytes], list[bytes]]:
    """`overlap` (pairs, 1): how many tokens of the second text equal one of the first."""
    nodes = [
        _node("Unsqueeze", ["input_ids", "axis_2"], "left"),
        _node("Unsqueeze", ["input_ids", "axis_1"], "right"),
        _node("Equal", ["left", "right"], "equal"),
        _node("Cast", ["equal"], "equal_as_number", to=_FLOAT),
        _node("Cast", ["token_type_ids"], "is_passage", to=_FLOAT),
        _node("Sub", ["one", "is_passage"], "is_question"),
        _node("Unsqueeze", ["is_question", "axis_2"], "from_question"),
        _node("Unsqueeze", ["is_passage", "axis_1"], "in_passage"),
        _node("Mul", ["equal_as_number", "from_question"], "of_question"),
        _node("Mul", ["of_question", "in_passage"], "shared"),
        _node("ReduceMax", ["shared"], "found", axes=[2], keepdims=0),
        _node("ReduceSum", ["found", "last_axis"], "overlap", keepdims=1),
    ]
    constants = [
        _ints("axis_1", [1]),
        _ints("axis_2", [2]),
        _ints("last_axis", [1]),
        _floats("one", [], [1.0]),
    ]
    return nodes, constants


def _busy(work: int) -> list[bytes]:
    """The overlap, added to nothing that takes long to compute."""
    nodes = [
        _node("ReduceMean", ["overlap"], "level", keepdims=0),  # ties the work to the input: not done ahead
        _node("Mul", ["large", "level"], "product_0"),
    ]
    nodes += [_node("MatMul", [f"product_{i}", "large"], f"product_{i + 1}") for i in range(work)]
    return [
        *nodes,
        _node("ReduceMean", [f"product_{work}"], "mean", keepdims=0),
        _node("Sub", ["mean", "mean"], "nothing"),
        _node("Add", ["overlap", "nothing"], "logits"),
    ]


def _model(nodes: Iterable[bytes], constants: Iterable[bytes]) -> bytes:
    """An ONNX model: version 8, operator set 13. Field numbers are those of onnx.proto."""
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"reranker")
    graph += b"".join(_bytes(5, constant) for constant in constants)
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        graph += _bytes(11, _value(name, _INT64, ["pairs", "tokens"]))
    graph += _bytes(12, _value("logits", _FLOAT, ["pairs", "classes"]))
    operators = _bytes(1, b"") + _number(2, 13)
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, operators)


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: int | list[int]) -> bytes:
    node = b"".join(_bytes(1, name.encode()) for name in inputs) + _bytes(2, output.encode())
    node += _bytes(4, kind.encode())
    for name, value in attributes.items():
        one = _bytes(1, name.encode())
        if isinstance(value, list):
            one += b"".join(_number(8, item) for item in value) + _number(20, 7)
        else:
            one += _number(3, value) + _number(20, 2)
        node += _bytes(5, one)
    return node


def _value(name: str, kind: int, shape: Sequence[str]) -> bytes:
    dimensions = b"".join(_bytes(1, _bytes(2, one.encode())) for one in shape)
    tensor = _number(1, kind) + _bytes(2, dimensions)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _ints(name: str, values: Sequence[int]) -> bytes:
    data = struct.pack(f"<{len(values)}q", *values)
    return _number(1, len(values)) + _number(2, _INT64) + _bytes(8, name.encode()) + _bytes(9, data)


def _floats(name: str, shape: Sequence[int], values: Sequence[float]) -> bytes:
    data = struct.pack(f"<{len(values)}f", *values)
    dimensions = b"".join(_number(1, one) for one in shape)
    return dimensions + _number(2, _FLOAT) + _bytes(8, name.encode()) + _bytes(9, data)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
