"""What broke first in a training run: its records in, the earliest fault with evidence and remedy out.

The stages are asked in the order in which a fault travels: data, recipe, fit, forget, serve, format. A cause
is named only where its own evidence was seen; a short training with the fix (`trials`) can confirm it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from firstfault.diagnose.playbook import Playbook
from firstfault.finetune.gates import gate, passed
from firstfault.finetune.guards import (
    FLOOR,
    LEAST_RISE,
    OVERFIT_RATIO,
    Alarm,
    Point,
    restored_alarm,
    restored_point,
)
from firstfault.finetune.guards import best as best_of
from firstfault.finetune.runs import TrainingRun
from firstfault.types import Remedy, Verdict

FEW_TO_OVERFIT = 100
"""Examples below which overfitting is the fault of the data, whatever the recipe."""
RATE_FACTOR = 4.0
"""Of the usual rate for the size of the model, beyond which a rate is high."""

_OF_DATA = (
    ("leakage", "leakage"),
    ("contradictory_answers", "label_errors"),
    ("label_errors", "label_errors"),
    ("format_validity", "inconsistent_format"),
    ("consistent_format", "inconsistent_format"),
    ("duplicates", "duplicates"),
    ("near_duplicates", "duplicates"),
)
"""Finding of the doctor that failed → cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that broke, with what shows it."""

    stage: str
    cause: str
    evidence: str
    verified: bool
    """Whether it was seen directly, or an intervention confirmed it; otherwise it is the likeliest cause."""
    remedy: Remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiagnosis:
    """What is wrong with a training run."""

    run_id: str
    healthy: bool
    primary: Fault | None
    """The first fault; None for a healthy run, and where `unknown` says what is missing."""
    findings: tuple[Fault, ...]
    """In the order in which they happened."""
    gates: tuple[Verdict, ...]
    unknown: str = ""
    """Why no fault could be named, and what to run next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    record: Mapping[str, Any]
    points: tuple[Point, ...]
    alarms: tuple[Alarm, ...]
    gates: Mapping[str, Verdict]
    failed: frozenset[str] = field(default_factory=frozenset)

    def value(self, name: str) -> Any:
        return self.record["recipe"][name]


def diagnose(run: TrainingRun, playbook: Playbook | None = None) -> RunDiagnosis:
    """The faults of a run, the first one first."""
    book = playbook or Playbook.load()
    verdicts = gate(run.record)
    if passed(verdicts):
        return RunDiagnosis(run_id=run.id, healthy=True, primary=None, findings=(), gates=verdicts)
    seen = _Seen(
        record=run.record,
        points=tuple(restored_point(one) for one in run.record.get("points", ())),
        alarms=tuple(restored_alarm(one) for one in run.record.get("alarms", ())),
        gates={verdict.name: verdict for verdict in verdicts},
        failed=frozenset(verdict.name for verdict in verdicts if verdict.status == "fail"),
    )
    found: dict[str, Fault] = {}
    for cause, evidence, verified in _faults(seen):
        entry = book.entry(cause)
        remedy = Remedy(
            summary=entry.remedy.summary, patch=_patch(cause, seen), command=_command(cause, run, seen)
        )
        fault = Fault(stage=entry.stage, cause=cause, evidence=evidence, verified=verified, remedy=remedy)
        found.setdefault(cause, fault)
    faults = tuple(found.values())
    unknown = ""
    if not faults:
        names = ", ".join(sorted(seen.failed))
        unknown = f"{names} failed, and no cause shows. Next: firstfault finetune bench {run.id}"
        if run.status == "training":
            unknown = f"It has not ended. Next: firstfault finetune resume {run.id}"
    return RunDiagnosis(
        run_id=run.id,
        healthy=False,
        primary=faults[0] if faults else None,
        findings=faults,
        gates=verdicts,
        unknown=unknown,
    )


def _faults(seen: _Seen) -> Iterator[tuple[str, str, bool]]:
    """Cause, evidence, and whether it was seen directly; in the order in which they happen.

    A wrong template shows when the adapter is served, but was there before the first step: what was lost
    was measured through the other one.
    """
    yield from _data(seen)
    if "chat_template" in seen.failed:
        yield "chat_template_mismatch", seen.gates["chat_template"].reason, True
    yield from _recipe(seen)
    yield from _fit(seen)
    yield from _forget(seen)
    yield from _serve(seen)
    if "format_validity" in seen.failed and not {"chat_template", "applied"} & seen.failed:
        yield from _format(seen)


def _data(seen: _Seen) -> Iterator[tuple[str, str, bool]]:
    failed = {one["name"]: one["reason"] for one in seen.record.get("check", ()) if one["status"] == "fail"}
    for finding, cause in _OF_DATA:
        if finding in failed:
            yield cause, f"{finding}: {failed[finding]}", True
    examples = seen.record["data"]["training"]
    if _overfitted(seen) and examples < FEW_TO_OVERFIT:
        yield "too_few_examples", f"{examples:,} examples, and {_overfitted(seen)}", True


def _recipe(seen: _Seen) -> Iterator[tuple[str, str, bool]]:
    rate, usual = seen.value("learning_rate"), _usual(seen)
    harm = _harm(seen)
    if harm and rate > RATE_FACTOR * usual:
        yield (
            "learning_rate_too_high",
            f"the rate {rate:g} is {rate / usual:.0f} × the usual {usual:g}; {harm}",
            False,
        )
    lowest = best_of(seen.points)
    last = seen.points[-1] if seen.points else None
    if _overfitted(seen) and lowest and last and last.epoch - lowest.epoch > 1:
        lowest_at = f"validation loss was lowest in epoch {lowest.epoch:.1f}"
        yield "too_many_epochs", f"{lowest_at}, and training went on to {last.epoch:.1f}", True


def _harm(seen: _Seen) -> str:
    """What a rate that is too high does; empty when nothing of it was seen."""
    for alarm in seen.alarms:
        if alarm.verdict.name == "finite_loss" or alarm.verdict.name.startswith("ability:"):
            return f"{alarm.verdict.reason} at step {alarm.step}"
    lost = sorted(name for name in seen.failed if name.startswith("ability:"))
    if lost:
        return seen.gates[lost[0]].reason
    later = seen.points[1:]
    if later and all(point.validation_loss > seen.points[0].validation_loss for point in later):
        return "validation loss never fell below the base model's"
    return ""


def _usual(seen: _Seen) -> float:
    """The rate that the recipe would have chosen."""
    return next(
        float(one["usual"]) for one in seen.record["recipe"]["settings"] if one["name"] == "learning_rate"
    )


def _overfitted(seen: _Seen) -> str:
    """What shows that the examples were learnt by heart; empty when nothing does."""
    lowest = best_of(seen.points)
    for point in seen.points[1:]:
        risen = lowest is not None and point.validation_loss > (1 + LEAST_RISE) * lowest.validation_loss
        if point.ratio >= OVERFIT_RATIO and (risen or "overfitting" in seen.failed):
            return (
                f"at step {point.step} validation loss {point.validation_loss:.3f} is {point.ratio:.1f} × "
                f"training loss {max(point.train_loss, FLOOR):.3f}"
            )
    return ""


def _fit(seen: _Seen) -> Iterator[tuple[str, str, bool]]:
    overfitted = _overfitted(seen)
    if overfitted:
        yield "overfitting", overfitted, True


def _forget(seen: _Seen) -> Iterator[tuple[str, str, bool]]:
    lost = [seen.gates[name].reason for name in sorted(seen.failed) if name.startswith("ability:")]
    lost += [
        f"{alarm.verdict.reason} at step {alarm.step}"
        for alarm in seen.alarms
        if alarm.verdict.name.startswith("ability:")
    ]
    if lost:
        yield "catastrophic_forgetting", "; ".join(lost), True


def _serve(seen: _Seen) -> Iterator[tuple[str, str, bool]]:
    if "applied" in seen.failed:
        first, lowest = seen.points[0] if seen.points else None, best_of(seen.points)
        fell = ""
        if first and lowest and lowest.validation_loss < first.validation_loss:
            losses = f"{first.validation_loss:.2f} to {lowest.validation_loss:.2f}"
            fell = f", though training took validation loss from {losses}"
        yield "adapter_not_applied", f"{seen.gates['applied'].reason}{fell}", True
    if "export" in seen.failed and "applied" not in seen.failed:
        yield "adapter_not_applied", seen.gates["export"].reason, True


def _format(seen: _Seen) -> Iterator[tuple[str, str, bool]]:
    validity = next(one for one in seen.record["bench"]["task"] if one["name"] == "validity")
    reason = seen.gates["format_validity"].reason
    if validity["after"] < validity["before"]:
        yield "format_drift", reason, True
    else:
        examples = seen.record["data"]["training"]
        yield "too_few_format_examples", f"{reason}, after {examples:,} examples", False


def _patch(cause: str, seen: _Seen) -> dict[str, Any]:
    """Values of the recipe that answer a cause."""
    if cause == "learning_rate_too_high":
        return {"learning_rate": _usual(seen)}
    if cause == "too_many_epochs":
        lowest = best_of(seen.points)
        return {"epochs": max(1, round(lowest.epoch))} if lowest else {}
    if cause == "catastrophic_forgetting":
        return {"learning_rate": _usual(seen) / 2, "replay": min(0.5, 2 * max(seen.value("replay"), 0.15))}
    if cause == "overfitting" and not seen.value("rank"):
        return {"learning_rate": _usual(seen) / 2}
    if cause == "overfitting":
        return {"rank": max(4, seen.value("rank") // 2), "dropout": 0.1}
    return {}


def _command(cause: str, run: TrainingRun, seen: _Seen) -> str:
    patch = _patch(cause, seen)
    if patch:
        options = " ".join(f"--set {name}={value:g}" for name, value in patch.items())
        if seen.record["recipe"].get("method") == "full":
            options = f"--set method=full {options}"
        return f"firstfault finetune train DATA {options}"
    if cause in {"leakage", "duplicates", "inconsistent_format"}:
        return "firstfault finetune clean DATA --validation HELD --out CLEANED"
    if cause == "label_errors":
        return "firstfault finetune clean DATA --drop label_errors --out CLEANED"
    if cause == "adapter_not_applied":
        return f"firstfault finetune bench {run.id}"
    return "firstfault finetune train DATA"
