"""A bake-off in the terminal: what is recommended, how that is known, then the numbers."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from firstfault.advise import telling
from firstfault.advise.bakeoff import Planned
from firstfault.advise.scorecard import PER, Scorecard
from firstfault.cli.render import console
from firstfault.evaluate.metrics import UNDIRECTED

VERDICT_STYLE = {"better": "green", "worse": "red"}


def plan(planned: Sequence[Planned], currency: str) -> None:
    """What it will ask for, on stderr, before it does."""
    out = Console(stderr=True)
    for one in planned:
        where = one.endpoint or "here"
        price = f", up to {one.money:,.4g} {currency}" if one.money is not None else ""
        tokens = f"{one.prompt_tokens:,} tokens in and {one.completion_tokens:,} out"
        line = f"  {one.arm}: {one.answers:,} answers and up to {one.probes:,} probes, {where}"
        out.print(f"{escape(line)}[dim]; up to {tokens}{price}[/]", soft_wrap=True)


def scorecard(card: Scorecard) -> None:
    """Print it."""
    out = console()
    style = "bold green" if card.conclusion.recommended else "bold yellow"
    out.print(f"[{style}]{escape(telling.headline(card))}[/]", soft_wrap=True)
    then = telling.until_then(card)
    for line in (card.conclusion.summary, *telling.established(card), *([then] if then else [])):
        out.print(escape(line), soft_wrap=True)
    for line in telling.duels(card):
        out.print(f"  [dim]{escape(line)}[/]", soft_wrap=True)
    for line in telling.caveats(card):
        out.print(f"  [yellow]{escape(line)}[/]", soft_wrap=True)
    _scores(out, card)
    out.print("\n[bold]first faults[/]")
    for arm in card.arms:
        out.print(f"  {arm.name}: {escape('; '.join(telling.faults(arm)))}", soft_wrap=True)
    for arm in card.arms:
        if arm.adapter is not None:
            out.print(f"  [dim]{arm.name}, abilities: {escape(telling.abilities(arm))}[/]", soft_wrap=True)
    for name, differences in card.differences.items():
        told = [one for one in differences if one.verdict not in ("same",) and one.name not in UNDIRECTED]
        out.print(f"\n[bold]{escape(name)} against {escape(card.against)}[/]")
        for one in told:
            mark = VERDICT_STYLE.get(one.verdict, "dim")
            out.print(f"  [{mark}]{one.verdict}[/]  {escape(telling.difference(one))}", soft_wrap=True)
        if not told:
            out.print("  [dim]nothing that chance would not explain[/]")
    runs = ", ".join(f"{arm.name} {arm.run_id}{' (as it was)' if arm.reused else ''}" for arm in card.arms)
    out.print(f"\n[dim]runs: {escape(runs)}[/]", soft_wrap=True)


def _scores(out: Console, card: Scorecard) -> None:
    rows = [["", *(arm.name for arm in card.arms)]]
    for name, label in telling.ROWS:
        row = telling.cells(name, card.arms)
        if row is not None:
            rows.append([label, *row])
    rows.append([f"tokens for {PER:,}", *(telling.tokens(arm) for arm in card.arms)])
    rows.append([f"money for {PER:,}", *(telling.money(arm, card.currency) for arm in card.arms)])
    rows.append(["Pareto front", *("yes" if arm.on_front else "no" for arm in card.arms)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    out.print(f"\n[bold]{card.total:,} cases[/]")
    for position, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        out.print(f"  [bold]{escape(line)}[/]" if position == 0 else f"  {escape(line)}", soft_wrap=True)
    for line in telling.missing(card):
        out.print(f"  [dim]{escape(line)}[/]", soft_wrap=True)
    for reason in sorted({arm.money_reason for arm in card.arms} - {""}):
        out.print(f"  [dim]no cost: {escape(reason)}[/]", soft_wrap=True)
