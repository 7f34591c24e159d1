"""Gates: the records of a training run in, a verdict for each thing that must hold before a release out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from firstfault.finetune.guards import OVERFIT_RATIO, Alarm, Point, best, restored_alarm, restored_point
from firstfault.finetune.measure import Bench, Paired, restored_bench
from firstfault.types import Status, Verdict

MOST_DROP = 0.10
"""Relative drop of an ability that is let through."""
LEAST_VALID = 0.95
"""Share of unconstrained outputs on held-out examples that must have the form."""
LEAST_EXPORTED = 0.5
"""Agreement of PEFT and GGUF outputs below which the export is wrong; rounding explains less."""
SIGNIFICANT = 0.05


def gate(record: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Every gate, from what a run has recorded. What was not measured does not pass."""
    points = tuple(restored_point(one) for one in record.get("points", ()))
    alarms = tuple(restored_alarm(one) for one in record.get("alarms", ()))
    made = restored_bench(record["bench"]) if record.get("bench") else None
    checked = tuple(Verdict(**one) for one in record.get("check", ()))
    return (_data(checked), *_gates(points, alarms, made))


def passed(verdicts: Sequence[Verdict]) -> bool:
    """Whether a release may be made."""
    return all(verdict.status in {"ok", "warn"} for verdict in verdicts)


def _gates(points: Sequence[Point], alarms: Sequence[Alarm], made: Bench | None) -> Iterator[Verdict]:
    yield _trained(alarms)
    yield _fit(points)
    if made is None:
        yield Verdict(
            name="measured",
            status="fail",
            reason="the adapter was not measured",
            remedy="Measure it: firstfault finetune bench RUN",
        )
        return
    yield _applied(made)
    yield _template(made)
    yield _export(made)
    for axis in made.axes:
        yield _ability(axis)
    for task in made.task:
        yield _validity(task) if task.name == "validity" else _gain(task)


def _data(checked: Sequence[Verdict]) -> Verdict:
    bad = [verdict for verdict in checked if verdict.status == "fail"]
    if not bad:
        return Verdict(name="data", status="ok", reason="the dataset doctor forbids nothing")
    return Verdict(
        name="data",
        status="fail",
        measured=float(len(bad)),
        limit=0.0,
        reason="; ".join(f"{verdict.name}: {verdict.reason}" for verdict in bad),
        remedy=bad[0].remedy,
    )


def _trained(alarms: Sequence[Alarm]) -> Verdict:
    bad = [alarm for alarm in alarms if alarm.stops and alarm.verdict.status == "fail"]
    if not bad:
        return Verdict(name="training", status="ok", reason="no guard raised an alarm that ended it")
    first = bad[0]
    return Verdict(
        name="training",
        status="fail",
        measured=first.verdict.measured,
        limit=first.verdict.limit,
        reason=f"ended at step {first.step} by {first.verdict.name}: {first.verdict.reason}",
        remedy=first.verdict.remedy,
    )


def _fit(points: Sequence[Point]) -> Verdict:
    lowest = best(points)
    if lowest is None:
        return Verdict(
            name="overfitting", status="unknown", reason="nothing was measured", remedy="Train again."
        )
    base = points[0]
    if lowest.step == base.step and len(points) > 1:
        return Verdict(
            name="overfitting",
            status="fail",
            measured=round(points[-1].validation_loss, 4),
            limit=round(base.validation_loss, 4),
            reason="validation loss never fell below the base model's",
            remedy="Check the data, then lower the learning rate.",
        )
    return Verdict(
        name="overfitting",
        status="ok" if lowest.ratio < OVERFIT_RATIO else "fail",
        measured=round(lowest.ratio, 3),
        limit=OVERFIT_RATIO,
        reason=f"validation loss {lowest.validation_loss:.3f} is {lowest.ratio:.2f} × training loss "
        f"at step {lowest.step}",
        remedy=""
        if lowest.ratio < OVERFIT_RATIO
        else "More or more varied data, fewer epochs, a smaller rank.",
    )


def _applied(made: Bench) -> Verdict:
    ok = made.changed > 0
    return Verdict(
        name="applied",
        status="ok" if ok else "fail",
        measured=round(made.changed, 4),
        limit=0.0,
        reason=f"{100 * made.changed:.0f} % of the held-out outputs differ from the base model's"
        if ok
        else "every held-out output equals the base model's: what was learnt is not applied",
        remedy="" if ok else "Export the adapter again, and check the base model and the adapter's scale.",
    )


def _template(made: Bench) -> Verdict:
    return Verdict(
        name="chat_template",
        status="ok" if made.template_agrees else "fail",
        reason="serving renders prompts as training did"
        if made.template_agrees
        else "serving renders prompts otherwise than training did",
        remedy="" if made.template_agrees else "Train with the template of the served model.",
    )


def _export(made: Bench) -> Verdict:
    if not made.served:
        return Verdict(
            name="export",
            status="warn",
            reason="the weights were measured, not what will serve them: there is no GGUF file to compare",
            remedy="Ask the server a few held-out prompts, and compare with `samples` of this measurement.",
        )
    if made.exported is None:
        return Verdict(
            name="export",
            status="warn",
            reason="PEFT and GGUF cannot be compared while they see other prompts",
            remedy="Mend the chat template first.",
        )
    ok = made.exported >= LEAST_EXPORTED
    return Verdict(
        name="export",
        status="ok" if ok else "fail",
        measured=round(made.exported, 4),
        limit=LEAST_EXPORTED,
        reason=f"PEFT and GGUF adapter agree on {100 * made.exported:.0f} % of what they write",
        remedy="" if ok else "Serve the PEFT folder instead, and report the architecture.",
    )


def _ability(axis: Paired) -> Verdict:
    drop = axis.relative_drop
    worse_beyond = axis.ci_high is not None and axis.ci_high < 0
    if not axis.higher_is_better:
        worse_beyond = axis.ci_low is not None and axis.ci_low > 0
    status: Status = "ok"
    if drop > MOST_DROP:
        status = "fail" if worse_beyond else "warn"
    unit = "nats a token" if not axis.higher_is_better else "right"
    return Verdict(
        name=f"ability:{axis.name}",
        status=status,
        measured=round(drop, 4),
        limit=MOST_DROP,
        reason=f"{axis.before:.3f} → {axis.after:.3f} {unit}, {100 * drop:+.1f} % lost"
        + (", within its interval" if status == "warn" else ""),
        remedy=""
        if status == "ok"
        else "Lower the learning rate, more replay (--set replay=0.3), or --set kl=0.1.",
    )


def _validity(task: Paired) -> Verdict:
    ok = task.after >= LEAST_VALID
    return Verdict(
        name="format_validity",
        status="ok" if ok else "fail",
        measured=round(task.after, 4),
        limit=LEAST_VALID,
        reason=f"{100 * task.before:.0f} → {100 * task.after:.0f} % of {task.n} outputs valid, unconstrained",
        remedy="" if ok else "More examples of the format, or hold the output to its schema when serving.",
    )


def _gain(task: Paired) -> Verdict:
    ok = task.delta > 0 and task.p_value < SIGNIFICANT
    return Verdict(
        name="task_gain",
        status="ok" if ok else "fail",
        measured=round(task.delta, 4),
        limit=0.0,
        reason=f"agreement with {task.n} held-out answers {task.before:.2f} → {task.after:.2f} "
        f"(p = {task.p_value:.4f})",
        remedy="" if ok else "The gain is not proven: more held-out examples, or better training data.",
    )
