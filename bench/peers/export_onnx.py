"""The embedder for a peer without torch: in go the MiniLM folder, out comes `model.onnx` (fp32) inside it.

Run in an environment with torch, transformers and onnx. The graph ends before pooling: token vectors of shape
(batch, tokens, 384).
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModel


class TokenVectors(torch.nn.Module):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def main(folder: Path) -> None:
    model = TokenVectors(folder).eval()
    example = torch.ones(2, 8, dtype=torch.long)
    names = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        model,
        (example, example),
        str(folder / "model.onnx"),
        input_names=["input_ids", "attention_mask"],
        output_names=["token_vectors"],
        dynamic_axes={"input_ids": names, "attention_mask": names, "token_vectors": names},
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
