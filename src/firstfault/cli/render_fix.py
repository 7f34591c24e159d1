"""Fixes and the playbook in the terminal: what was tried, what it gained, whether it is proven, what next."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.markup import escape

from firstfault.cli.render import console
from firstfault.config import Config, Settings
from firstfault.diagnose.apply import Applied
from firstfault.diagnose.fix import Attempt, Fixed, FixReport
from firstfault.diagnose.patches import Patch, value_of
from firstfault.diagnose.playbook import Entry
from firstfault.diagnose.proof import is_worse
from firstfault.diagnose.split import ALPHA
from firstfault.types import Diagnosis, SideEffect, Trial

REPAIRS = {
    "rechunk": "cut the stored documents anew",
    "reembed": "embed the stored texts again",
    "reindex": "make the index anew",
}
PATCH_WIDTH = 44


def report(found: FixReport, diagnosis: Diagnosis, applied: Applied | None, config: Config) -> None:
    """Each finding with its candidates, the proof, and the next command."""
    out = console()
    if not diagnosis.findings:
        said = "nothing to repair: no stage broke" if diagnosis.healthy else "undecided: no cause was found"
        out.print(f"[bold]{said}[/]  [dim]({diagnosis.cases:,} cases of {found.run_id})[/]")
    for number, one in enumerate(found.fixes, start=1):
        for line in _fixed(number, one, found.settings, diagnosis.cases):
            out.print(line, soft_wrap=True)
        out.print()
    if found.generations:
        limit = f"{found.generations:,} of at most {found.budget:,} times"
        out.print(f"[dim]the trials asked the generator {limit}[/]")
    for line in _differing(found, config):
        out.print(line, soft_wrap=True)
    if applied is not None:
        for line in _applied(found, applied):
            out.print(line, soft_wrap=True)
    out.print(f"[bold]next[/]  {escape(_next(found, diagnosis, applied))}", soft_wrap=True)


def document(found: Mapping[str, Any], settings: Settings) -> None:
    """What a server proved: its JSON document, each finding with its trial."""
    from pydantic import TypeAdapter

    out = console()
    trials = TypeAdapter(list[Trial]).validate_python(found["trials"])
    proven = {(trial.stage, trial.cause): trial for trial in trials}
    for number, one in enumerate(found["findings"], start=1):
        out.print(f"[bold]{number}. {one['stage']} / {one['cause']}[/]  {one['cases']:,} cases")
        trial = proven.get((one["stage"], one["cause"]))
        if trial is None:
            out.print(f"   [yellow]–[/] {escape(one['reason'])}", soft_wrap=True)
            out.print(f"   [bold]remedy[/] {escape(one['remedy']['summary'])}", soft_wrap=True)
            continue
        for line in _trial(trial, settings, sampled=one["sampled"]):
            out.print(line, soft_wrap=True)
    if not found["findings"]:
        out.print(
            "[bold]nothing to repair[/]" if found["healthy"] else "[bold]undecided[/]: no cause was found"
        )
    if found["patch"]:
        values = ", ".join(f"{name} = {value}" for name, value in found["patch"].items())
        out.print(
            f"[bold]next[/]  write {escape(values)} into the settings and reload the server", soft_wrap=True
        )


def _fixed(number: int, one: Fixed, settings: Settings, cases: int) -> Iterable[str]:
    finding = one.finding
    share = f"{len(finding.cases):,} of {cases:,} cases"
    yield f"[bold]{number}. {finding.stage} / {finding.cause}[/]  {share}"
    if one.attempts:
        n = max(attempt.n for attempt in one.attempts)
        yield f"   [dim]{f'tried on {n:,} cases':<{PATCH_WIDTH}}  {one.metric}      median[/]"
    for attempt in one.attempts:
        yield _attempt(attempt, settings)
    if one.trial is None:
        yield f"   [yellow]–[/] {escape(one.reason)}"
        if finding.remedy.command and not one.attempts:
            yield f"   [bold]remedy[/] {escape(finding.remedy.summary)}"
            yield f"   [bold]command[/] {escape(finding.remedy.command)}"
        return
    yield from _trial(one.trial, settings, sampled=one.sampled)


def _attempt(attempt: Attempt, settings: Settings) -> str:
    what = change(attempt.patch, attempt.repair, settings)
    if attempt.before is None or attempt.after is None:
        return f"     [dim]{escape(what):<{PATCH_WIDTH - 2}}  not tried: {escape(attempt.note)}[/]"
    latency = "" if attempt.latency_ms is None else f"   {attempt.latency_ms:,.0f} ms"
    note = f"   [yellow]{escape(attempt.note)}[/]" if attempt.note else ""
    return (
        f"     {escape(what):<{PATCH_WIDTH - 2}}  {attempt.before:.3f} → {attempt.after:.3f}{latency}{note}"
    )


def _trial(trial: Trial, settings: Settings, *, sampled: bool) -> Iterable[str]:
    mark = "[bold green]✓ verified[/]" if trial.verified else "[bold yellow]✗ not verified[/]"
    yield f"   {mark}  [bold]{escape(change(trial.patch, trial.repair, settings))}[/]"
    if not trial.verified:
        yield f"     {escape(trial.reason)}"
    interval = (
        "no interval"
        if trial.ci_low is None or trial.ci_high is None
        else f"95 %: {trial.ci_low:+.3f} to {trial.ci_high:+.3f}"
    )
    yield (
        f"     {trial.metric} {trial.before:.3f} → {trial.after:.3f}, gain {trial.delta:+.3f} ({interval}), "
        f"p = {trial.p_value:.4f}, on {trial.n:,} cases it was not chosen on"
    )
    if sampled:
        yield "     [dim]as many as the budget of generations allows, half of them failing: --budget[/]"
    if trial.latency_before_ms is not None and trial.latency_after_ms is not None:
        yield f"     latency {trial.latency_before_ms:,.0f} ms → {trial.latency_after_ms:,.0f} ms (median)"
    effects = [effect for effect in trial.side_effects if effect.p_value < ALPHA]
    yield f"     side effects: {'; '.join(map(_effect, effects)) or 'no other metric changed significantly'}"


def _effect(effect: SideEffect) -> str:
    text = f"{effect.metric} {effect.before:.3f} → {effect.after:.3f}"
    return f"[yellow]{text}[/]" if is_worse(effect) else text


def change(patch: Patch, repair: str | None, settings: Settings) -> str:
    """A patch in words, with the values it changes."""
    said = [f"{name} {value_of(settings, name)} → {value}" for name, value in patch.items()]
    return ", ".join([*([REPAIRS[repair]] if repair else []), *said])


def _differing(found: FixReport, config: Config) -> Iterable[str]:
    """Settings that are not those of the run any more, among those that the patch changes."""
    for name, value in found.patch.items():
        was, now = value_of(found.settings, name), value_of(config.settings, name)
        if now != was:
            already = ", which is what is verified" if now == value else ""
            yield f"[yellow]note[/]  the run had {name} = {was}; in force now is {now}{already}"


def _applied(found: FixReport, applied: Applied) -> Iterable[str]:
    if applied.file is not None:
        settings = ", ".join(f"{name} = {value}" for name, value in found.patch.items())
        kept = f" (as it was: {applied.backup})" if applied.backup else " (new file)"
        yield f"[bold green]applied[/]  {escape(settings)} in {escape(str(applied.file))}{escape(kept)}"
    if applied.collection:
        yield f"[bold green]applied[/]  {escape(applied.collection)}"


def _next(found: FixReport, diagnosis: Diagnosis, applied: Applied | None) -> str:
    if applied is not None:
        return "firstfault eval CASES, to see the application as it is now"
    if found.patch or found.repairs:
        return f"firstfault fix --run {found.run_id} --apply"
    if not diagnosis.findings:
        return diagnosis.next_command
    commands = [one.finding.remedy.command for one in found.fixes if one.finding.remedy.command]
    if commands and not found.trials and not commands[0].startswith("firstfault fix"):
        return commands[0]
    return f"firstfault playbook show {diagnosis.findings[0].cause}"


def playbook(entries: Sequence[Entry]) -> None:
    """One line a cause."""
    out = console()
    stage = ""
    for one in entries:
        if one.stage != stage:
            stage = one.stage
            out.print(f"[bold]{stage}[/]")
        limit = f"  [dim]{escape(str(one.threshold))}[/]" if one.threshold else ""
        out.print(f"  {one.cause:<26} {escape(one.symptom)}{limit}", soft_wrap=True)
    out.print("\n[dim]all about one: firstfault playbook show CAUSE[/]")


def entry(one: Entry, candidates: Mapping[str, Sequence[Patch]]) -> None:
    """All about one cause."""
    out = console()
    out.print(f"[bold]{one.stage} / {one.cause}[/]")
    accepted = f" (a loss of {', '.join(one.accepts)} is expected)" if one.accepts else ""
    tolerated = (
        f"up to {one.tolerated:.0%} of the cases" if one.tolerated else "none: a single case is a fault"
    )
    rows = {
        "symptom": one.symptom,
        "check": one.check,
        "look first at": str(one.threshold) if one.threshold else "",
        "means": one.explanation,
        "tolerated": tolerated,
        "remedy": one.remedy.summary,
        "made anew": REPAIRS[one.remedy.repair] if one.remedy.repair else "",
        "command": one.remedy.command or "",
        "advice": one.remedy.advice,
        "fix must gain": f"{' or '.join(one.metrics)}{accepted}" if one.metrics else "",
    }
    for name, text in rows.items():
        if text:
            out.print(f"  [dim]{name:<14}[/] {escape(text)}", soft_wrap=True)
    for stage, patches in candidates.items():
        where = f" at {stage}" if len(candidates) > 1 else ""
        for number, patch in enumerate(patches, start=1):
            settings = ", ".join(f"{name} = {value}" for name, value in patch.items())
            label = f"fix tries{where}" if number == 1 else ""
            out.print(f"  [dim]{label:<14}[/] {number}. {escape(settings)}", soft_wrap=True)
