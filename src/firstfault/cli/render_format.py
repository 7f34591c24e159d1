"""How structured answers and format statistics look in a terminal."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from firstfault.cli.render import STATUS_STYLE, citation, plain, verdicts
from firstfault.types import Answer, Claim, FormatAttempt, Formatted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstfault.structured.drift import Alarm, Drift
    from firstfault.structured.examples import Coverage

MOST_SHOWN = 5
"""Problems of an attempt, or rules of a group, that are shown."""

MOST_MISSING = 25
"""Edge cases without an example that are shown."""


def formatted(out: Console, made: Formatted, answer: Answer) -> None:
    """The value, what was found about each field, and what it took to get it."""
    out.print(Text(plain(answer.text), style="" if made.valid else "red"), soft_wrap=True)
    if answer.claims:
        out.print()
    for claim in answer.claims:
        out.print(Padding(_field(claim), (0, 2)))
    for one in answer.citations:
        citation(out, one)
    for claim in answer.removed:
        line = Text.assemble(("✗ ", "red"), (f"{claim.path} ", "bold"), (plain(claim.text), "strike dim"))
        out.print(Padding(line, (0, 2)))
    if not made.valid or not made.first_try:
        out.print()
        for attempt in made.attempts:
            _attempt(out, attempt)


def _field(claim: Claim) -> Text:
    mark, style = STATUS_STYLE[claim.verdict.status]
    line = Text.assemble((f"{mark} ", style), (f"{claim.path} ", "bold"), plain(claim.text))
    line.append("".join(f" [{number}]" for number in claim.citations), style="bold cyan")
    line.append(f"  {claim.verdict.label}", style=f"dim {style}")
    if claim.verdict.status != "ok":
        line.append(f": {plain(claim.verdict.reason)}", style=f"dim {style}")
    return line


def _attempt(out: Console, attempt: FormatAttempt) -> None:
    mark, style = STATUS_STYLE["ok" if not attempt.problems else "fail"]
    cost = f"{attempt.duration_ms:,.0f} ms"
    if attempt.completion_tokens:
        cost += f", {attempt.completion_tokens} tokens"
    out.print(Text.assemble("  ", (f"{mark} {attempt.kind:<10}", style), (cost, "dim")))
    for problem in attempt.problems[:MOST_SHOWN]:
        place = problem.path or "the whole output"
        out.print(Padding(Text(f"{place}: {plain(problem.message)} ({problem.rule})", style="dim"), (0, 6)))


def drifts(out: Console, found: "Sequence[Drift]") -> None:
    """One block a group: rates with their intervals, what breaks, and the alarms."""
    if not found:
        out.print("No structured answers in these traces. Ask with --schema FILE.")
        return
    for one in found:
        group = one.group
        adapter = f", adapter {group.adapter}" if group.adapter else ""
        out.print(Text(f"schema {plain(group.schema)}, {plain(group.model)}{adapter}", style="bold"))
        out.print(f"  {one.n:,} answers, {one.extra_calls:.3f} extra calls and {one.extra_ms:,.0f} ms each")
        rates = (("first try", one.first_try), ("after repair", one.after_repair), ("in the end", one.final))
        for name, rate in rates:
            interval = f"{100 * (rate.low or 0):.1f}–{100 * (rate.high or 1):.1f}"
            out.print(
                Text.assemble(
                    (f"  {name:<13}", "cyan"), f"{100 * rate.value:6.2f} % valid ", (interval, "dim")
                )
            )
        for rule, count in list(one.rules.items())[:MOST_SHOWN]:
            out.print(Text(f"    {count:>6,} × {plain(rule)}", style="dim"))
        for cause, count in one.causes.items():
            out.print(Text(f"    {count:>6,} failed: {cause}", style="red"))
        for alarm in one.alarms:
            _alarm(out, alarm)


def _alarm(out: Console, alarm: "Alarm") -> None:
    name = {"first_try": "first try", "final": "in the end"}[alarm.series]
    held = f"against {100 * alarm.reference:.2f} %"
    if not alarm.raised:
        out.print(
            Text(
                f"  ✓ {name}: no alarm {held}, {100 * alarm.level:.0f} % of the way to one",
                style="green",
            )
        )
        return
    out.print(
        Text(
            f"  ✗ {name}: drifted {held}; alarm at response {alarm.at_response}, trace {alarm.trace_id}; "
            f"it began about trace {alarm.began}",
            style="red",
        )
    )
    remedy = "count the format examples (`firstfault format check`), then repair, then format.constrain"
    out.print(Text(f"      fix: {remedy}", style="cyan"))


def coverage(out: Console, made: "Coverage") -> None:
    """The verdicts, the first broken examples, and what is never shown."""
    verdicts(out, made.verdicts)
    for line in made.broken:
        out.print(Text(f"  ✗ {plain(line)}", style="red"))
    if made.mendable:
        out.print(
            Text(f"  ~ {made.mendable:,} of them are plainly meant; repair would mend them", style="yellow")
        )
    if not made.missing:
        return
    proposed = {one.case for one in made.candidates}
    out.print("\n  never shown:")
    for case in made.missing[:MOST_MISSING]:
        mark = "" if case in proposed else "  (no candidate)"
        out.print(Text(f"    {case.path or 'the whole'}: {plain(case.kind)}{mark}"))
    if len(made.missing) > MOST_MISSING:
        out.print(
            Text(f"    … and {len(made.missing) - MOST_MISSING} more; --json has them all", style="dim")
        )
    out.print(Text("  --out FILE writes the candidates", style="dim"))
