"""The local verifier on the development sets: AUROC, balanced accuracy, calibration, edits, latency; set by
set.

    python -m bench.verifier [--no-edits] [--json FILE]

Reads the folder that FIRSTFAULT_DATA names (`../shared/data` by default). None of these sets was trained on;
weights of the raw score and the calibration were chosen by looking at them. The threshold of a set's balanced
accuracy comes from the other sets alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.corpus import data_folder
from bench.verifier_edits import cases
from firstfault.verify import LocalVerifier
from firstfault.verify.calibration import Calibration, quality

SETS = ("ragtruth_qa_sentences", "ragtruth_qa", "wice_dev", "begin_topicalchat", "expertqa")
SUMMEDITS = ("ectsum", "podcast", "sales_call", "sales_email")
SIGNALS = (
    "best_passage_recall",
    "number_mismatch",
    "unseen_entity",
    "negation_conflict",
    "exchanged_name",
    "changed_word",
    "reversed_copy",
)
KINDS = ("wrong_passage", "removed", "negation", "number", "entity", "antonym", "relation")


@dataclass(frozen=True)
class Scored:
    """One development row with what the verifier says."""

    label: int
    score: float
    words: int
    sentences: int
    signals: dict[str, float]


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def auroc(labels: Sequence[int], scores: Sequence[float]) -> float | None:
    """Area under the ROC curve by ranks, ties shared; None when a label does not occur."""
    y, s = np.asarray(labels), np.asarray(scores)
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return None
    order = np.argsort(s, kind="stable")
    ranks = np.empty(len(s))
    ranks[order] = np.arange(1, len(s) + 1)
    for value in np.unique(s):
        ranks[s == value] = ranks[s == value].mean()
    return float((ranks[y == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def length_controlled(found: Sequence[Scored], value: Callable[[Scored], float]) -> float | None:
    """AUROC within thirds of equal length (in sentences), averaged by their number of pairs."""
    order = sorted(found, key=lambda s: (s.sentences, s.words))
    parts = [order[i * len(order) // 3 : (i + 1) * len(order) // 3] for i in range(3)]
    areas = []
    for part in parts:
        positives = sum(s.label for s in part)
        area = auroc([s.label for s in part], [value(s) for s in part])
        if area is not None:
            areas.append((area, positives * (len(part) - positives)))
    weight = sum(w for _, w in areas)
    return sum(a * w for a, w in areas) / weight if weight else None


def balanced_accuracy(labels: Sequence[int], scores: Sequence[float], threshold: float) -> float:
    y, s = np.asarray(labels), np.asarray(scores) >= threshold
    return float((s[y == 1].mean() + (~s[y == 0]).mean()) / 2)


def best_threshold(sets: Sequence[Sequence[Scored]]) -> float:
    """The threshold with the best mean balanced accuracy over several sets."""
    candidates = np.linspace(0.05, 0.95, 91)
    means = [
        np.mean([balanced_accuracy([x.label for x in s], [x.score for x in s], t) for s in sets])
        for t in candidates
    ]
    return float(candidates[int(np.argmax(means))])


def score(verifier: LocalVerifier, data: Sequence[dict[str, Any]]) -> list[Scored]:
    from firstfault.verify import split_claims

    found = []
    for row in data:
        verdict = verifier.verify_claims([(row["context"], row["claim"])])[0]
        # What cannot be judged is not left out: it counts as undecided.
        value = 0.5 if verdict.score is None else verdict.score
        signals = {s.name: s.value for s in verdict.signals}
        claim = row["claim"]
        found.append(Scored(row["label"], value, len(claim.split()), len(split_claims(claim)), signals))
    return found


def edits(verifier: LocalVerifier, folder: Path) -> dict[str, dict[str, Any]]:
    """Recall of each edit at 10 % false alarms, word-for-word sentences and judged claims apart."""
    table: dict[str, dict[str, Any]] = {}
    for name, verbatim in (("sentences word for word", True), ("claims by people and models", False)):
        sets = ("ragtruth_qa_sentences", "wice_dev", "begin_topicalchat", "expertqa") if verbatim else (
            "ragtruth_qa_sentences", "wice_dev")  # fmt: skip
        made = [
            c for s in sets for c in cases(rows(folder / f"{s}.jsonl.gz"), s, verbatim=verbatim, most=100)
        ]
        verdicts = verifier.verify_claims([(c.context, c.claim) for c in made])
        scores = [0.5 if v.score is None else v.score for v in verdicts]
        true = sorted(s for s, c in zip(scores, made, strict=True) if c.kind == "true")
        threshold = true[len(true) // 10]
        table[name] = {"true": len(true)}
        for kind in KINDS:
            of_kind = [s for s, c in zip(scores, made, strict=True) if c.kind == kind]
            if of_kind:
                caught = sum(s < threshold for s in of_kind) / len(of_kind)
                table[name][kind] = {"n": len(of_kind), "recall": caught}
    return table


def summedits(verifier: LocalVerifier, folder: Path) -> dict[str, Any]:
    """AUROC on the SummEdits documents that training held back."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
    from corpora import held_back  # type: ignore[import-not-found]

    found: dict[str, Any] = {}
    everything: list[Scored] = []
    for name in SUMMEDITS:
        data = [r for r in rows(folder / f"summedits_{name}.jsonl.gz") if held_back(r["context"][0])]
        part = score(verifier, data)
        everything += part
        found[name] = {"n": len(part), "auroc": auroc([s.label for s in part], [s.score for s in part])}
    found["all"] = {
        "n": len(everything),
        "auroc": auroc([s.label for s in everything], [s.score for s in everything]),
    }
    return found


def latency(verifier: LocalVerifier, data: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Milliseconds a claim against a context of about 300 words, read anew each time, on one thread."""
    pairs = []
    for row in data:
        words = " ".join(row["context"]).split()
        if len(words) >= 300:
            pairs.append(([" ".join(words[:300])], row["claim"]))
    times, computing = [], []
    for pair in pairs[:120]:
        begin, begin_computing = time.perf_counter(), time.process_time()
        verifier.verify_claims([pair])
        times.append((time.perf_counter() - begin) * 1e3)
        computing.append((time.process_time() - begin_computing) * 1e3)
    ordered = sorted(times[5:])
    return {
        "n": len(ordered),
        "p50_ms": statistics.median(ordered),
        "p50_computing_ms": statistics.median(computing[5:]),
        "p95_ms": ordered[int(len(ordered) * 0.95)],
    }


def run(folder: Path, *, with_edits: bool) -> dict[str, Any]:
    verifier = LocalVerifier(threads=1)
    found = {name: score(verifier, rows(folder / f"{name}.jsonl.gz")) for name in SETS}
    identity = Calibration(slope=1.0, intercept=0.0)
    report: dict[str, Any] = {"verifier": verifier.name, "sets": {}}
    for name, scored in found.items():
        labels = [s.label for s in scored]
        scores = [s.score for s in scored]
        others = [
            found[o]
            for o in SETS
            if o != name and not (o.startswith("ragtruth") and name.startswith("ragtruth"))
        ]
        clipped = np.clip(scores, 1e-9, 1 - 1e-9)
        held = quality(identity, list(np.log(clipped / (1 - clipped))), labels)
        singles = {"length (shorter is better)": auroc(labels, [-s.words for s in scored])}
        for signal in SIGNALS:
            sign = 1 if signal == "best_passage_recall" else -1
            singles[signal] = auroc(labels, [sign * s.signals.get(signal, 0.0) for s in scored])
        entry = {
            "n": len(scored),
            "supported": sum(labels),
            "auroc": auroc(labels, scores),
            "balanced_accuracy": balanced_accuracy(labels, scores, best_threshold(others)),
            "ece": held.ece,
            "single_signals_auroc": singles,
        }
        if name == "ragtruth_qa":
            entry["length_controlled_auroc"] = length_controlled(scored, lambda s: s.score)
            entry["length_controlled_singles"] = {
                "length (shorter is better)": length_controlled(scored, lambda s: -s.words),
                "best_passage_recall": length_controlled(
                    scored, lambda s: s.signals.get("best_passage_recall", 0)
                ),
            }
        report["sets"][name] = entry
    report["summedits_held_back"] = summedits(verifier, folder)
    if with_edits:
        report["edits"] = edits(verifier, folder)
    report["latency"] = latency(verifier, rows(folder / "ragtruth_qa_sentences.jsonl.gz"))
    return report


def show(report: dict[str, Any]) -> None:
    def number(value: float | None) -> str:
        return "    –" if value is None else f"{value:5.3f}"

    print(f"verifier {report['verifier']}\n")
    print(f"{'set':<24}{'n':>5}{'supp.':>7}{'AUROC':>8}{'bal.acc':>8}{'ECE':>8}   best single signal")
    for name, entry in report["sets"].items():
        singles = {k: v for k, v in entry["single_signals_auroc"].items() if v is not None}
        top = max(singles, key=lambda k: singles[k])
        figures = (number(entry[key]) for key in ("auroc", "balanced_accuracy", "ece"))
        line = f"{name:<24}{entry['n']:>5}{entry['supported']:>7}" + "".join(f"{f:>8}" for f in figures)
        print(f"{line}   {top} {number(singles[top])}")
    whole = report["sets"]["ragtruth_qa"]
    singles = ", ".join(f"{k} {number(v)}" for k, v in whole["length_controlled_singles"].items())
    area = number(whole["length_controlled_auroc"])
    print(f"\nragtruth_qa, whole answers, length-controlled: {area} ({singles})")
    parts = report["summedits_held_back"].items()
    print(
        "\nSummEdits, held-back documents: "
        + ", ".join(f"{k} {number(v['auroc'])} (n {v['n']})" for k, v in parts)
    )
    for name, table in report.get("edits", {}).items():
        print(f"\nrecall at 10 % false alarms, {name} ({table['true']} true)")
        print(
            "  " + ", ".join(f"{k} {table[k]['recall']:.2f} (n {table[k]['n']})" for k in KINDS if k in table)
        )
    timing = report["latency"]
    print(f"\n300-word context, one thread: p50 {timing['p50_ms']:.1f} ms, p95 {timing['p95_ms']:.1f} ms"
          f" (p50 without waiting for the core: {timing['p50_computing_ms']:.1f} ms)"
          f" a claim (n {timing['n']:.0f})")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-edits", action="store_true")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    given = parser.parse_args()
    folder = data_folder() / "faithfulness"
    if not folder.is_dir():
        print(
            f"The development data are not at {folder}: nothing was measured. Set FIRSTFAULT_DATA.",
            file=sys.stderr,
        )
        return 3
    report = run(folder, with_edits=not given.no_edits)
    show(report)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
