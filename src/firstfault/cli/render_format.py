"""How structured answers and format statistics look in a terminal."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from firstfault.cli.render import STATUS_STYLE, citation, plain
from firstfault.types import Answer, Claim, FormatAttempt, Formatted

MOST_SHOWN = 5
"""Problems of an attempt that are shown."""


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
