"""How fine-tuning looks in a terminal: findings with their rows, recipes, curves, gates, diagnoses."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from firstfault.cli.render import plain, verdicts

if TYPE_CHECKING:
    from firstfault.finetune.diagnose import RunDiagnosis
    from firstfault.finetune.doctor import Examination
    from firstfault.finetune.guards import Point
    from firstfault.finetune.runs import TrainingRun
    from firstfault.finetune.train import Estimate, Plan, Progress, Share
    from firstfault.finetune.trials import Intervention

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


def plan(out: Console, made: "Plan", estimate: "Estimate") -> None:
    """What it will cost, what will be trained on what, every value with its origin."""
    what = "every weight of" if made.recipe.method == "full" else "a LoRA adapter for"
    out.print(Text(f"{what} {made.base.name}", style="bold"))
    steps = f"{estimate.steps:,} steps of {estimate.seconds_a_step:.2g} s, and measurements between them"
    several = len(estimate.processes) > 1
    memory = f"about {size(estimate.memory_bytes)} of memory{' each' if several else ''}"
    where = f"{len(estimate.processes)} processes" if several else estimate.device
    out.print(f"  about {duration(estimate.seconds)} on {where}: {steps}; {memory}")
    if several:
        processes(out, estimate.processes, made.recipe.batch_size)
    dropped = f", {made.dropped:,} dropped for nothing to learn" if made.dropped else ""
    held, replayed = len(made.validation), len(made.replay)
    out.print(f"  {len(made.training):,} examples, {held:,} held out, {replayed:,} for replay{dropped}")
    settings(out, made.recipe.document()["settings"])


def processes(out: Console, shares: "Sequence[Share]", batch: int) -> None:
    """Who computes what where. They were started, and took a step together, before this is printed."""
    out.print("  checked: all started, a sum of all was right, and they took one step together")
    for one in shares:
        of = "" if one.device_bytes is None else f" of {size(one.device_bytes)}"
        where = f"{one.device}, {one.threads} thread{'' if one.threads == 1 else 's'}"
        what = f"{one.rows} of {batch} rows a batch, about {size(one.memory_bytes)}{of}"
        out.print(f"    rank {one.rank}: {where}: {what}{'; measures and saves' if one.rank == 0 else ''}")


def duration(seconds: float) -> str:
    """Seconds below two minutes, then minutes, then hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def size(number: int) -> str:
    """Bytes as MB or GB."""
    return f"{number / 2**20:,.0f} MB" if number < 2**30 else f"{number / 2**30:,.1f} GB"


def settings(out: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """The values of a recipe, each with its origin and reason."""
    for one in found:
        line = Text.assemble((f"  {one['name']:<14}", "cyan"), (f"{one['value']!s:<10}", "bold"))
        line.append(f"{one['origin']}: " if one["origin"] != "chosen" else "", style="yellow")
        line.append(plain(str(one["reason"])), style="dim")
        out.print(line)


@contextmanager
def listener(
    out: Console, points: Sequence[Mapping[str, Any]] = ()
) -> "Iterator[Callable[[Progress], None]]":
    """Prints each measurement and alarm as it comes; in a terminal with bar and curves below them.

    `points` are those from before an interruption.
    """
    from rich import progress as bars
    from rich.console import Group
    from rich.live import Live

    seen = list(points)
    bar = bars.Progress(
        bars.TextColumn("  step {task.completed}/{task.total}, loss {task.fields[loss]}"),
        bars.BarColumn(),
        bars.TimeRemainingColumn(elapsed_when_finished=True),
        console=out,
    )
    task = bar.add_task("training", total=None, loss="–")

    with Live(console=out, transient=True, refresh_per_second=4) as live:

        def listen(now: "Progress") -> None:
            if now.point is not None:
                seen.append({"step": now.point.step, **_losses(now.point)})
                out.print(f"  {_point(now)}", highlight=False)
            elif now.alarm is not None:
                style = "red" if now.alarm.verdict.status == "fail" else "yellow"
                out.print(Text(f"  ! {now.alarm.verdict.name}: {now.alarm.verdict.reason}", style=style))
            if now.loss is not None:
                bar.update(task, loss=f"{now.loss:.3f}")
            bar.update(task, completed=now.step, total=now.steps)
            live.update(Group(*(Text(line) for line in drawn(seen)), bar))

        yield listen


def _losses(point: "Point") -> dict[str, float]:
    return {"validation_loss": point.validation_loss, "train_loss": point.train_loss}


def _point(now: "Progress") -> str:
    assert now.point is not None
    point = now.point
    skills = "".join(f"  {axis} {value:.2f}" for axis, value in point.abilities.items())
    valid = "" if point.valid_share is None else f"  valid {100 * point.valid_share:.0f} %"
    losses = f"training {point.train_loss:.3f}  validation {point.validation_loss:.3f}"
    return f"step {point.step:>5}/{now.steps}  {losses}{skills}{valid}"


def trained(out: Console, run: "TrainingRun") -> None:
    """The curves of a run, its alarms, and what to do next."""
    record = run.record
    out.print(Text(f"{run.id}: {run.status}, {duration(record.get('seconds', 0))}", style="bold"))
    for line in drawn(record.get("points") or []):
        out.print(Text(line))
    for alarm in record.get("alarms") or []:
        verdict = alarm["verdict"]
        out.print(Text(f"  ! step {alarm['step']}, {verdict['name']}: {verdict['reason']}", style="yellow"))
    what = "weights" if record["recipe"].get("method") == "full" else "adapter"
    if record.get("best") is not None:
        out.print(f"  kept: the {what} of step {record['best']}, where validation loss was lowest")
    elif run.status != "training":
        out.print(
            Text(f"  nothing beat the base model: the {what} of the last step can be looked at", style="red")
        )
    step = "resume" if run.status == "training" else "bench" if run.status == "trained" else "diagnose"
    out.print(Text(f"  next: firstfault finetune {step} {run.id}", style="cyan"))


def drawn(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """The curves of recorded measurements."""
    return curves(
        [point["step"] for point in points],
        {
            "validation": [point["validation_loss"] for point in points],
            "training": [point["train_loss"] for point in points],
        },
    )


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
    widest = max(14, *(len(one["name"]) for one in (*bench["task"], *bench["axes"])))
    head = f"{'base':>9}{'tuned':>9}   difference (95 %)            p    n"
    out.print(Text(f"{'':<{widest + 2}}{head}", style="bold"))
    for one in (*bench["task"], *bench["axes"]):
        interval = "" if one["ci_low"] is None else f"[{one['ci_low']:+.3f}, {one['ci_high']:+.3f}]"
        out.print(
            f"  {one['name']:<{widest}}{one['before']:>9.3f}{one['after']:>9.3f}   "
            f"{one['delta']:+.3f} {interval:<19}{one['p_value']:>8.4f}{one['n']:>5}",
            highlight=False,
        )
    out.print(f"  {100 * bench['changed']:.0f} % of the held-out outputs differ from the base model's")
    if not bench.get("served", True):
        out.print("  measured on the weights: there is no GGUF file that the embedded runtime could serve")
    if bench.get("lm_eval"):
        out.print(f"  lm-eval {bench['lm_eval']['version']}, every sample: {run.folder / 'lm-eval'}")
    out.print(Text(f"  next: firstfault finetune gate {run.id}", style="cyan"))


def diagnosis(
    out: Console, made: "RunDiagnosis", tried: "Sequence[Intervention]", *, wanted: bool = False
) -> None:
    """The first fault with its evidence and remedy, then what else was seen.

    `wanted`: a trial was asked for.
    """
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
        rows = f", {one.dropped:,} rows left out or mended" if one.dropped else ""
        word = "confirmed" if one.confirmed else "not confirmed"
        out.print(f"trial of {one.cause}: {word} in {one.steps} steps{rows}")
        out.print(f"  {one.symptom} {one.without:.3f} as it was, {one.with_patch:.3f} with the fix")
    if wanted and not tried:
        out.print(f"no trial: a short training cannot show what would mend {made.primary.cause}")
