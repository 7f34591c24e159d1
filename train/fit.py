"""Encoded groups in, trained weights out: one pass, seeded, with checkpoints and an average of the
weights."""

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from batches import Encoded, batches
from network import Batch, Network
from torch import Tensor
from torch.nn import functional

AVERAGE = 0.99


def loss(batch: Batch, logits: Tensor, tokens: Tensor) -> Tensor:
    """Claim loss, token loss where the changed words are known, and true above false within a group."""
    target = batch.labels * 0.96 + 0.02
    claim = functional.binary_cross_entropy_with_logits(logits, target)
    known = batch.tokens >= 0
    token = (
        functional.binary_cross_entropy_with_logits(tokens[known], batch.tokens[known])
        if known.any()
        else 0.0
    )
    together = batch.group[:, None] == batch.group[None, :]
    better = (batch.labels[:, None] > batch.labels[None, :]) & together
    rank = functional.softplus(-(logits[:, None] - logits[None, :])[better]).mean() if better.any() else 0.0
    return claim + 1.0 * token + 0.3 * rank


def fit(
    network: Network,
    groups: Sequence[Encoded],
    *,
    seed: int,
    rate: float,
    tokens: int,
    steps: int,
    length: int,
    seconds: float,
    folder: Path,
    frozen: int = 1,
) -> Network:
    """Train for `steps` batches, at most one pass over `groups`, or until `seconds` are over.

    The learning rate falls linearly over `length` batches (or over the time, if that runs out earlier).
    Returns the exponential average of the weights.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    for part in (network.words, network.places, network.kinds, network.norm, *network.layers[:frozen]):
        part.requires_grad_(False)
    body = [p for n, p in network.named_parameters() if p.requires_grad and not n.startswith("head.")]
    head = list(network.head.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": rate}, {"params": head, "lr": 4 * rate}], weight_decay=0.01, betas=(0.9, 0.98)
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    average = {n: p.detach().clone() for n, p in network.named_parameters() if p.requires_grad}
    plan = list(batches(groups, tokens, rng))[:steps]
    begin = time.monotonic()
    log = (folder / "log.jsonl").open("w", encoding="utf-8")
    network.train()
    right = total = claims = 0
    running = 0.0
    for step, item in enumerate(plan):
        spent = time.monotonic() - begin
        done = max(step / length, spent / seconds)
        if done >= 1:
            break
        factor = min(1.0, (step + 1) / 60) * (0.02 + 0.98 * (1 - done))
        for group, base in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = base * factor
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, marks = network(item)
        value = loss(item, logits.float(), marks.float())
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_([*body, *head], 1.0)
        optimizer.step()
        decay = min(AVERAGE, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if parameter.requires_grad:
                    average[name].lerp_(parameter, 1 - decay)
        running += float(value.detach())
        right += int(((logits > 0) == (item.labels > 0.5)).sum())
        total += len(item.labels)
        claims += len(item.labels)
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - begin
            note = {
                "step": step + 1,
                "of": len(plan),
                "loss": round(running / 50, 4),
                "right": round(right / total, 4),
                "claims_per_second": round(claims / spent, 1),
                "seconds": round(spent),
            }
            print(json.dumps(note), flush=True)
            log.write(json.dumps(note) + "\n")
            log.flush()
            running, right, total = 0.0, 0, 0
        if (step + 1) % 200 == 0:
            _save(network, average, folder / "checkpoint.pt")
    _save(network, average, folder / "final.pt")
    network.load_state_dict(torch.load(folder / "final.pt", weights_only=True))
    return network


def _save(network: Network, average: dict[str, Tensor], path: Path) -> None:
    state = {n: average.get(n, p.detach()).clone() for n, p in network.named_parameters()}
    torch.save(state, path)
