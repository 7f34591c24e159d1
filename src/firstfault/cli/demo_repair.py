"""The end of the demo: the application is broken in one way, the fault is named, and the repair is proven.

In: the demo's home. Out: on the terminal the commands that a user would run, with what they print.
"""

import random
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstfault.cli.state import State
from firstfault.types import Case, EvidenceUnit, Run

if TYPE_CHECKING:
    from rich.console import Console

    from firstfault.answer import Application

MOST_CASES = 60
CANDIDATES = 120
"""Questions of which those that the healthy application finds the evidence for are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """A careless change of the settings."""

    what: str
    toml: str
    generation: bool
    """Whether it shows in answers only."""


BREAKAGES = (
    Breakage(
        what="the prompt has room for a few lines only",
        toml="[pack]\nbudget_tokens = 64\n",
        generation=False,
    ),
    Breakage(
        what="one passage is kept, and nothing reranks",
        toml='[search]\ntop_k = 1\nrerank = "none"\n',
        generation=False,
    ),
    Breakage(
        what="passages must be nearly the question itself to count as relevant",
        toml='[answer]\nmin_relevance = 0.9\n\n[generator]\nkind = "extractive"\n',
        generation=True,
    ),
)

_CONDITION = re.compile(r"If (?P<condition>[^,.()]{8,80}?)(?:,| then) (?P<answer>[^.]{12,160})\.")


def break_and_repair(shared: State, out: "Console", seed: int | None) -> None:
    """Break the application in one way, name the fault, prove and apply the repair.

    Without a seed one is drawn; it is printed, so that the same can be seen again.
    """
    assert shared.home is not None
    seed = random.SystemRandom().randrange(1000) if seed is None else seed
    broken = random.Random(seed).choice(BREAKAGES)
    cases, settings = shared.home / "cases.jsonl", shared.home / "broken.toml"
    out.print(f"\n[bold]3. Break it[/]  --seed {seed}")
    with shared.application() as app:
        kept = _working_cases(app)
    _write(cases, kept)
    out.print(
        f"   {len(kept)} questions whose evidence the healthy application finds: {cases}", soft_wrap=True
    )
    settings.write_text(broken.toml, encoding="utf-8")
    out.print(f"   {settings}: {broken.what}")
    command = ["--home", str(shared.home), "--config", str(settings)]
    measure = ["eval", str(cases)] if broken.generation else ["eval", str(cases), "--no-generation"]
    out.print("\n[bold]4. What broke first?[/]")
    _run(out, [*command, *measure], quiet=True)
    _run(out, [*command, "diagnose"])
    out.print("\n[bold]5. Repair it, and prove it[/]  chosen on one part of the cases, proven on the other")
    _run(out, [*command, "fix", "--run", "last", "--apply"])
    before = _newest(shared, 1)
    _run(out, [*command, *measure], quiet=True)
    out.print(f"\n[bold]{_gain(before[0], _newest(shared, 1)[0])}[/]")


def _working_cases(app: "Application") -> list[Case]:
    """Questions whose evidence reaches the prompt as things are."""
    from firstfault.diagnose.probes import Probes
    from firstfault.evaluate import satisfied, span_of

    kept = []
    probes = Probes(app, budget=0)
    for case in cases_of(app):
        trace = probes.ask(case)
        assert trace.context is not None
        spans = [span_of(passage.chunk) for passage in trace.context.passages]
        if all(satisfied(gold, spans) for gold in probes.locate(case, trace)):
            kept.append(case)
        if len(kept) == MOST_CASES:
            break
    return kept


def cases_of(app: "Application") -> Iterator[Case]:
    """Questions with known answers, from sentences like "If x is true, y happens", spread over the corpus."""
    found = []
    for row in app.collection.documents():
        case = _case(row.id, row.title, app.collection.document(row.id).text)
        if case is not None:
            found.append(case)
    step = max(1, len(found) // CANDIDATES)
    yield from found[::step]


def _case(document_id: str, title: str, text: str) -> Case | None:
    from firstfault.verify import split_claims

    for start, end in split_claims(text):
        match = _CONDITION.fullmatch(" ".join(text[start:end].split()))
        if match is not None:
            condition = re.sub(r"[`*]", "", match["condition"])
            return Case(
                id=document_id,
                question=f"In {title}, what happens if {condition}?",
                answer=match["answer"],
                answerable=True,
                evidence=(EvidenceUnit(document=document_id, quote=text[start:end]),),
            )
    return None


def _write(path: Path, cases: Sequence[Case]) -> None:
    from firstfault.evaluate import write_cases

    write_cases(cases, path)


def _run(out: "Console", arguments: Sequence[str], *, quiet: bool = False) -> None:
    """Print a command and run it as it stands; `quiet` keeps its report back."""
    from contextlib import redirect_stdout
    from io import StringIO

    from firstfault.cli.root import app

    out.print(f"\n   $ firstfault {shlex.join(arguments)}\n", style="cyan", markup=False, soft_wrap=True)
    if quiet:
        with redirect_stdout(StringIO()):
            app(list(arguments), standalone_mode=False)
    else:
        app(list(arguments), standalone_mode=False)


def _newest(shared: State, number: int) -> Sequence[Run]:
    from firstfault.collection.database import connect
    from firstfault.evaluate import RunStore

    with closing(RunStore(connect(shared.config.home, create=False))) as store:
        return store.newest(limit=number)


def _gain(before: Run, after: Run) -> str:
    name = "abstention_accuracy" if before.generation else "context_recall"
    first, then = before.metrics[name].value, after.metrics[name].value
    return f"{name.replace('_', ' ')}: {first:.2f} broken, {then:.2f} repaired"
