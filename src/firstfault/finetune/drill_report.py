"""What drills of fine-tuning show: outcomes in; the document of `--json` and the pages, and Markdown, out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from firstfault.drill.outcome import HEALTHY
from firstfault.drill.report import Rate
from firstfault.finetune.drills import TuningOutcome

STOPPED = {
    "refused": "refused before training",
    "guard": "stopped by a guard",
    "gate": "failed at the gate",
    "": "NOT STOPPED",
}
"""How an outcome ended, in words."""


def rates(outcomes: Sequence[TuningOutcome]) -> dict[str, Rate]:
    """Name → rate. Drills that were skipped count for nothing."""
    done = [one for one in outcomes if not one.skipped]
    single = [one for one in done if one.faults]
    control = [one for one in done if not one.faults]
    return {
        "stopped": _rate([bool(one.stopped) for one in single]),
        "stage_named": _rate([one.stage_named for one in single]),
        "cause_named": _rate([one.cause_named for one in single]),
        "false_alarms": _rate([one.found.stage != HEALTHY for one in control]),
    }


def document(outcomes: Sequence[TuningOutcome]) -> dict[str, Any]:
    """The JSON document of `drill tuning --json`: a contract that scripts rely on.

    The drills of answers have the same outer shape, so that one page shows both.
    """
    missed = [one for one in outcomes if one.faults and not one.skipped and not one.cause_named]
    seconds = sorted(one.seconds for one in outcomes if not one.skipped)
    return {
        "kind": "tuning",
        "rates": {name: {**asdict(rate), "value": rate.value} for name, rate in rates(outcomes).items()},
        "confusion": {"stages": _matrix(outcomes, "stage"), "causes": _matrix(outcomes, "cause")},
        "blind_spots": [one.faults[0] for one in missed],
        "seconds": {"to_diagnosis": seconds[len(seconds) // 2] if seconds else None},
        "drills": [{**asdict(one), "failed": list(one.failed)} for one in outcomes],
    }


def markdown(outcomes: Sequence[TuningOutcome]) -> str:
    """A report for people who were not there."""
    lines = ["# Drills of fine-tuning", "", "| what | rate |", "|---|---|"]
    lines += [f"| {name} | {rate} |" for name, rate in rates_of(outcomes)]
    lines += ["", "| fault | severity | examples | ended | expected | named | gates that failed | minutes |"]
    lines.append("|---" * 8 + "|")
    for one in outcomes:
        cells = (
            one.faults[0] if one.faults else "none (control)",
            "" if one.severity is None else f"{one.severity:g}",
            f"{one.examples:,}",
            ended(one),
            str(one.expected[0]) if one.expected else HEALTHY,
            one.skipped or str(one.found),
            ", ".join(one.failed) or "–",
            f"{one.seconds / 60:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def ended(outcome: TuningOutcome) -> str:
    """How it ended, in words."""
    if outcome.skipped:
        return "skipped"
    return "passed" if not outcome.faults and not outcome.stopped else STOPPED[outcome.stopped]


def rates_of(outcomes: Sequence[TuningOutcome]) -> list[tuple[str, Rate]]:
    """The rates that something was measured for, each with its name."""
    found = rates(outcomes)
    rows = (
        ("stopped, or failed at the gate", found["stopped"]),
        ("stage named first", found["stage_named"]),
        ("cause named first", found["cause_named"]),
        ("training as it is called faulty", found["false_alarms"]),
    )
    return [(name, rate) for name, rate in rows if rate.of]


def _matrix(outcomes: Sequence[TuningOutcome], what: str) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for one in outcomes:
        if not one.skipped:
            broken = getattr(one.expected[0], what) if one.expected else HEALTHY
            counts.setdefault(broken, Counter())[getattr(one.found, what)] += 1
    return {broken: dict(named) for broken, named in counts.items()}


def _rate(values: Sequence[bool]) -> Rate:
    return Rate(hits=sum(values), of=len(values))
