"""Weights of several runs that began at the same point in, their mean out."""

import argparse
from pathlib import Path

import torch


def main() -> None:
    """Average the files given and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    states = [torch.load(part, weights_only=True) for part in given.parts]
    mean = {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
    torch.save(mean, given.out)


if __name__ == "__main__":
    main()
