"""Write the tiny ONNX graph of a BERT sentence encoder over weights that stay in `model.safetensors`.

In: an official `model.safetensors` and its `config.json`. Out: a graph of a few kilobytes whose
initializers are external data, i.e. byte ranges of that very file: no weight is copied or converted.
Run once per model, with the `onnx` package (a development dependency):

    python train/build_embedder_graph.py MODEL_DIR src/firstfault/models/graphs/all-MiniLM-L6-v2.onnx

The graph takes `input_ids` (batch, tokens) and no mask: it is run on texts of equal token count only,
so there is no padding. It uses ONNX Runtime's own fused operators (domain `com.microsoft`), so that
nothing is left to optimise when a session is opened.
"""

import json
import struct
import sys
from pathlib import Path

from onnx import ModelProto, TensorProto, helper, save

WEIGHTS = "model.safetensors"


class GraphWriter:
    """Collects nodes and external initializers of one graph."""

    def __init__(self, weights: Path) -> None:
        with weights.open("rb") as file:
            (header_size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(header_size))
        self.tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        self.data_start = 8 + header_size
        self.nodes: list[object] = []
        self.initializers: dict[str, TensorProto] = {}

    def weight(self, name: str) -> str:
        """Declare a tensor of the weight file as an initializer; returns its name."""
        if name not in self.initializers:
            entry = self.tensors[name]
            if entry["dtype"] != "F32":
                sys.exit(f"{name} is {entry['dtype']}; this graph needs F32 weights")
            start, end = entry["data_offsets"]
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=entry["shape"])
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (
                ("location", WEIGHTS),
                ("offset", self.data_start + start),
                ("length", end - start),
            ):
                tensor.external_data.add(key=key, value=str(value))
            self.initializers[name] = tensor
        return name

    def constant(self, name: str, values: list[int]) -> str:
        """Declare a small int64 vector that is kept inside the graph."""
        self.initializers[name] = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        return name

    def add(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: object) -> str:
        """Append a node; returns its output's name."""
        self.nodes.append(helper.make_node(op, inputs, [output], output, domain=domain, **attributes))
        return output

    def linear(self, x: str, prefix: str, output: str) -> str:
        """`x @ W.T + b`, with W as PyTorch stores it: (out, in)."""
        return self.add(
            "Gemm", [x, self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias")], output, transB=1
        )


def build(model_dir: Path) -> ModelProto:
    """Assemble the encoder; every comment gives the shape of the value on its line."""
    config = json.loads((model_dir / "config.json").read_text())
    hidden, heads, eps = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    g = GraphWriter(model_dir / WEIGHTS)
    ms = "com.microsoft"

    flat = g.constant("shape.flat", [-1, hidden])
    g.add("Shape", ["input_ids"], "shape.ids")  # [batch, tokens]
    g.add("Concat", ["shape.ids", g.constant("shape.hidden", [hidden])], "shape.states", axis=0)
    zero, one = g.constant("zero", [0]), g.constant("one", [1])
    g.add("Gather", ["shape.ids", one], "shape.tokens", axis=0)
    g.add("Slice", [g.weight("embeddings.position_embeddings.weight"), zero, "shape.tokens"], "positions")
    segment = g.add("Gather", [g.weight("embeddings.token_type_embeddings.weight"), zero], "segment")
    words = g.add("Gather", [g.weight("embeddings.word_embeddings.weight"), "input_ids"], "words")
    g.add("Add", [words, segment], "words_segment")  # (batch, tokens, hidden)
    g.add("Add", ["words_segment", "positions"], "embedded")  # (batch, tokens, hidden)
    g.add(
        "LayerNormalization",
        ["embedded", g.weight("embeddings.LayerNorm.weight"), g.weight("embeddings.LayerNorm.bias")],
        "embedded.norm",
        epsilon=eps,
    )
    x = g.add("Reshape", ["embedded.norm", flat], "layer.0.in")  # (batch * tokens, hidden)
    for layer in range(config["num_hidden_layers"]):
        name, here = f"encoder.layer.{layer}", f"layer.{layer}"
        projected = []
        for part in ("query", "key", "value"):
            p = g.linear(x, f"{name}.attention.self.{part}", f"{here}.{part}")
            projected.append(g.add("Reshape", [p, "shape.states"], f"{here}.{part}.3d"))
        g.add("MultiHeadAttention", projected, f"{here}.attended", domain=ms, num_heads=heads)
        g.add("Reshape", [f"{here}.attended", flat], f"{here}.attended.2d")
        out = g.linear(f"{here}.attended.2d", f"{name}.attention.output.dense", f"{here}.attention")
        norm = f"{name}.attention.output.LayerNorm"
        x = g.add(
            "SkipLayerNormalization",
            [out, x, g.weight(f"{norm}.weight"), g.weight(f"{norm}.bias")],
            f"{here}.attention.norm",
            domain=ms,
            epsilon=eps,
        )
        up = g.linear(x, f"{name}.intermediate.dense", f"{here}.up")  # (batch * tokens, 4 * hidden)
        g.add("Gelu", [up], f"{here}.gelu", domain=ms)
        down = g.linear(f"{here}.gelu", f"{name}.output.dense", f"{here}.down")
        norm = f"{name}.output.LayerNorm"
        x = g.add(
            "SkipLayerNormalization",
            [down, x, g.weight(f"{norm}.weight"), g.weight(f"{norm}.bias")],
            f"{here}.out",
            domain=ms,
            epsilon=eps,
        )
    g.add("Reshape", [x, "shape.states"], "token_states")  # (batch, tokens, hidden)

    graph = helper.make_graph(
        g.nodes,
        model_dir.name,
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("token_states", TensorProto.FLOAT, ["batch", "tokens", hidden])],
        list(g.initializers.values()),
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ms, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="firstfault")


def main() -> None:
    """Write the graph named by the second argument from the model folder named by the first."""
    if len(sys.argv) != 3:
        sys.exit("usage: build_embedder_graph.py MODEL_DIR OUTPUT.onnx")
    model = build(Path(sys.argv[1]))
    save(model, sys.argv[2])
    print(f"{sys.argv[2]}: {Path(sys.argv[2]).stat().st_size} bytes, {len(model.graph.node)} nodes")


if __name__ == "__main__":
    main()
