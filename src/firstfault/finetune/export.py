"""A trained adapter in the format of llama.cpp: a PEFT folder in, a GGUF file out.

Tensor names follow llama.cpp. For the llama architecture the rows of q and k are permuted, because its rotary
embedding pairs neighbouring dimensions where transformers pair halves; only B, which makes the rows, changes.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from firstfault.errors import InputError
from firstfault.finetune.extra import load

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Module of transformers → tensor of llama.cpp; the same for llama, mistral, qwen2 and qwen3."""
PERMUTED = ("llama", "mistral")
"""Architectures of transformers (`model_type`) whose q and k rows llama.cpp stores in another order."""
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}

_TENSOR = re.compile(r"layers\.(\d+)\.(.+)\.lora_([AB])\.weight$")


def export_gguf(peft: Path, config: Any, out: Path) -> Path:
    """Write the adapter of a PEFT folder as GGUF. `config` is the base model's, as transformers have it.

    Raises:
        InputError: the architecture, or a tuned module, is none that llama.cpp's adapters know.
    """
    gguf, safetensors = load("gguf"), load("safetensors.numpy")
    architecture = ARCHITECTURES.get(config.model_type)
    if architecture is None:
        raise InputError(
            f"An adapter for {config.model_type} cannot be written as GGUF yet.",
            hint=f"Serve the PEFT folder; GGUF works for {', '.join(ARCHITECTURES)}.",
        )
    settings = json.loads((peft / "adapter_config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(str(out), architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(settings["lora_alpha"]))
    tensors = safetensors.load_file(str(peft / "adapter_model.safetensors"))
    for name, tensor in sorted(tensors.items()):
        match = _TENSOR.search(name)
        module = NAMES.get(match[2]) if match else None
        if match is None or module is None:
            raise InputError(
                f"llama.cpp has no adapter tensor for {name}.", hint="Tune attention and MLP only."
            )
        values = np.asarray(tensor, dtype=np.float32)
        if match[3] == "B" and config.model_type in PERMUTED and module in {"attn_q", "attn_k"}:
            heads = config.num_attention_heads if module == "attn_q" else config.num_key_value_heads
            values = permuted(values, heads)
        writer.add_tensor(f"blk.{match[1]}.{module}.weight.lora_{match[3].lower()}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def permuted(
    values: "np.ndarray[tuple[int, int], np.dtype[np.float32]]", heads: int
) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Rows in the order of llama.cpp: within each head, the two halves interleaved. (rows, rank)"""
    rows, rank = values.shape
    return np.ascontiguousarray(
        values.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank)
    )
