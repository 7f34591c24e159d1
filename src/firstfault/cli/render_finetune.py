"""How fine-tuning looks in a terminal: findings with their rows, recipes, curves, gates, diagnoses."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from firstfault.cli.render import plain, verdicts

if TYPE_CHECKING:
    from firstfault.finetune.doctor import Examination

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
