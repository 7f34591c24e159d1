"""How fine-tuning looks in a terminal: findings with their rows, recipes, curves, gates, diagnoses."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from firstfault.cli.render import plain, verdicts

if TYPE_CHECKING:
    from firstfault.finetune.diagnose import Intervention, RunDiagnosis
    from firstfault.finetune.doctor import Examination
    from firstfault.finetune.runs import TrainingRun
    from firstfault.finetune.train import Estimate, Plan, Progress

WIDEST = 110
"""Characters of a detail that are shown."""


def examination(out: Console, made: "Examination", *, rows: int) -> None:
    """Every finding, the first rows behind it, and the result."""
    layouts = ", ".join(f"{count:,} {name}" for name, count in made.layouts.items())
    out.print(
        Text(f"{plain(made.data)}: {made.examples:,} examples ({layouts or 'none readable'})", style="bold")
    )
    for check in made.checks:
        verdicts(out, [check.verdict])
        if check.verdict.status == "ok":
            continue
        pairs = list(zip(check.rows, check.details, strict=False)) or [("", one) for one in check.details]
        for place, detail in pairs[:rows]:
            line = f"      {place}: {detail}" if place else f"      {detail}"
            out.print(Text(plain(line[:WIDEST]), style="dim"))
        if len(pairs) > rows:
            out.print(Text(f"      … and {len(pairs) - rows:,} more; --json has them all", style="dim"))
    failed = made.failed
    if failed:
        out.print(Text(f"not fit for training: {', '.join(failed)}", style="red"))
        out.print(Text("  next: firstfault finetune clean DATA --out CLEANED", style="cyan"))
    else:
        out.print(Text("nothing forbids training", style="green"))


def plan(out: Console, made: "Plan", estimate: "Estimate", run_id: str) -> None:
    """What will be trained on what, every value with its origin, and what it will cost."""
    out.print(Text(f"{run_id}: {made.base.name}", style="bold"))
    dropped = f", {made.dropped:,} dropped for nothing to learn" if made.dropped else ""
    held, replayed = len(made.validation), len(made.replay)
    out.print(f"  {len(made.training):,} examples, {held:,} held out, {replayed:,} for replay{dropped}")
    settings(out, made.recipe.document()["settings"])
    minutes = estimate.seconds / 60
    memory = f"about {estimate.memory_bytes / 2**30:.1f} GB of memory"
    steps = f"{estimate.steps:,} steps of {estimate.seconds_a_step:.1f} s"
    out.print(f"  about {minutes:,.0f} min on {estimate.device}: {steps}; {memory}")


def settings(out: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """The values of a recipe, each with its origin and reason."""
    for one in found:
        line = Text.assemble((f"  {one['name']:<14}", "cyan"), (f"{one['value']!s:<10}", "bold"))
        line.append(f"{one['origin']}: " if one["origin"] != "chosen" else "", style="yellow")
        line.append(plain(str(one["reason"])), style="dim")
        out.print(line)


def listener(out: Console) -> "Callable[[Progress], None]":
    """Prints each measurement and alarm as it comes, and between them where the training is."""

    def listen(now: "Progress") -> None:
        if now.point is not None:
            point = now.point
            skills = ", ".join(f"{axis} {value:.2f}" for axis, value in point.abilities.items())
            valid = "" if point.valid_share is None else f", valid {100 * point.valid_share:.0f} %"
            out.print(
                f"  step {point.step:>5}/{now.steps}  training {point.train_loss:.3f}  "
                f"validation {point.validation_loss:.3f}  {skills}{valid}"
            )
        elif now.alarm is not None:
            style = "red" if now.alarm.verdict.status == "fail" else "yellow"
            out.print(Text(f"  ! {now.alarm.verdict.name}: {now.alarm.verdict.reason}", style=style))

    return listen


def trained(out: Console, run: "TrainingRun") -> None:
    """The curves of a run, its alarms, and what to do next."""
    record = run.record
    points = record.get("points") or []
    out.print(Text(f"{run.id}: {run.status}, {record.get('seconds', 0) / 60:.1f} min", style="bold"))
    for line in curves(
        [point["step"] for point in points],
        {
            "validation": [point["validation_loss"] for point in points],
            "training": [point["train_loss"] for point in points],
        },
    ):
        out.print(Text(line))
    for alarm in record.get("alarms") or []:
        verdict = alarm["verdict"]
        out.print(Text(f"  ! step {alarm['step']}, {verdict['name']}: {verdict['reason']}", style="yellow"))
    if record.get("best") is not None:
        out.print(f"  kept: the adapter of step {record['best']}")
    step = "resume" if run.status == "training" else "bench" if run.status == "trained" else "diagnose"
    out.print(Text(f"  next: firstfault finetune {step} {run.id}", style="cyan"))


def curves(
    steps: Sequence[int], series: Mapping[str, Sequence[float]], *, height: int = 10, width: int = 60
) -> list[str]:
    """Losses over steps as text: a letter a series, `*` where two meet. Nothing for fewer than two points."""
    values = [value for one in series.values() for value in one if value < 1e9]
    if len(steps) < 2 or not values:
        return []
    low, high = min(values), max(values)
    grid = [[" "] * width for _ in range(height)]
    for name, points in series.items():
        for step, value in zip(steps, points, strict=True):
            column = round((step - steps[0]) / (steps[-1] - steps[0]) * (width - 1))
            row = round((high - min(value, high)) / ((high - low) or 1) * (height - 1))
            grid[row][column] = name[0] if grid[row][column] == " " else "*"
    lines = []
    for number, cells in enumerate(grid):
        mark = high - (high - low) * number / (height - 1)
        lines.append(f"  {mark:7.3f} │{''.join(cells)}")
    lines.append(f"  {'':7} └{'─' * width} step {steps[-1]}")
    lines.append(f"  {'':9}{', '.join(f'{name[0]} = {name} loss' for name in series)}")
    return lines


def measured(out: Console, run: "TrainingRun") -> None:
    """The benchmark table: without the adapter, with it, and the interval of the difference."""
    bench = run.record["bench"]
    out.print(Text(f"{'':<16}{'base':>9}{'adapter':>9}   difference (95 %)            p    n", style="bold"))
    for one in (*bench["task"], *bench["axes"]):
        interval = "" if one["ci_low"] is None else f"[{one['ci_low']:+.3f}, {one['ci_high']:+.3f}]"
        out.print(
            f"  {one['name']:<14}{one['before']:>9.3f}{one['after']:>9.3f}   "
            f"{one['delta']:+.3f} {interval:<19}{one['p_value']:>8.4f}{one['n']:>5}",
            highlight=False,
        )
    out.print(f"  {100 * bench['changed']:.0f} % of the held-out outputs differ from the base model's")
    out.print(Text(f"  next: firstfault finetune gate {run.id}", style="cyan"))


def diagnosis(out: Console, made: "RunDiagnosis", tried: "Sequence[Intervention]") -> None:
    """The first fault with its evidence and remedy, then what else was seen."""
    if made.healthy:
        out.print(Text(f"{made.run_id}: every gate passed", style="green"))
        return
    if made.primary is None:
        out.print(Text(f"{made.run_id}: unknown. {plain(made.unknown)}", style="yellow"))
        return
    for number, fault in enumerate(made.findings):
        sure = "seen" if fault.verified else "likely"
        style = "bold red" if number == 0 else "yellow"
        title = "first fault" if number == 0 else "then"
        out.print(Text(f"{title}: {fault.stage} · {fault.cause} ({sure})", style=style))
        out.print(Text(f"  {plain(fault.evidence)}"))
        out.print(Text(f"  fix: {fault.remedy.summary}", style="cyan"))
        if fault.remedy.command:
            out.print(Text(f"       {fault.remedy.command}", style="cyan"))
    for one in tried:
        word = "confirmed" if one.confirmed else "not confirmed"
        out.print(
            f"  {word} in {one.steps} steps: {one.symptom} {one.without:.3f} as it was, "
            f"{one.with_patch:.3f} with the fix"
        )
