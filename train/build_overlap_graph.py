"""Write tests/models/data/overlap.onnx: a cross-encoder small enough to check by hand.

    python train/build_overlap_graph.py          (needs the package onnx)

The logit of a pair is the number of equal word pairs: an id of the second segment that equals one of the
first, special tokens (ids 0 to 2) and padding aside.
"""

from pathlib import Path

import onnx
from onnx import TensorProto as Type
from onnx import helper

TARGET = Path(__file__).parents[1] / "tests" / "models" / "data" / "overlap.onnx"

NODES = [
    helper.make_node("Cast", ["token_type_ids"], ["segment"], to=Type.FLOAT),
    helper.make_node("Cast", ["attention_mask"], ["mask"], to=Type.FLOAT),
    helper.make_node("Greater", ["input_ids", "last_special"], ["is_word"]),
    helper.make_node("Cast", ["is_word"], ["word"], to=Type.FLOAT),
    helper.make_node("Mul", ["mask", "word"], ["live"]),
    helper.make_node("Mul", ["live", "segment"], ["second"]),
    helper.make_node("Sub", ["live", "second"], ["first"]),
    helper.make_node("Unsqueeze", ["input_ids", "axis_1"], ["row"]),
    helper.make_node("Unsqueeze", ["input_ids", "axis_2"], ["column"]),
    helper.make_node("Equal", ["row", "column"], ["is_equal"]),
    helper.make_node("Cast", ["is_equal"], ["equal"], to=Type.FLOAT),
    helper.make_node("Unsqueeze", ["first", "axis_1"], ["first_row"]),
    helper.make_node("Unsqueeze", ["second", "axis_2"], ["second_column"]),
    helper.make_node("Mul", ["equal", "first_row"], ["from_first"]),
    helper.make_node("Mul", ["from_first", "second_column"], ["pairs"]),  # (batch, tokens, tokens)
    helper.make_node("ReduceSum", ["pairs", "axes_1_2"], ["sums"], keepdims=0),
    helper.make_node("Unsqueeze", ["sums", "axis_1"], ["logits"]),
]


def integers(name: str, *values: int) -> onnx.TensorProto:
    return helper.make_tensor(name, Type.INT64, [len(values)], values)


def main() -> None:
    inputs = [
        helper.make_tensor_value_info(name, Type.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("logits", Type.FLOAT, ["batch", 1])
    constants = [
        integers("last_special", 2),
        integers("axis_1", 1),
        integers("axis_2", 2),
        integers("axes_1_2", 1, 2),
    ]
    graph = helper.make_graph(NODES, "overlap", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, TARGET)


if __name__ == "__main__":
    main()
