"""A diagnosis in the terminal: the decision tree with its numbers, the fault, the evidence, what to run."""

from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from firstfault.cli.render import console
from firstfault.types import Diagnosis, Finding, Node, Timing

MOST_CASES = 6


def diagnosis(found: Diagnosis) -> None:
    """Print it: the verdict first, then how it is known."""
    out = console()
    out.print(_verdict(found))
    out.print(f"[dim]{found.scope}: {found.failing:,} of {found.cases:,} requests failed in some way[/]")
    out.print()
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for node in found.path:
        table.add_row(*_node(node, found))
    out.print(table)
    for number, finding in enumerate(found.findings, start=1):
        out.print()
        for line in _finding(number, finding):
            if line.lstrip().startswith("command:"):  # stays one line, to be copied
                out.print(line, soft_wrap=True)
                continue
            indent = len(line) - len(line.lstrip())
            out.print(Padding(Text.from_markup(line.lstrip()), (0, 0, 0, indent), expand=False))
    if found.scattered:
        out.print("\n[dim]within what the playbook tolerates:[/]")
        for finding in found.scattered:
            what = f"{finding.stage}/{finding.cause} in {finding.share:.1%}"
            out.print(f"[dim]  {what}, e.g. trace {finding.example}[/]", soft_wrap=True)
    if found.flaky:
        out.print(
            f"\n[yellow]flaky[/] {len(found.flaky):,} answered otherwise when asked again: "
            f"{_some(found.flaky)}",
            soft_wrap=True,
        )
    for one in found.unknown[:MOST_CASES]:
        out.print(
            f"\n[yellow]unknown[/] {escape(one.case_id)}: {escape(one.reason)}\n"
            f"  next: {escape(one.next_probe)}",
            soft_wrap=True,
        )
    slow = [timing for timing in found.latency if timing.over or timing.baseline_ms is not None]
    if slow:
        out.print("\n[bold]latency[/]  component      p50      p95      p99   budget  over")
        for timing in slow:
            out.print(_timing(timing))
    if found.model_calls:
        out.print(f"\n[dim]the probes asked the generator {found.model_calls:,} times[/]")
    out.print(f"\n[bold]next[/]  {escape(found.next_command)}", soft_wrap=True)


def _verdict(found: Diagnosis) -> str:
    if found.primary is not None:
        one = found.primary
        return (
            f"[bold red]first fault[/]  [bold]{one.stage} / {one.cause}[/]  in {one.share:.0%} of the "
            f"requests (95 %: {one.ci_low:.0%} to {one.ci_high:.0%})"
        )
    return "[bold green]healthy[/]  no stage broke" if found.healthy else "[bold yellow]undecided[/]"


def _node(node: Node, found: Diagnosis) -> tuple[str, str, str]:
    guilty = found.primary is not None and found.primary.stage == node.stage
    also = any(finding.stage == node.stage for finding in found.findings)
    mark, style = ("▶", "bold red") if guilty else ("•", "yellow") if also else ("✓", "green")
    if node.examined == 0:
        mark, style = "–", "dim"
    return f"[{style}]{mark} {node.stage}[/]", escape(node.question), escape(node.measured)


def _finding(number: int, finding: Finding) -> list[str]:
    proof = (
        f"verified in {finding.verified:,} of {len(finding.cases):,} by intervention"
        if finding.verified
        else "a hypothesis: no intervention recovered a case"
    )
    lines = [
        f"[bold]{number}. {finding.stage} / {finding.cause}[/]  {finding.share:.0%}, {proof}",
        f"   {escape(finding.evidence)}",
        f"   [dim]cases {escape(_some(finding.cases))}; trace {finding.example}[/]",
        f"   remedy: {escape(finding.remedy.summary)}",
    ]
    if finding.remedy.patch:
        settings = ", ".join(f"{name} = {value}" for name, value in finding.remedy.patch.items())
        lines.append(f"   settings: {escape(settings)}")
    elif finding.remedy.command:
        lines.append(f"   command: {escape(finding.remedy.command)}")
    return lines


def _timing(timing: Timing) -> str:
    budget = f"{timing.budget_ms:,.0f}" if timing.budget_ms is not None else "–"
    usual = f"   usually {timing.baseline_ms:,.0f}" if timing.baseline_ms is not None else ""
    return (
        f"         {timing.component:<12}{timing.p50_ms:>8,.0f} {timing.p95_ms:>8,.0f} "
        f"{timing.p99_ms:>8,.0f} {budget:>8} {timing.over:>5}{usual}"
    )


def _some(cases: tuple[str, ...]) -> str:
    more = len(cases) - MOST_CASES
    return ", ".join(cases[:MOST_CASES]) + (f" and {more:,} more" if more > 0 else "")
