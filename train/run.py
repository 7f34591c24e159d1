"""Trains the verifier's network: `python train/run.py --data DIR --backbone DIR --out DIR`.

DIR of `--backbone` holds `model.safetensors` and `tokenizer.json` of all-MiniLM-L6-v2; `firstfault models
pull`
fetches them. Two cores need less than an hour.
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
    parser.add_argument("--rate", type=float, default=1.5e-4)
    parser.add_argument("--tokens", type=int, default=3000, help="padded tokens in a batch")
    parser.add_argument("--steps", type=int, default=900, help="batches at most")
    parser.add_argument("--length", type=int, help="batches after which the rate is nil; --steps by default")
    parser.add_argument("--seconds", type=float, default=3000, help="stop after this long all the same")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=Path, help="weights to go on from, instead of the backbone's")
    parser.add_argument("--fever", type=float, default=1.0, help="share of the FEVER premises that is used")
    parser.add_argument(
        "--keep-groups", type=Path, help="write the groups to this file, or read them if it exists"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    network = from_backbone(given.backbone)
    if given.start:
        network.load_state_dict(torch.load(given.start, weights_only=True))
    tokenizer = Tokenizer.from_file(str(given.backbone / "tokenizer.json"))
    if given.keep_groups and given.keep_groups.exists():
        encoded = pickle.loads(given.keep_groups.read_bytes())
    else:
        maker = Maker(
            given.data, neighbours(network.words.weight.detach(), tokenizer), given.seed, given.fever
        )
        encoded = encode(maker.groups(given.rounds), tokenizer)
        if given.keep_groups:
            given.keep_groups.write_bytes(pickle.dumps(encoded))
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
        length=given.length or given.steps,
        seconds=given.seconds,
        folder=given.out,
    )


if __name__ == "__main__":
    main()
