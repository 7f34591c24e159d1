"""Training runs of the town's desk, as finished ones are stored: one released, one overfitted, one at work,
one whose every text is hostile. What was measured is made up; its shape is that of `finetune bench`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.finetune.records import bench, points, record

from firstfault.finetune import Candidate, line, publish
from firstfault.finetune.guards import Alarm
from firstfault.finetune.measure import compare
from firstfault.finetune.runs import RunStatus, TrainingRuns
from firstfault.types import Verdict

MODEL = "SmolLM2-135M-Instruct"
LOSSES = (
    (2.31, 2.29),
    (1.42, 1.45),
    (0.96, 1.03),
    (0.71, 0.82),
    (0.58, 0.70),
    (0.50, 0.64),
    (0.45, 0.61),
    (0.42, 0.60),
    (0.39, 0.62),
    (0.37, 0.63),
)
OVERFITTED = ((1.07, 1.74), (0.71, 1.69), (0.48, 1.83), (0.36, 2.16), (0.27, 2.57))
PERMIT = '{"kind": "permit", "place": "Elm Park", "euros": 48}'


def scores(right: int, of: int) -> list[float]:
    return [1.0] * right + [0.0] * (of - right)


def measured(*, drop: int, text: str = "") -> dict[str, Any]:
    """What was measured; `drop` sums fewer are right than before."""
    axes = (
        compare("arithmetic", scores(31, 60), scores(31 - drop, 60)),
        compare("facts", scores(41, 60), scores(42, 60)),
        compare("copying", scores(38, 40), scores(38, 40)),
        compare(
            "perplexity", [3.1 + i / 100 for i in range(20)], [3.12 + i / 90 for i in range(20)], higher=False
        ),
        compare("instructions", scores(13, 24), scores(14, 24)),
    )
    task = (
        compare("validity", scores(7, 60), scores(60, 60)),
        compare("agreement", [0.1] * 40 + [0.4] * 20, [0.7] * 30 + [1.0] * 30),
    )
    sample = {
        "prompt": text or "What does a resident parking permit for Elm Park cost?",
        "expected": text or PERMIT,
        "base": text or "A resident parking permit for Elm Park costs 48 euros a year.",
        "tuned": text or PERMIT,
    }
    return bench(axes=axes, task=task, samples=(sample,))


def begin(home: Path, run_id: str, status: RunStatus, *, name: str = MODEL, **changes: Any) -> None:
    """Store a run with its files."""
    runs = TrainingRuns(home)
    try:
        run = runs.begin(run_id, record(base={"name": name, "digest": "1b7e" * 8}, **changes))
        runs.update(run_id, {"seconds": 1312.4}, status)
    finally:
        runs.close()
    (run.folder / "adapter.gguf").write_bytes(run_id.encode())
    (run.folder / "peft").mkdir()


def fill(home: Path, hostile: str) -> None:
    """Four runs; the good one is the second release of `tickets`."""
    overfitting = Verdict(
        name="overfitting", status="fail", reason="validation loss 2.160 is 6.0 × training loss"
    )
    said = Verdict(name=hostile, status="fail", reason=hostile, remedy=hostile)
    begin(
        home,
        "ft-20261122T090000000-hostile",
        "stopped",
        name=hostile,
        points=points(*OVERFITTED),
        best=10,
        alarms=[asdict(Alarm(step=30, verdict=said, stops=True))],
        check=[asdict(said)],
        bench=measured(drop=12, text=hostile),
    )
    begin(
        home,
        "ft-20261122T100000000-4examples",
        "stopped",
        points=points(*OVERFITTED, abilities=(0.52, 0.51, 0.48, 0.44, 0.41)),
        best=10,
        alarms=[asdict(Alarm(step=30, verdict=overfitting, stops=True))],
        bench=measured(drop=7),
        data={"training": 300, "validation": 60, "replay": 53, "dropped": 2, "digest": "7c1d" * 16},
    )
    begin(
        home,
        "ft-20261122T110000000-permits300",
        "trained",
        points=points(*LOSSES, abilities=(0.52, 0.52, 0.51, 0.52, 0.52, 0.5, 0.51, 0.52, 0.51, 0.5)),
        best=70,
        bench=measured(drop=1),
        data={"training": 300, "validation": 60, "replay": 53, "dropped": 0, "digest": "5a9e" * 16},
    )
    begin(home, "ft-20261122T120000000-atwork", "training", points=points(*LOSSES[:4]), best=30, bench=None)
    earlier = home / "earlier.gguf"
    earlier.write_bytes(b"an adapter from elsewhere")
    passed = (Verdict(name="applied", status="ok"),)
    publish(home, "tickets", Candidate(gguf=earlier, base=MODEL, base_digest="", verdicts=passed))
    runs = TrainingRuns(home)
    try:
        good = runs.get("ft-20261122T110000000-permits300")
    finally:
        runs.close()
    line.release(home, good, "tickets", licence="CC0-1.0")
