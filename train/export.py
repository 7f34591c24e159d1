"""Trained weights in, one ONNX file out: int8 weights, no torch needed to run it.

Inputs `premise` (P,) and `claim` (C,) are token ids with [CLS] and [SEP]; outputs are the logit of support,
the logit of each claim token (C,) of being unsupported, and where in the premise each claim token points (C,
P).
One pair a run: the int8 ranges of activations are then a function of that pair alone.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from network import DEPTH, HEADS, HIDDEN, SHARPNESS, Layer, Network
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

SIZE = HIDDEN // HEADS
FUSED = "com.microsoft"
"""ONNX Runtime's own operators, by the name of their domain."""


class Graph:
    """Nodes and constants, with short names for what is used often."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def put(self, value: np.ndarray, name: str = "") -> str:
        """A constant."""
        name = name or f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def op(self, kind: str, *inputs: str, out: str = "", **attributes: object) -> str:
        """A node with one output."""
        out = out or f"n{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, list(inputs), [out], name=f"{kind}_{len(self.nodes)}", **attributes)
        )
        return out

    def ints(self, *values: int) -> str:
        """A constant vector of integers."""
        return self.put(np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        """A constant scalar."""
        return self.put(np.array(value, dtype=np.float32))

    def linear(self, x: str, layer: torch.nn.Linear) -> str:
        """x W^T + b."""
        return self.affine(x, layer.weight, layer.bias)

    def affine(self, x: str, weight: torch.Tensor, bias: torch.Tensor) -> str:
        """x W^T + b, with W and b given apart."""
        product = self.op("MatMul", x, self.put(weight.detach().numpy().T.copy()))
        return self.op("Add", product, self.put(bias.detach().numpy().copy()))

    def heads(self, x: str, parts: int) -> list[str]:
        """(L, parts * H) cut into tensors (L, heads, H / heads): whole rows are copied, nothing turned."""
        flat = [f"n{len(self.nodes)}_{j}" for j in range(parts)] if parts > 1 else [x]
        if parts > 1:
            self.nodes.append(
                helper.make_node(
                    "Split", [x], flat, name=f"Split_{len(self.nodes)}", axis=1, num_outputs=parts
                )
            )
        return [self.op("Reshape", part, self.ints(-1, HEADS, SIZE)) for part in flat]

    def attend(self, q: str, k: str, v: str) -> str:
        """Attention of all heads, (L, heads, H / heads) each; every query sees every key.

        The fused product reads heads where they lie, in the middle axis: no copy with another order is made.
        """
        fused: dict[str, object] = {"domain": FUSED, "transBatchB": 1}
        scores = self.op("FusedMatMul", q, k, transBatchA=1, transB=1, alpha=SIZE**-0.5, **fused)
        seen = self.op("FusedMatMul", self.op("Softmax", scores, axis=-1), v, **fused)
        return self.op("Transpose", seen, perm=[1, 0, 2])

    def rest(self, x: str, layer: Layer, seen: str) -> str:
        """A layer behind its attention."""
        seen = self.linear(self.op("Reshape", seen, self.ints(-1, HIDDEN)), layer.out)
        x = self.norm(self.op("Add", x, seen), layer.norm1)
        inner = self.linear(self.op("Gelu", self.linear(x, layer.up)), layer.down)
        return self.norm(self.op("Add", x, inner), layer.norm2)

    def norm(self, x: str, layer: torch.nn.LayerNorm) -> str:
        """Layer normalisation over the last axis."""
        scale, bias = self.put(layer.weight.detach().numpy()), self.put(layer.bias.detach().numpy())
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=float(layer.eps))

    def reduce(self, kind: str, x: str, axis: int, keep: int = 0) -> str:
        """A reduction over one axis."""
        return self.op(kind, x, self.ints(axis), keepdims=keep)


def build(network: Network, vocabulary: dict[str, int]) -> onnx.ModelProto:
    """The graph in fp32, embeddings already int8 with a scale per row."""
    g = Graph()
    state = network.state_dict()
    table = state["words.weight"].numpy()
    rows, table = _pruned(table, vocabulary)
    row_of = g.put(rows, "row_of")
    scale = np.abs(table).max(1, keepdims=True) / 127.0
    words = g.put(np.round(table / scale).astype(np.int8), "words")
    scales = g.put(scale.astype(np.float32), "scales")
    places, kinds = g.put(state["places.weight"].numpy()), g.put(state["kinds.weight"].numpy())

    ids = g.op("Concat", "premise", "claim", axis=0)
    row = g.op("Gather", row_of, ids)
    p_count, count = g.op("Shape", "premise"), g.op("Shape", ids)
    place = g.op("Range", g.put(np.array(0, np.int64)), g.op("Squeeze", count), g.put(np.array(1, np.int64)))
    is_claim = g.op("GreaterOrEqual", place, p_count)
    kind = g.op("Cast", is_claim, to=TensorProto.INT64)
    embedded = g.op(
        "Mul", g.op("Cast", g.op("Gather", words, row), to=TensorProto.FLOAT), g.op("Gather", scales, row)
    )
    embedded = g.op("Add", g.op("Add", embedded, g.op("Gather", places, place)), g.op("Gather", kinds, kind))
    x = g.norm(embedded, network.norm)
    for layer in network.layers[:DEPTH]:
        q, k, v = g.heads(g.linear(x, layer.qkv), 3)
        ahead = [g.op("Slice", t, g.ints(0), p_count, g.ints(0)) for t in (q, k, v)]
        own = g.op("Slice", q, p_count, count, g.ints(0))
        x = g.rest(x, layer, g.op("Concat", g.attend(*ahead), g.attend(own, k, v), axis=0))
    claim = g.op("Slice", x, p_count, count, g.ints(0))
    premise = g.op("Slice", x, g.ints(0), p_count, g.ints(0))
    for layer in network.layers[DEPTH:]:
        weight, offset = layer.qkv.weight, layer.qkv.bias
        (q,) = g.heads(g.affine(claim, weight[:HIDDEN], offset[:HIDDEN]), 1)
        both = g.op("Concat", premise, claim, axis=0)
        k, v = g.heads(g.affine(both, weight[HIDDEN:], offset[HIDDEN:]), 2)
        claim = g.rest(claim, layer, g.attend(q, k, v))
    _head(g, network, claim, premise)
    graph = helper.make_graph(
        g.nodes,
        "verifier",
        [
            helper.make_tensor_value_info(n, TensorProto.INT64, [d])
            for n, d in (("premise", "P"), ("claim", "C"))
        ],
        [
            helper.make_tensor_value_info("support", TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info("unsupported", TensorProto.FLOAT, ["C"]),
            helper.make_tensor_value_info("points", TensorProto.FLOAT, ["C", "P"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in g.constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(FUSED, 1)]
    )
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model


def _pruned(table: np.ndarray, vocabulary: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """For each token id its row, and the rows: unused tokens and scripts other than Latin share that of
    [UNK]."""
    unknown = vocabulary["[UNK]"]
    keep = [
        i
        for token, i in sorted(vocabulary.items(), key=lambda item: item[1])
        if not token.startswith("[unused") and all(ord(c) < 0x250 or 0x2000 <= ord(c) < 0x2200 for c in token)
    ]
    rows = np.full(len(table), keep.index(unknown), dtype=np.int32)
    rows[keep] = np.arange(len(keep), dtype=np.int32)
    return rows, table[keep]


def _head(g: Graph, network: Network, claim: str, premise: str) -> None:
    head = network.head

    def unit(x: str) -> str:
        return g.op("Div", x, g.op("Max", g.op("ReduceL2", x, g.ints(1), keepdims=1), g.number(1e-12)))

    near = g.op("MatMul", unit(claim), g.op("Transpose", unit(premise), perm=[1, 0]))
    best = g.reduce("ReduceMax", near, 1, 1)
    points = g.op("Softmax", g.op("Mul", near, g.number(SHARPNESS)), axis=-1, out="points")
    aligned = g.op("MatMul", points, premise)
    same = g.op("Equal", g.op("Unsqueeze", "claim", g.ints(1)), g.op("Unsqueeze", "premise", g.ints(0)))
    same = g.reduce("ReduceMax", g.op("Cast", same, to=TensorProto.FLOAT), 1, 1)
    gap, product = g.op("Abs", g.op("Sub", claim, aligned)), g.op("Mul", claim, aligned)
    mixed = g.linear(g.op("Concat", claim, aligned, gap, product, axis=1), head.mix)
    marks = g.linear(g.op("Concat", best, same, axis=1), head.marks)
    features = g.op("Gelu", g.op("Add", mixed, marks))
    tokens = g.op("Squeeze", g.linear(features, head.token), g.ints(1), out="unsupported")
    far = g.ints(2**31)

    def inner(x: str) -> str:
        return g.op("Slice", x, g.ints(1), far, g.ints(0))

    stats = [
        g.reduce("ReduceMean", inner(best), 0),
        g.reduce("ReduceMin", inner(best), 0),
        g.reduce("ReduceMean", inner(same), 0),
        g.op("Div", g.reduce("ReduceMax", inner(tokens), 0, 1), g.number(4.0)),
    ]
    first = g.op("Squeeze", g.op("Slice", claim, g.ints(0), g.ints(1), g.ints(0)), g.ints(0))
    pooled = [
        g.reduce("ReduceMean", inner(features), 0),
        g.reduce("ReduceMax", inner(features), 0),
        first,
        *stats,
    ]
    joined = g.op("Unsqueeze", g.op("Concat", *pooled, axis=0), g.ints(0))
    judged = g.linear(g.op("Gelu", g.linear(g.norm(joined, head.norm), head.hidden)), head.out)
    g.op("Squeeze", judged, g.ints(1), out="support")


def export(network: Network, vocabulary: dict[str, int], target: Path) -> None:
    """Write the int8 model: weights of the layers int8 per column, the small head in fp32."""
    model = build(network.eval().float(), vocabulary)
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full.onnx"
        onnx.save(model, full)
        weights = {c.name for c in model.graph.initializer}
        inner = [
            node.name
            for node in model.graph.node
            if node.op_type == "MatMul" and node.input[1] in weights and not _is_head(model, node)
        ]
        quantize_dynamic(
            full,
            target,
            nodes_to_quantize=inner,
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )


def _is_head(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    shape = next(list(c.dims) for c in model.graph.initializer if c.name == node.input[1])
    return shape not in (
        [HIDDEN, 3 * HIDDEN],
        [HIDDEN, 2 * HIDDEN],
        [HIDDEN, HIDDEN],
        [HIDDEN, 4 * HIDDEN],
        [4 * HIDDEN, HIDDEN],
    )


def main() -> None:
    """Read `final.pt` or a checkpoint, write the ONNX file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("target", type=Path, help="the .onnx file; tokenizer.json is put beside it")
    parser.add_argument("--backbone", type=Path, required=True, help="folder with tokenizer.json")
    given = parser.parse_args()
    state = torch.load(given.weights, weights_only=True)
    network = Network(state["words.weight"].shape[0])
    network.load_state_dict(state)
    vocabulary = Tokenizer.from_file(str(given.backbone / "tokenizer.json")).get_vocab()
    export(network, vocabulary, given.target)
    shutil.copyfile(given.backbone / "tokenizer.json", given.target.parent / "tokenizer.json")
    print(f"{given.target}: {given.target.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
