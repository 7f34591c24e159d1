"""Fits the calibration that ships: one curve, and what is added for the shape of a pair.

    python -m bench.verifier_calibration [--write]

Slope and intercept are Platt's, fitted with equal weight to three sets of single claims with different
shares of true ones, then moved on a grid to where the largest calibration error of the three is smallest.
What is added for whole answers is fitted on RAGTruth's answers, what is made of the score where a context
breaks off on ExpertQA's snippets. The second column judges every row by a fit that saw neither it nor its
group (five folds).
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.peers.corpus import data_folder
from firstfault.verify import LocalVerifier
from firstfault.verify.calibration import SHIPPED, Calibration, Quality, RawScore, fit, quality, save

SINGLE = ("ragtruth_qa_sentences", "wice_dev", "begin_topicalchat")
ANSWERS, SNIPPETS = "ragtruth_qa", "expertqa"
SETS = (*SINGLE, ANSWERS, SNIPPETS)
FOLDS = 5
IDENTITY = Calibration(slope=1.0, intercept=0.0)


@dataclass(frozen=True)
class Row:
    """A judged pair: its raw score, its label, and the document it belongs to."""

    raw: RawScore | None
    """None for what cannot be judged: it counts as undecided, as in `bench.verifier`."""
    label: int
    group: str


Sets = dict[str, list[Row]]
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def scored(verifier: LocalVerifier, path: Path) -> list[Row]:
    """Raw scores and labels of a set."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    raw = verifier.raw_scores([(row["context"], row["claim"]) for row in rows])
    return [Row(r, row["label"], str(row["group"])) for r, row in zip(raw, rows, strict=True)]


def logit(calibration: Calibration, row: Row) -> float:
    """Log odds of support; 0 for what cannot be judged."""
    if row.raw is None:
        return 0.0
    return calibration.slope * calibration.level(row.raw) + calibration.intercept


def judged(calibration: Calibration, rows: Sequence[Row]) -> Quality:
    """How well a calibration fits rows."""
    return quality(IDENTITY, [logit(calibration, row) for row in rows], [row.label for row in rows])


def cost(calibration: Calibration, sets: Sequence[Sequence[Row]]) -> float:
    """The largest calibration error of several sets, and a little of their Brier scores."""
    found = [judged(calibration, rows) for rows in sets]
    return max(q.ece for q in found) + 0.05 * float(np.mean([q.brier for q in found]))


def best(candidates: Sequence[Calibration], of: Callable[[Calibration], float]) -> Calibration:
    """The candidate of least cost, the first of equals."""
    costs = [round(of(candidate), 12) for candidate in candidates]
    return candidates[costs.index(min(costs))]


def around(curve: Calibration, centre: float, factors: Floats, shifts: Floats) -> list[Calibration]:
    """The curve with its slope times each factor, moved sideways by each shift: around the middle of the
    scores, not around zero."""
    return [
        replace(curve, slope=slope, intercept=curve.intercept + (curve.slope - slope) * centre + shift)
        for slope in (curve.slope * factors).tolist()
        for shift in shifts.tolist()
    ]


def fitted(sets: Sets) -> Calibration:
    """The curve, what is added for answers, and what is made of snippets, in turn."""
    single = [sets[name] for name in SINGLE]
    seen = [[(row.raw.value, row.label) for row in rows if row.raw is not None] for rows in single]
    raw = [value for rows in seen for value, _ in rows]
    labels = [label for rows in seen for _, label in rows]
    weights = [100 / len(rows) for rows in seen for _ in rows]
    start = fit(raw, labels, fitted_on=", ".join(SETS), weights=weights)
    centre = float(np.mean(raw))
    found = start
    for _ in range(2):  # the second time around the curve is fitted with the rest in place
        whole = replace(found, slope=start.slope, intercept=start.intercept)
        coarse = around(whole, centre, np.linspace(0.5, 1.8, 40), np.linspace(-1.5, 1.5, 61))
        found = best(coarse, lambda c: cost(c, single))
        fine = around(found, centre, np.linspace(0.9, 1.1, 41), np.linspace(-0.1, 0.1, 41))
        found = best(fine, lambda c: cost(c, single))
        answers = [replace(found, answer=shift) for shift in np.linspace(0, 8, 33).tolist()]
        found = best(answers, lambda c: cost(c, [sets[ANSWERS]]))
        snippets = [
            replace(found, broken_slope=slope, broken_shift=shift)
            for slope in (0.15, 0.25, 0.4, 0.6, 0.8, 1.0)
            for shift in np.linspace(-1, 6, 29).tolist()
        ]
        found = best(snippets, lambda c: cost(c, [sets[SNIPPETS]]))
    return found


def unseen(sets: Sets) -> dict[str, Quality]:
    """Every row judged by a fit on the other folds; RAGTruth's two sets share their documents' folds."""
    fold = {g: i % FOLDS for i, g in enumerate(sorted({r.group for rows in sets.values() for r in rows}))}
    levels: dict[str, list[float]] = {name: [] for name in sets}
    labels: dict[str, list[int]] = {name: [] for name in sets}
    for k in range(FOLDS):
        part = {name: [r for r in rows if fold[r.group] != k] for name, rows in sets.items()}
        curve = fitted(part)
        for name, rows in sets.items():
            held = [r for r in rows if fold[r.group] == k]
            levels[name] += [logit(curve, row) for row in held]
            labels[name] += [r.label for r in held]
    return {name: quality(IDENTITY, levels[name], labels[name]) for name in sets}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace the shipped calibration")
    given = parser.parse_args()
    folder = data_folder() / "faithfulness"
    verifier = LocalVerifier(calibration=IDENTITY)
    sets = {name: scored(verifier, folder / f"{name}.jsonl.gz") for name in SETS}
    found = fitted(sets)
    print(found)
    print(f"{'set':<24}{'ECE':>8}{'cross-validated':>18}")
    crossed = unseen(sets)
    for name, rows in sets.items():
        print(f"{name:<24}{judged(found, rows).ece:>8.3f}{crossed[name].ece:>18.3f}")
    if given.write:
        save(found, SHIPPED)


if __name__ == "__main__":
    main()
