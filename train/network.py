"""The network: a small BERT that reads a premise and claims, and an alignment head that judges each claim.

Claim tokens see the premise and their own claim; premise tokens see only the premise. So one pass serves all
claims of a group, and a claim's score does not depend on which other claims stand beside it.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

HIDDEN, HEADS, INNER, LAYERS = 384, 12, 1536, 6
DEPTH = 4
"""Layers that the premise passes through; in those above, claim tokens read it as it left this one."""
SHARPNESS = 15.0
FEATURES = 128


@dataclass
class Batch:
    """Padded groups. G groups, L tokens each; N claims in all, C tokens each; P premise tokens."""

    ids: Tensor  # (G, L)
    positions: Tensor  # (G, L)
    types: Tensor  # (G, L) 0 premise, 1 claim
    blocks: Tensor  # (G, L) 0 premise, 1.. claims, -1 padding
    group: Tensor  # (N,) group of each claim
    at: Tensor  # (N, C) places of the claim's tokens in its group, -1 padding; [CLS] first, [SEP] last
    premise: int  # P, the longest premise
    labels: Tensor  # (N,) 1 supported
    tokens: Tensor  # (N, C) 1 changed, 0 unchanged, -1 unknown


class Layer(nn.Module):
    """One BERT layer."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.out = nn.Linear(HIDDEN, HIDDEN)
        self.norm1 = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.up = nn.Linear(HIDDEN, INNER)
        self.down = nn.Linear(INNER, HIDDEN)
        self.norm2 = nn.LayerNorm(HIDDEN, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Self-attention. x (G, L, H), mask (G, 1, L, L) 0 where a token may look, else -1e9."""
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.rest(x, q, k, v, mask)

    def read(self, x: Tensor, premise: Tensor, group: Tensor, mask: Tensor) -> Tensor:
        """Claims alone. x (N, C, H) attends to itself and to premise (G, P, H); mask (N, 1, 1, P + C)."""
        q, k, v = self.qkv(x).chunk(3, -1)
        weight, bias = self.qkv.weight[HIDDEN:], self.qkv.bias[HIDDEN:]
        ahead = functional.linear(premise, weight, bias)[group]
        k_ahead, v_ahead = ahead.chunk(2, -1)
        return self.rest(x, q, torch.cat([k_ahead, k], 1), torch.cat([v_ahead, v], 1), mask)

    def rest(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """What follows the projections: attention, residuals, norms, the inner layers."""
        q, k, v = (t.unflatten(-1, (HEADS, HIDDEN // HEADS)).transpose(1, 2) for t in (q, k, v))
        # Written out: the fused kernel's backward pass is five times slower than this on CPU.
        weights = torch.softmax((q * (HIDDEN // HEADS) ** -0.5) @ k.transpose(2, 3) + mask.to(q.dtype), -1)
        seen = self.out((weights.to(v.dtype) @ v).transpose(1, 2).flatten(2))
        x = self.norm1(x + seen)
        return self.norm2(x + self.down(functional.gelu(self.up(x))))


class Head(nn.Module):
    """Aligns every claim token with the premise and judges tokens and claim."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(4 * HIDDEN, FEATURES)
        self.marks = nn.Linear(2, FEATURES)
        self.token = nn.Linear(FEATURES, 1)
        self.norm = nn.LayerNorm(2 * FEATURES + HIDDEN + 4)
        self.hidden = nn.Linear(2 * FEATURES + HIDDEN + 4, 192)
        self.out = nn.Linear(192, 1)

    def forward(
        self, claim: Tensor, premise: Tensor, same: Tensor, claim_on: Tensor, premise_on: Tensor
    ) -> tuple[Tensor, Tensor]:
        """claim (N, C, H), premise (N, P, H), same (N, C) 1 where the token stands in the premise, masks (N,
        C), (N, P).

        Returns the claim's logit of support (N,) and each token's logit of being unsupported (N, C).
        """
        near = functional.normalize(claim, dim=-1) @ functional.normalize(premise, dim=-1).transpose(1, 2)
        near = near.masked_fill(~premise_on[:, None], -4.0)
        best = near.amax(-1)  # (N, C)
        aligned = torch.softmax(SHARPNESS * near, -1) @ premise
        mixed = torch.cat([claim, aligned, (claim - aligned).abs(), claim * aligned], -1)
        features = functional.gelu(self.mix(mixed) + self.marks(torch.stack([best, same], -1)))
        tokens = self.token(features)[..., 0]
        inner = claim_on.clone()
        inner[:, 0] = False
        weight = inner.to(features.dtype)[..., None]
        count = weight.sum(1).clamp(min=1)
        mean = (features * weight).sum(1) / count
        peak = features.masked_fill(~inner[..., None], -4.0).amax(1)
        flat = weight[..., 0]
        stats = torch.stack(
            [
                (best * flat).sum(1) / count[:, 0],
                best.masked_fill(~inner, 4.0).amin(1),
                (same * flat).sum(1) / count[:, 0],
                tokens.masked_fill(~inner, -20.0).amax(1) / 4,
            ],
            -1,
        )
        pooled = self.norm(torch.cat([mean, peak, claim[:, 0], stats], -1))
        return self.out(functional.gelu(self.hidden(pooled)))[:, 0], tokens


class Network(nn.Module):
    """Embeddings, layers and head."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, HIDDEN)
        self.places = nn.Embedding(512, HIDDEN)
        self.kinds = nn.Embedding(2, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.head = Head()

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits of support (N,) and of unsupported tokens (N, C)."""
        x = self.norm(self.words(batch.ids) + self.places(batch.positions) + self.kinds(batch.types))
        rows, columns = batch.blocks[:, :, None], batch.blocks[:, None, :]
        blocked = ~((columns == 0) | (rows == columns))[:, None]
        mask = torch.zeros(blocked.shape, dtype=x.dtype).masked_fill(blocked, -1e9)
        for layer in self.layers[:DEPTH]:
            x = layer(x, mask)
        p = batch.premise
        at = batch.at.clamp(min=0)
        claim, premise = x[batch.group[:, None], at], x[:, :p]
        premise_on, claim_on = (batch.blocks[:, :p] == 0)[batch.group], batch.at >= 0
        seen = torch.cat([premise_on, claim_on], 1)[:, None, None]
        mask = torch.zeros(seen.shape, dtype=x.dtype).masked_fill(~seen, -1e9)
        for layer in self.layers[DEPTH:]:
            claim = layer.read(claim, premise, batch.group, mask)
        claim_ids = batch.ids[batch.group[:, None], at]
        equal = claim_ids[:, :, None] == batch.ids[:, :p][batch.group][:, None, :]
        same = (equal & premise_on[:, None]).any(-1).to(x.dtype)
        return self.head(claim, premise[batch.group], same, claim_on, premise_on)


def from_backbone(folder: Path) -> Network:
    """A network with the weights of a BERT checkpoint (`model.safetensors`) and a fresh head."""
    state = load_file(folder / "model.safetensors")
    state = {k.removeprefix("bert."): v for k, v in state.items()}
    network = Network(state["embeddings.word_embeddings.weight"].shape[0])
    target: dict[str, Tensor] = {
        "words.weight": state["embeddings.word_embeddings.weight"],
        "places.weight": state["embeddings.position_embeddings.weight"],
        "kinds.weight": state["embeddings.token_type_embeddings.weight"],
        "norm.weight": state["embeddings.LayerNorm.weight"],
        "norm.bias": state["embeddings.LayerNorm.bias"],
    }
    for i in range(LAYERS):
        source = f"encoder.layer.{i}."
        for part in ("weight", "bias"):
            names = [f"{source}attention.self.{n}.{part}" for n in ("query", "key", "value")]
            target[f"layers.{i}.qkv.{part}"] = torch.cat([state[n] for n in names])
            target[f"layers.{i}.out.{part}"] = state[f"{source}attention.output.dense.{part}"]
            target[f"layers.{i}.norm1.{part}"] = state[f"{source}attention.output.LayerNorm.{part}"]
            target[f"layers.{i}.up.{part}"] = state[f"{source}intermediate.dense.{part}"]
            target[f"layers.{i}.down.{part}"] = state[f"{source}output.dense.{part}"]
            target[f"layers.{i}.norm2.{part}"] = state[f"{source}output.LayerNorm.{part}"]
    missing, unexpected = network.load_state_dict(target, strict=False)
    assert not unexpected, unexpected
    assert all(name.startswith("head.") for name in missing), missing
    return network
