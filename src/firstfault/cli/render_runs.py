"""How evaluation runs and their differences look in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from firstfault.cli.render import STATUS_STYLE, console
from firstfault.evaluate.compare import Difference
from firstfault.evaluate.gate import Gate
from firstfault.evaluate.metrics import NAMES
from firstfault.types import CaseResult, Metric, Run

SHOWN_CASES = 10
SUMMARY = ("context_recall", "faithfulness", "answer_correctness")
"""What a run is summed up by in a list."""

VERDICT_STYLE = {"better": "green", "worse": "red", "changed": "yellow"}


def run(
    found: Run, results: Sequence[CaseResult], gate: Gate, differences: Sequence[Difference], *, gated: bool
) -> None:
    """The metrics of a run, where its evidence was lost, and the gate."""
    out = console()
    state = f"{found.total} cases" if found.finished else f"{len(results)} of {found.total} cases so far"
    what = "with answers" if found.generation else "without generation"
    out.print(Text.assemble((found.id, "bold"), f"  {found.cases}, {state}, {what}"))
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for column in ("", "metric", "value", "95 % interval", "n", ""):
        table.add_column(
            column, justify="right" if column in ("value", "n") else "left", no_wrap=bool(column)
        )
    absent: dict[str, list[str]] = {}
    for name, metric in found.metrics.items():
        if metric.value is None:
            absent.setdefault(metric.reason, []).append(name)
        elif name in NAMES or name == "error_rate" or metric.limit is not None:
            table.add_row(*_metric(name, metric, metric.value))
    out.print(table)
    for reason, missing in absent.items():
        out.print(Text(f"  not measured: {', '.join(missing)} ({reason})", style="dim"))
    _latencies(found)
    _losses(out, results)
    if differences:
        _differences(differences)
    if gated:
        told = [*gate.failing, *(f"{name} (worse than the baseline)" for name in gate.regressed)]
        if gate.passed:
            out.print(Text("  gate passed", style="green"))
        else:
            out.print(Text(f"  gate failed: {', '.join(told) or 'no limit could be checked'}", style="red"))
        if gate.unmeasured:
            names = ", ".join(gate.unmeasured)
            out.print(Text(f"  limits that could not be checked: {names}", style="yellow"))


def _losses(out: Console, results: Sequence[CaseResult]) -> None:
    """Where gold evidence was lost, and what failed."""
    lost = [(result, state) for result in results for state in result.evidence if state != "found"]
    for state in ("missing_document", "missing_quote", "not_in_context"):
        cases = [result.case_id for result, seen in lost if seen == state]
        if cases:
            shown = ", ".join(cases[:3]) + (" …" if len(cases) > 3 else "")
            out.print(
                Text(f"  {len(cases)} units of evidence: {state.replace('_', ' ')} ({shown})", style="dim")
            )
    for result in [one for one in results if one.error is not None][:SHOWN_CASES]:
        out.print(Text(f"  ✗ {result.case_id}: {result.error}", style="red"))


def _metric(name: str, metric: Metric, value: float) -> tuple[Text | str, ...]:
    limited = metric.limit is not None
    mark, style = STATUS_STYLE[metric.status] if limited else (" ", "")
    interval = _interval(metric.ci_low, metric.ci_high)
    reason = Text(metric.reason if limited else "", style="dim")
    return Text(mark, style=style), name, Text(_number(value), style=style), interval, str(metric.n), reason


def _latencies(found: Run) -> None:
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for column in ("latency, ms", "p50", "p95", "p99"):
        table.add_column(column, justify="left" if column.startswith("latency") else "right", no_wrap=True)
    rows: dict[str, list[str]] = {}
    for name, metric in found.metrics.items():
        if name.startswith("latency_") and metric.value is not None:
            rows.setdefault(name.removeprefix("latency_").rsplit("_", 2)[0], []).append(
                f"{metric.value:,.1f}"
            )
    for timing, values in rows.items():
        table.add_row(timing, *values)
    if rows:
        console().print(table)


def runs(found: Sequence[Run]) -> None:
    """One line a run, newest first."""
    out = console()
    if not found:
        out.print("No runs yet. Make one: firstfault eval CASES")
        return
    rows = []
    for one in found:
        values = [one.metrics[name].value if name in one.metrics else None for name in SUMMARY]
        count = f"{one.total:,}" if one.finished else f"{one.total:,}, unfinished"
        numbers = ["–" if value is None else _number(value) for value in values]
        rows.append([one.id, count, *numbers, one.cases])
    _lines(out, ["run", "cases", "recall", "faithful", "correct", "from"], rows, styles=[""] * len(rows))


def comparison(before: Run, after: Run, differences: Sequence[Difference]) -> None:
    """What changed in the settings, the paired differences, and the cases that flipped."""
    out = console()
    out.print(Text(f"{before.id} → {after.id}", style="bold"))
    for section, table in after.settings.items():
        for key, value in table.items():
            old = before.settings.get(section, {}).get(key)
            if old != value:
                out.print(Text(f"  {section}.{key}: {old} → {value}", style="cyan"))
    if before.corpus_version != after.corpus_version:
        out.print(Text(f"  corpus version: {before.corpus_version} → {after.corpus_version}", style="cyan"))
    _differences(differences)
    for one in differences:
        for flip in one.flips[:SHOWN_CASES]:
            style = "green" if flip.better else "red"
            numbers = f"{_number(flip.before)} → {_number(flip.after)}"
            line = Text(f"  {one.name} {numbers}  {flip.case_id}  {flip.question}", style=style)
            out.print(line, soft_wrap=True)
        if len(one.flips) > SHOWN_CASES:
            out.print(Text(f"  … and {len(one.flips) - SHOWN_CASES} more; --json has them all", style="dim"))


def _differences(differences: Sequence[Difference]) -> None:
    rows = []
    for one in differences:
        better = sum(flip.better for flip in one.flips)
        rows.append(
            [
                one.name,
                _number(one.before),
                _number(one.after),
                f"{one.delta:+.3f}",
                _interval(one.ci_low, one.ci_high),
                f"{one.p_value:.3f}",
                str(one.n),
                f"+{better} −{len(one.flips) - better}" if one.flips else "",
                one.verdict,
            ]
        )
    header = ["metric", "before", "after", "change", "95 % interval", "p", "n", "flips", ""]
    _lines(console(), header, rows, styles=[VERDICT_STYLE.get(one.verdict, "dim") for one in differences])


def _lines(
    out: Console, header: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Sequence[str]
) -> None:
    """Rows in columns as wide as they need: a narrow terminal breaks lines, it never loses a number.

    The last column of each row has its style.
    """
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row, style in zip((header, *rows), ("bold", *styles), strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = Text("  ".join(cells[:-1]) + "  ", style="bold" if row is header else "")
        out.print(line.append(row[-1], style=style), soft_wrap=True)


def _interval(low: float | None, high: float | None) -> str:
    return f"{'…' if low is None else _number(low)} – {'…' if high is None else _number(high)}"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
