"""Training groups in, padded batches of about equal size out."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from network import Batch
from pairs import Group
from tokenizers import Tokenizer

CLS, SEP = 101, 102
MOST_PREMISE, MOST_CLAIM, MOST_GROUP = 200, 80, 460


@dataclass(frozen=True)
class Encoded:
    """A group as token ids."""

    premise: list[int]
    claims: list[list[int]]
    labels: list[int]
    tokens: list[list[int]]
    length: int


def encode(groups: Sequence[Group], tokenizer: Tokenizer) -> list[Encoded]:
    """Token ids with [CLS] and [SEP] for the premise and for each claim, and the label of each claim
    token."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    premises = tokenizer.encode_batch_fast([g.premise for g in groups], add_special_tokens=False)
    claims = tokenizer.encode_batch([c.text for g in groups for c in g.claims], add_special_tokens=False)
    found, k = [], 0
    for group, premise in zip(groups, premises, strict=True):
        head = [CLS, *premise.ids[:MOST_PREMISE], SEP]
        size = len(head)
        ids, labels, tokens = [], [], []
        for claim in group.claims:
            own = claims[k]
            k += 1
            row = [CLS, *own.ids[:MOST_CLAIM], SEP]
            if size + len(row) > MOST_GROUP or not own.ids:
                continue
            size += len(row)
            ids.append(row)
            labels.append(claim.label)
            if claim.spans is None:
                tokens.append([-1] * len(row))
            else:
                hits = [
                    int(any(a < e and s < b for a, b in claim.spans)) for s, e in own.offsets[:MOST_CLAIM]
                ]
                tokens.append([-1, *hits, -1])
        if ids:
            found.append(Encoded(head, ids, labels, tokens, size))
    return found


def batch(groups: Sequence[Encoded]) -> Batch:
    """Pad groups into one batch."""
    n = sum(len(g.claims) for g in groups)
    length = max(g.length for g in groups)
    widest = max(len(c) for g in groups for c in g.claims)
    ids = torch.zeros(len(groups), length, dtype=torch.long)
    positions, types = torch.zeros_like(ids), torch.zeros_like(ids)
    blocks = torch.full_like(ids, -1)
    group = torch.zeros(n, dtype=torch.long)
    at = torch.full((n, widest), -1)
    tokens = torch.full((n, widest), -1.0)
    labels = torch.zeros(n)
    k = 0
    for g, item in enumerate(groups):
        p = len(item.premise)
        ids[g, :p] = torch.tensor(item.premise)
        positions[g, :p] = torch.arange(p)
        blocks[g, :p] = 0
        place = p
        for j, (claim, label, marks) in enumerate(zip(item.claims, item.labels, item.tokens, strict=True)):
            c = len(claim)
            ids[g, place : place + c] = torch.tensor(claim)
            positions[g, place : place + c] = torch.arange(p, p + c)
            types[g, place : place + c] = 1
            blocks[g, place : place + c] = j + 1
            group[k], labels[k] = g, label
            at[k, :c] = torch.arange(place, place + c)
            tokens[k, :c] = torch.tensor(marks, dtype=torch.float)
            place += c
            k += 1
    return Batch(
        ids, positions, types, blocks, group, at, max(len(g.premise) for g in groups), labels, tokens
    )


def batches(groups: Sequence[Encoded], budget: int, rng: random.Random) -> Iterator[Batch]:
    """Batches of at most `budget` padded tokens: groups of like length together, in random order."""
    order = list(range(len(groups)))
    rng.shuffle(order)
    pool = 2000
    plans: list[list[int]] = []
    for first in range(0, len(order), pool):
        part = sorted(order[first : first + pool], key=lambda i: groups[i].length)
        current: list[int] = []
        for i in part:
            if current and groups[i].length * (len(current) + 1) > budget:
                plans.append(current)
                current = []
            current.append(i)
        plans.append(current)
    rng.shuffle(plans)
    for plan in plans:
        yield batch([groups[i] for i in plan])
