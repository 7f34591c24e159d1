"""Fits the calibration that ships: one curve for three development sets with different shares of true claims.

    python -m bench.verifier_calibration [--write]

Platt's curve, fitted with equal weight to each set, is moved on a grid to where the largest calibration error
of the three is smallest. ExpertQA is left out: its stored text is clipped, and no curve over a score that
cannot see the evidence would be right there and elsewhere. Whole answers: their sentences are in.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np

from bench.peers.corpus import data_folder
from firstfault.verify import LocalVerifier
from firstfault.verify.calibration import SHIPPED, Calibration, fit, quality, save

SETS = ("ragtruth_qa_sentences", "wice_dev", "begin_topicalchat")

Scores = tuple[list[float], list[int]]


def scores(verifier: LocalVerifier, path: Path) -> Scores:
    """Raw scores and labels of a set; what cannot be judged is left out."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    raw = verifier.raw_scores([(row["context"], row["claim"]) for row in rows])
    pairs = [(r, row["label"]) for r, row in zip(raw, rows, strict=True) if r is not None]
    return [r for r, _ in pairs], [label for _, label in pairs]


def shared(sets: dict[str, Scores]) -> Calibration:
    """One curve for all sets: Platt, then the grid point near it whose largest error is smallest."""
    raw = [r for s, _ in sets.values() for r in s]
    labels = [y for _, l in sets.values() for y in l]  # noqa: E741
    weights = [100 / len(s) for s, _ in sets.values() for _ in s]
    name = ", ".join(sets)
    start = fit(raw, labels, fitted_on=name, weights=weights)
    best: tuple[float, float, float] | None = None
    for slope in start.slope * np.linspace(0.5, 1.8, 27):
        for shift in np.linspace(-1.5, 1.5, 61):
            # Move the curve sideways around the middle of the scores, not around zero.
            centre = float(np.mean(raw))
            intercept = start.intercept + (start.slope - slope) * centre + shift
            curve = Calibration(slope=float(slope), intercept=float(intercept))
            found = [quality(curve, r, y) for r, y in sets.values()]
            cost = max(q.ece for q in found) + 0.2 * float(np.mean([q.brier for q in found]))
            if best is None or cost < best[0] - 1e-12:
                best = (cost, float(slope), float(intercept))
    assert best is not None
    return Calibration(slope=best[1], intercept=best[2], fitted_on=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace the shipped calibration")
    given = parser.parse_args()
    folder = data_folder() / "faithfulness"
    verifier = LocalVerifier(calibration=Calibration(slope=1.0, intercept=0.0))
    sets = {name: scores(verifier, folder / f"{name}.jsonl.gz") for name in SETS}
    found = shared(sets)
    print(found)
    for name, (raw, labels) in sets.items():
        print(name, quality(found, raw, labels))
    if given.write:
        save(found, SHIPPED)


if __name__ == "__main__":
    main()
