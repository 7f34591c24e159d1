"""How drills of fine-tuning look in a terminal: the library, the forecast, each outcome, the summary."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from firstfault.cli.render import console, plain

if TYPE_CHECKING:
    from firstfault.finetune.drills import Forecast, TuningOutcome


def forecast(made: "Forecast") -> None:
    """What the drills will take, on stderr, before the first one starts."""
    out = console(stderr=True)
    if not made.trainings:
        out.print("nothing to train: every fault is refused before")
        return
    minutes = max(1, round(made.seconds / 60))
    out.print(
        f"about {minutes:,} min for {made.trainings} trainings, guards end some early; "
        "measuring those that are not stopped comes on top. Ctrl-C ends it and leaves nothing behind."
    )


def outcome(made: "TuningOutcome") -> None:
    """A line for a drill that ended, on stderr."""
    from firstfault.finetune.drill_report import ended

    line = _mark(made)
    line.append(f" {made.faults[0] if made.faults else 'nothing'}", style="")
    line.append(f" at {made.severity:g}" if made.severity is not None else "")
    line.append(f": {ended(made)} → {plain(made.skipped) or made.found}")
    line.append(
        f"   {made.seconds / 60:.1f} min" if made.seconds >= 60 else f"   {made.seconds:.1f} s", style="dim"
    )
    console(stderr=True).print(line, soft_wrap=True)


def summary(outcomes: "Sequence[TuningOutcome]") -> None:
    """Rates, what was missed, and whether the training as it is would pass."""
    from firstfault.finetune.drill_report import ended, rates_of

    out = console()
    for name, rate in rates_of(outcomes):
        out.print(Text(f"{name:<36} {rate}"))
    for one in outcomes:
        if one.skipped:
            name = one.faults[0] if one.faults else "the control"
            out.print(Text(f"Skipped {name}: {plain(one.skipped)}", style="yellow"), soft_wrap=True)
        elif not one.faults and one.stopped:
            failed = ", ".join(one.failed)
            out.print(
                Text(
                    f"\nThe training as it is would not be released: {failed}. Named: {one.found}",
                    style="red",
                ),
                soft_wrap=True,
            )
            out.print(Text(f"  {plain(one.evidence)}", style="dim"), soft_wrap=True)
            out.print(
                Text("  Mend that first: it may be named instead of what a drill spoilt.", style="cyan")
            )
        elif one.faults and not (one.cause_named and one.stopped):
            out.print(
                Text(
                    f"\n{one.faults[0]}: {ended(one)}; expected {one.expected[0]}, named {one.found}",
                    style="bold",
                ),
                soft_wrap=True,
            )
            out.print(Text(f"  {plain(one.evidence)}", style="dim"), soft_wrap=True)


def _mark(made: "TuningOutcome") -> Text:
    if made.skipped:
        return Text("–", style="yellow")
    if made.cause_named and (made.stopped or not made.faults):
        return Text("✓", style="green")
    return Text("~", style="yellow") if made.stage_named else Text("✗", style="red")
