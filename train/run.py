"""Trains the verifier's network: `python train/run.py --data DIR --backbone DIR --out DIR`.

DIR of `--backbone` holds `model.safetensors` and `tokenizer.json` of all-MiniLM-L6-v2; `firstfault models
pull`
fetches them. Two cores need less than an hour. A run that was stopped goes on where its folder left off.
"""

import argparse
import pickle
import time
from pathlib import Path

import torch
from batches import encode
from fit import fit
from network import from_backbone
from pairs import Maker
from tokenizers import Tokenizer
from twins import neighbours


def main() -> None:
    """Make the groups, train, save the averaged weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--rounds", type=int, default=2, help="passes over the documents, each with new edits"
    )
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--tokens", type=int, default=3000, help="padded tokens in a batch")
    parser.add_argument("--steps", type=int, default=750, help="batches")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    network = from_backbone(given.backbone)
    tokenizer = Tokenizer.from_file(str(given.backbone / "tokenizer.json"))
    kept = given.out / "groups.pkl"
    if kept.exists():
        encoded = pickle.loads(kept.read_bytes())
    else:
        maker = Maker(given.data, neighbours(network.words.weight.detach(), tokenizer), given.seed)
        encoded = encode(maker.groups(given.rounds), tokenizer)
        kept.write_bytes(pickle.dumps(encoded))
    claims, tokens = sum(len(g.claims) for g in encoded), sum(g.length for g in encoded)
    spent = time.monotonic() - began
    print(f"{len(encoded)} groups, {claims} claims, {tokens} tokens in {spent:.0f} s", flush=True)
    fit(
        network,
        encoded,
        seed=given.seed,
        rate=given.rate,
        tokens=given.tokens,
        steps=given.steps,
        folder=given.out,
    )


if __name__ == "__main__":
    main()
