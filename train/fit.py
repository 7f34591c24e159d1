"""Encoded groups in, trained weights out: seeded, with checkpoints to go on from, and averaged weights."""

import itertools
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from batches import Encoded, batches
from network import Batch, Network
from torch import Tensor
from torch.nn import functional

AVERAGE = 0.99
RISE, FALL = 60, 0.25
"""Batches in which the learning rate rises; share of all batches in which it falls."""
EARLY = 2 / 3
"""The result is the mean of two averages: after this share of the batches, and after all of them."""
FROZEN = 1
"""Layers that stay as they were, with the embeddings."""


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
    return claim + token + 0.5 * rank


def rate_at(step: int, steps: int) -> float:
    """The share of the learning rate: a short rise, then level, then down to nothing over the last part.

    Until the fall begins it does not depend on `steps`: a run can be made longer or shorter on the way.
    """
    fall = min(1.0, (steps - step) / (steps * FALL))
    return min(1.0, (step + 1) / RISE) * max(0.01, fall)


def fit(
    network: Network,
    groups: Sequence[Encoded],
    *,
    seed: int,
    rate: float,
    tokens: int,
    steps: int,
    folder: Path,
) -> Network:
    """Train for `steps` batches, going over `groups` again when they are used up.

    Goes on from `folder/checkpoint.pt` if that exists; the result is the same as without the pause.
    Returns the averaged weights, which are also written to `folder/final.pt`.
    """
    torch.manual_seed(seed)
    for part in (network.words, network.places, network.kinds, network.norm, *network.layers[:FROZEN]):
        part.requires_grad_(False)
    body = [p for n, p in network.named_parameters() if p.requires_grad and not n.startswith("head.")]
    head = list(network.head.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": rate}, {"params": head, "lr": 4 * rate}], weight_decay=0.01, betas=(0.9, 0.98)
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    average = {n: p.detach().clone() for n, p in network.named_parameters() if p.requires_grad}
    early = average
    done = 0
    paused = folder / "checkpoint.pt"
    if paused.exists():
        state = torch.load(paused, weights_only=True)
        done, average, early = state["step"], state["average"], state["early"]
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        print(f"going on after {done} batches", flush=True)
    begin = time.monotonic()
    network.train()
    right = total = seen = 0
    running = 0.0
    for step, item in enumerate(itertools.islice(_endless(groups, tokens, seed), steps)):
        if step < done:
            continue
        for group, base in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = base * rate_at(step, steps)
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
        if step + 1 == int(steps * EARLY):
            early = {name: weights.clone() for name, weights in average.items()}
        running += float(value.detach())
        right += int(((logits > 0) == (item.labels > 0.5)).sum())
        total += len(item.labels)
        seen += len(item.labels)
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - begin
            note = {
                "step": step + 1,
                "of": steps,
                "loss": round(running / 50, 4),
                "right": round(right / total, 4),
                "claims_per_second": round(seen / spent, 1),
                "seconds": round(spent),
            }
            print(json.dumps(note), flush=True)
            running, right, total = 0.0, 0, 0
            state = {"step": step + 1, "network": network.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state | {"average": average, "early": early}, folder / "new.pt")
            (folder / "new.pt").replace(paused)
    state = {
        n: (average[n] + early[n]) / 2 if n in average else p.detach().clone()
        for n, p in network.named_parameters()
    }
    torch.save(state, folder / "final.pt")
    network.load_state_dict(state)
    return network


def _endless(groups: Sequence[Encoded], tokens: int, seed: int) -> Iterator[Batch]:
    for turn in itertools.count():
        yield from batches(groups, tokens, random.Random(seed + turn))
