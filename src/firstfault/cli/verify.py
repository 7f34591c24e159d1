"""`verify`: hold a claim against a context and see why; `verify calibrate`: refit to your own labels."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from firstfault.cli.state import Json, print_json, state
from firstfault.errors import InputError

if TYPE_CHECKING:
    from rich.text import Text

    from firstfault.types import Support
    from firstfault.verify.calibration import Quality
    from firstfault.verify.judge import Plan

_STYLES = {"supported": "green", "uncertain": "yellow", "unsupported": "red", "unknown": "magenta"}


class _Default(TyperGroup):
    """A group whose first word may be left out: then it is `check`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["check", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=_Default, no_args_is_help=True, help="Does the context support the claim? Shows the evidence."
)


@app.command()
def check(
    context: typer.Context,
    claim: Annotated[str, typer.Argument(help="The claim; - reads it from standard input.")],
    files: Annotated[
        list[Path] | None, typer.Option("--context", help="A text file to hold it against. Repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With a judge model: show what it would cost, ask nothing.")
    ] = False,
    input_price: Annotated[float | None, typer.Option(help="Judge: price of a million input tokens.")] = None,
    output_price: Annotated[
        float | None, typer.Option(help="Judge: price of a million output tokens.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify a claim sentence by sentence. Exit 1 when it is unsupported, or cannot be judged."""
    from firstfault.verify import open_verifier, split_claims
    from firstfault.verify.judge import JudgeVerifier

    config = state(context).config
    verifier = open_verifier(config.settings.verifier, home=config.home)
    if not files:
        raise InputError("There is no context.", hint="Give one: --context FILE.")
    contexts = [_read(path) for path in files]
    text = sys.stdin.read() if claim == "-" else claim
    if not text.strip():
        raise InputError("The claim is empty.", hint="Give a sentence to verify.")
    spans = split_claims(text)
    pairs = [(contexts, text[start:end]) for start, end in spans] or [(contexts, text)]
    if isinstance(verifier, JudgeVerifier):
        verifier.input_price, verifier.output_price = input_price, output_price
        plan = verifier.plan(pairs)
        typer.echo(_cost(plan), err=True)
        if dry_run:
            if as_json:
                print_json({"plan": asdict(plan), "verifier": verifier.name})
            return
    elif dry_run:
        raise InputError(
            "The local verifier costs nothing: there is nothing to show.",
            hint='Leave --dry-run out, or set verifier.kind to "openai".',
        )
    verdicts = verifier.verify_claims(pairs)
    whole = _weakest(verdicts)
    if as_json:
        names = [str(path) for path in files or ()]
        sentences = [
            {"text": text[a:b], "start": a, "end": b, **_plain(verdict, names)}
            for (a, b), verdict in zip(spans, verdicts, strict=False)
        ]
        print_json({**_plain(whole, names), "sentences": sentences, "verifier": verifier.name})
    else:
        _show(pairs, verdicts, [path.name for path in files or ()])
    if whole.status in ("fail", "unknown"):
        raise typer.Exit(1)


@app.command()
def calibrate(
    context: typer.Context,
    labels: Annotated[Path, typer.Argument(help="JSONL of {context, claim, label}.")],
    out: Annotated[Path | None, typer.Option(help="Where to write it; in the home by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report only, write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Refit the scores to your own labels, and compare before and after."""
    from firstfault.verify.calibration import save
    from firstfault.verify.local import LocalVerifier
    from firstfault.verify.opening import CALIBRATION, open_local
    from firstfault.verify.recalibrate import read_labels, recalibrate

    home = state(context).config.home
    verifier: LocalVerifier = open_local(home)
    found = recalibrate(verifier, read_labels(labels), fitted_on=labels.name)
    target = out or home / CALIBRATION
    if not dry_run:
        save(found.calibration, target)
    if as_json:
        written = None if dry_run else str(target)
        print_json({**asdict(found), "written": written})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("", "before", "after", box=None, header_style="bold")
    for name in ("ece", "brier", "balanced_accuracy", "uncertain"):
        table.add_row(name.replace("_", " "), _number(found.before, name), _number(found.after, name))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{found.after.n} labels, five folds; {found.skipped} could not be judged", style="dim")
    console.print("nothing written" if dry_run else f"written to {target}", style="dim")


def _number(quality: "Quality", name: str) -> str:
    value = getattr(quality, name)
    return "–" if value is None else f"{value:.3f}"


def _read(path: Path) -> str:
    hint = "Give a UTF-8 text file; for other formats run firstfault ingest and ask."
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"{path} cannot be read: {problem}.", hint=hint) from None


def _weakest(verdicts: "list[Support]") -> "Support":
    """The verdict on the whole: the weakest sentence that could be judged."""
    judged = [verdict for verdict in verdicts if verdict.score is not None]
    return min(judged, key=lambda v: v.score or 0.0) if judged else verdicts[0]


def _plain(verdict: "Support", names: list[str]) -> dict[str, Any]:
    fields = asdict(verdict)
    if verdict.evidence is not None:
        fields["evidence"]["file"] = names[verdict.evidence.context]
    return fields


def _cost(plan: "Plan") -> str:
    price = "price unknown" if plan.cost is None else f"about {plan.cost:.6f}"
    return (
        f"judge: {plan.calls} of {plan.claims} claims to ask, about {plan.input_tokens} tokens in, "
        f"at most {plan.output_tokens} out, {price}"
    )


def _show(pairs: "list[tuple[list[str], str]]", verdicts: "list[Support]", names: list[str]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    for (_, claim), verdict in zip(pairs, verdicts, strict=True):
        style = _STYLES[verdict.label]
        score = "" if verdict.score is None else f" {verdict.score:.2f}"
        console.print(
            Text.assemble((f"{verdict.label}{score}  ", f"bold {style}"), _marked(claim, verdict, style))
        )
        if verdict.reason:
            console.print(Padding(Text(verdict.reason, style=style), (0, 2)))
        if verdict.evidence is not None:
            at = verdict.evidence
            console.print(
                Padding(Text(f"{names[at.context]}, characters {at.start}–{at.end}", style="dim"), (0, 2))
            )
            console.print(Padding(_shared(at.text, claim), (0, 4)))
        for signal in verdict.signals:
            console.print(
                Padding(Text(f"{signal.name:<22}{signal.value:>5.2f}  {signal.seen}", style="dim"), (0, 2))
            )


def _marked(claim: str, verdict: "Support", style: str) -> "Text":
    """The claim, with the words that its evidence does not have in the verdict's colour."""
    from firstfault.verify.terms import words

    held = words(verdict.evidence.text) if verdict.evidence else set()
    return _styled(claim, held, present="", absent=style)


def _shared(evidence: str, claim: str) -> "Text":
    """The evidence, with the words it shares with the claim highlighted."""
    from firstfault.verify.terms import words

    return _styled(evidence, words(claim), present="bold green", absent="")


def _styled(text: str, others: set[str], *, present: str, absent: str) -> "Text":
    from rich.text import Text

    from firstfault.verify.terms import terms

    styled = Text(text)
    for term in terms(text):
        styled.stylize(present if term.stem in others else absent, term.start, term.end)
    return styled
