"""How drills look in a terminal: the library, each outcome as it comes, the confusion matrix, readiness."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from firstfault.cli.render import console
from firstfault.drill.fault import Fault
from firstfault.drill.outcome import Outcome
from firstfault.drill.report import Readiness, Summary, columns_of, harmless, rates_of

if TYPE_CHECKING:
    from firstfault.drill.tuning import TuningFault


def library(faults: "Sequence[Fault | TuningFault]", how: str) -> None:
    """The faults with what they stand for, and how they are run."""
    out = console()
    for stage, group in groupby(faults, key=lambda fault: fault.stage):
        out.print(Text(str(stage), style="bold"))
        for fault in group:
            line = Text(f"  {fault.name:<28} {fault.cause}")
            line.append("   blind set" if fault.set == "blind" else "", style="magenta")
            out.print(line)
            out.print(Text(f"      {fault.summary}", style="dim"), soft_wrap=True)
            out.print(Text(f"      severity {fault.severity:g}: {fault.dial}", style="dim"), soft_wrap=True)
    out.print(f"\n{len(faults)} faults. {how}")


@contextmanager
def progress() -> Iterator[Callable[[Outcome, int], None]]:
    """A line for each outcome as it comes, on stderr."""
    out = console(stderr=True)
    seen = 0

    def show(outcome: Outcome, total: int) -> None:
        nonlocal seen
        seen += 1
        seconds = outcome.seconds_evaluate + outcome.seconds_diagnose
        line = Text(f"{seen:>3}/{total}  ")
        line.append_text(_mark(outcome))
        line.append(f" {_broken(outcome)} → {outcome.skipped or outcome.found}", style="")
        line.append(f"   {seconds:.1f} s", style="dim")
        line.append(f"   fix: {outcome.repair}" if outcome.repair else "", style="dim")
        out.print(line)

    yield show


def summary(outcomes: Sequence[Outcome], found: Summary, ready: Sequence[Readiness]) -> None:
    """Rates, confusion matrix, what was missed, and the readiness report where there is one."""
    out = console()
    for name, rate in rates_of(found):
        out.print(Text(f"{name:<36} {rate}"))
    seconds = found.seconds["to_diagnosis"]
    if seconds is not None:
        out.print(Text(f"{'median time to the diagnosis':<36} {seconds:.1f} s", style="dim"))
    if len(outcomes) > 1 and found.confusion:
        out.print()
        _confusion(out, found.confusion)
    if found.blind_spots:
        out.print(Text("\nMissed or taken for something else", style="bold"))
        for one in found.blind_spots:
            out.print(Text(f"  {one.faults[0]}: {one.expected[0]}, named {one.found}"), soft_wrap=True)
            if one.evidence:
                out.print(Text(f"      {one.evidence}", style="dim"), soft_wrap=True)
    if found.harmless:
        out.print(
            Text("\nWithout effect on these cases: " + ", ".join(found.harmless), style="dim"), soft_wrap=True
        )
    for one in found.skipped:
        out.print(Text(f"Skipped {' + '.join(one.faults)}: {one.skipped}", style="yellow"), soft_wrap=True)
    if ready:
        out.print()
        readiness(out, ready)


def readiness(out: Console, ready: Sequence[Readiness]) -> None:
    """Which failures would be caught, which would pass unseen, and what to add."""
    caught = sum(one.caught for one in ready)
    limits = sum(bool(one.by) for one in ready)
    out.print(
        Text(
            f"Readiness: {caught} of {len(ready)} failures would be named, {limits} break a limit",
            style="bold",
        )
    )
    table = _table("failure", "caught", "limits that break", "what to add")
    for one in sorted(ready, key=lambda one: one.caught):
        table.add_row(
            Text(f"{one.fault}\n{one.summary}"),
            Text("yes", style="green") if one.caught else Text("NO", style="bold red"),
            Text("\n".join(one.by) or "–"),
            Text(one.advice or "–"),
        )
    out.print(table)


def _confusion(out: Console, matrix: Mapping[str, Mapping[str, int]]) -> None:
    columns = columns_of(matrix)
    table = _table("broken ↓  named →", *columns)
    for row, found in matrix.items():
        cells = [
            Text(
                str(found.get(one, "")) or "·",
                style="green" if one == row else "red" if found.get(one) else "dim",
            )
            for one in columns
        ]
        table.add_row(Text(row, style="bold"), *cells)
    out.print(table)


def _broken(outcome: Outcome) -> str:
    if not outcome.faults:
        return f"nothing ({outcome.scene})"
    return " + ".join(outcome.faults) + f" at {outcome.severity:g}"


def _mark(outcome: Outcome) -> Text:
    if outcome.skipped:
        return Text("–", style="yellow")
    if outcome.cause_named:
        return Text("✓", style="green")
    if outcome.expected and harmless(outcome):
        return Text("·", style="dim")
    return Text("~", style="yellow") if outcome.stage_named else Text("✗", style="red")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
