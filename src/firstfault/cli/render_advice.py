"""Advice in the terminal: the recommendation first, then why, what would change it, what to run."""

from rich.markup import escape

from firstfault.advise.recommend import Advice, Reason
from firstfault.advise.report import NAMES
from firstfault.cli.render import console

CONFIDENCE_STYLE = {"high": "green", "medium": "yellow", "low": "red"}


def advice(made: Advice) -> None:
    """Print it."""
    out = console()
    out.print(f"[bold green]{NAMES[made.recommendation]}[/]", soft_wrap=True)
    out.print(escape(made.summary))
    style = CONFIDENCE_STYLE[made.confidence]
    out.print(
        f"confidence [{style}]{made.confidence}[/]: {escape(made.why_confidence)}; "
        f"weights: retrieval {made.retrieval:+d}, tuning {made.tuning:+d}"
    )
    out.print("\n[bold]why[/]  [dim](weights: retrieval, tuning)[/]")
    for reason in made.reasons:
        out.print(_reason(reason), soft_wrap=True)
    measured = [fact for fact in made.facts if fact.origin == "measured"]
    if measured:
        out.print("\n[bold]measured[/]")
    for fact in measured:
        said = f" [yellow](said: {escape(fact.overrules)})[/]" if fact.overrules else ""
        out.print(f"  {fact.key} = {fact.value}{said}  [dim]{escape(fact.detail)}[/]", soft_wrap=True)
    if made.unanswered:
        out.print("\n[bold]open[/]  [dim]firstfault advise --questions lists the answers[/]")
    for key in made.unanswered:
        why = f"  [dim]{escape(made.unmeasured[key])}[/]" if key in made.unmeasured else ""
        out.print(f"  {key}{why}", soft_wrap=True)
    if made.changes:
        out.print("\n[bold]what would change it[/]")
    for change in made.changes:
        now = change.now or "open"
        line = f"  {change.key}: {now} → {change.then}: [bold]{NAMES[change.recommendation]}[/]"
        out.print(line, soft_wrap=True)
    if made.risks:
        out.print("\n[bold]watch[/]  [dim]firstfault playbook show CAUSE[/]")
    for risk in made.risks:
        out.print(f"  {escape(risk.text)} [dim]{', '.join(risk.causes)}[/]", soft_wrap=True)
    out.print("\n[bold]run first[/]")
    for command in made.commands:
        out.print(f"  {escape(command)}", soft_wrap=True)


def _reason(reason: Reason) -> str:
    blocks = f" [red]rules out {reason.blocks} for now[/]" if reason.blocks else ""
    because = f" [dim]{escape('; '.join(reason.facts))}[/]" if reason.facts else " [dim]the default[/]"
    return f"  {reason.retrieval:+d} {reason.tuning:+d}  {escape(reason.text)}{blocks}{because}"
