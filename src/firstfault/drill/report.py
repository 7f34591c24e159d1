"""What a series of drills shows: rates, the confusion matrix, blind spots and readiness.

In: outcomes. Out: one summary that the terminal, Markdown and JSON are written from.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from firstfault.drill.library import FAULTS
from firstfault.drill.outcome import HEALTHY, UNKNOWN, Outcome
from firstfault.evaluate.statistics import proportion
from firstfault.stages import Stage

FEW_CASES = 20
"""With fewer, a diagnosis can hardly tell a fault from chance."""
SCATTER = 0.02
"""Share of cases that score worse now and then without a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many of so many."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.hits / self.of if self.of else None

    def __str__(self) -> str:
        if not self.of:
            return "–"
        found = proportion(self.hits, self.of)
        return f"{found.value:.1%} ({self.hits} of {self.of}, 95 % {found.low:.0%} to {found.high:.0%})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A series of drills, summed up."""

    stage_named: Rate
    """Single faults whose stage was named first, of those that did harm."""
    cause_named: Rate
    first_first: Rate
    """Doubles whose first fault was named first."""
    both_listed: Rate
    """Doubles whose second fault was listed as well."""
    false_alarms: Rate
    """Controls that were not called healthy."""
    harmless: tuple[str, ...]
    """Single faults that hurt next to no case and were called healthy: nothing to find here."""
    confusion: Mapping[str, Mapping[str, int]]
    """Stage that was broken → stage that was named → how often; singles and controls."""
    causes: Mapping[str, Mapping[str, int]]
    """The same by cause."""
    blind_spots: tuple[Outcome, ...]
    """Single faults that were called healthy though they did harm, or called something else."""
    seconds: Mapping[str, float | None]
    """Median seconds from the first request to the diagnosis, and of the diagnosis alone."""
    skipped: tuple[Outcome, ...]


def summarize(outcomes: Sequence[Outcome]) -> Summary:
    """Sum up. Outcomes of faults that could not be placed count for nothing."""
    done = [outcome for outcome in outcomes if not outcome.skipped]
    alone = [outcome for outcome in done if len(outcome.faults) == 1]
    single = [outcome for outcome in alone if not harmless(outcome)]
    double = [outcome for outcome in done if len(outcome.faults) > 1]
    control = [outcome for outcome in done if not outcome.faults]
    return Summary(
        stage_named=_rate([outcome.stage_named for outcome in single]),
        cause_named=_rate([outcome.cause_named for outcome in single]),
        first_first=_rate([outcome.cause_named for outcome in double]),
        both_listed=_rate([outcome.others_listed for outcome in double]),
        false_alarms=_rate([outcome.detected for outcome in control]),
        harmless=tuple(outcome.faults[0] for outcome in alone if harmless(outcome)),
        confusion=_matrix([*alone, *control], "stage"),
        causes=_matrix([*alone, *control], "cause"),
        blind_spots=tuple(outcome for outcome in single if not outcome.cause_named),
        seconds={
            "to_diagnosis": _median([one.seconds_evaluate + one.seconds_diagnose for one in done]),
            "diagnosis": _median([one.seconds_diagnose for one in done]),
        },
        skipped=tuple(outcome for outcome in outcomes if outcome.skipped),
    )


def harmless(outcome: Outcome) -> bool:
    """Whether the fault hurt next to no case, broke no limit, and was rightly not reported."""
    return outcome.hurt <= SCATTER * outcome.cases and not outcome.alerts and not outcome.detected


def document(
    outcomes: Sequence[Outcome], summary: Summary, ready: Sequence["Readiness"] = ()
) -> dict[str, Any]:
    """The JSON document of `drill --json`: a contract that scripts rely on."""
    return {
        "rates": {
            name: {**asdict(rate), "value": rate.value}
            for name, rate in (
                ("stage_named", summary.stage_named),
                ("cause_named", summary.cause_named),
                ("first_fault_first", summary.first_first),
                ("both_listed", summary.both_listed),
                ("false_alarms", summary.false_alarms),
            )
        },
        "confusion": {"stages": summary.confusion, "causes": summary.causes},
        "harmless": list(summary.harmless),
        "blind_spots": [outcome.faults[0] for outcome in summary.blind_spots],
        "seconds": summary.seconds,
        "readiness": [asdict(one) for one in ready],
        "drills": [asdict(outcome) for outcome in outcomes],
    }


def markdown(
    outcomes: Sequence[Outcome],
    summary: Summary,
    ready: Sequence["Readiness"] = (),
    *,
    title: str = "Drills",
) -> str:
    """A report for people who were not there."""
    lines = [f"# {title}", "", "| what | rate |", "|---|---|"]
    lines += [*(f"| {name} | {rate} |" for name, rate in rates_of(summary)), ""]
    if ready:
        lines += [
            "## Readiness",
            "",
            "| failure | caught | limits that break | what to add |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {one.fault}: {one.summary} | {'yes' if one.caught else '**no**'} "
            f"| {', '.join(one.by) or '–'} | {one.advice or '–'} |"
            for one in ready
        ]
        lines.append("")
    lines += ["## What was broken, and what it was called", "", *_table(outcomes), ""]
    lines += ["## Confusion matrix", "", *_confusion(summary.confusion), ""]
    return "\n".join(lines)


def rates_of(summary: Summary) -> list[tuple[str, Rate]]:
    """The rates that something was measured for, each with its name."""
    rows = (
        ("stage of a single fault named", summary.stage_named),
        ("cause of a single fault named", summary.cause_named),
        ("first of two faults named first", summary.first_first),
        ("second of two faults listed", summary.both_listed),
        ("healthy applications called faulty", summary.false_alarms),
    )
    return [(name, rate) for name, rate in rows if rate.of]


def _table(outcomes: Sequence[Outcome]) -> list[str]:
    lines = [
        "| fault | severity | hurt | expected | named | limits broken | fix | seconds |",
        "|---" * 8 + "|",
    ]
    for one in outcomes:
        cells = (
            " + ".join(one.faults) or f"none ({one.scene})",
            "" if one.severity is None else f"{one.severity:g}",
            f"{one.hurt} of {one.cases}",
            " then ".join(map(str, one.expected)) or HEALTHY,
            one.skipped or str(one.found),
            ", ".join(one.alerts) or "–",
            one.repair or "–",
            f"{one.seconds_evaluate + one.seconds_diagnose:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _confusion(matrix: Mapping[str, Mapping[str, int]]) -> list[str]:
    columns = columns_of(matrix)
    lines = [f"| broken ↓ named → | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row, found in matrix.items():
        lines.append(f"| **{row}** | {' | '.join(str(found.get(one, '')) for one in columns)} |")
    return lines


def columns_of(matrix: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Everything that was named, in the order of the stages, then `healthy` and `unknown`."""
    order = [*(stage.value for stage in Stage), HEALTHY, UNKNOWN]
    seen = {name for row in matrix.values() for name in row}
    known = [name for name in order if name in seen or name in matrix]
    return known + sorted(seen - set(known))


def _matrix(outcomes: Sequence[Outcome], what: str) -> dict[str, dict[str, int]]:
    counts: Counter[tuple[str, str]] = Counter(
        (getattr(one.expected[0], what) if one.expected else HEALTHY, getattr(one.found, what))
        for one in outcomes
    )
    rows = dict.fromkeys(getattr(one.expected[0], what) for one in outcomes if one.expected) | dict.fromkeys(
        [HEALTHY] if any(not one.expected for one in outcomes) else []
    )
    return {row: {named: n for (broken, named), n in counts.items() if broken == row} for row in rows}


def _rate(values: Sequence[bool]) -> Rate:
    return Rate(hits=sum(values), of=len(values))


def _median(values: Sequence[float]) -> float | None:
    ordered = sorted(values)
    return round(ordered[len(ordered) // 2], 2) if ordered else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether one failure would be caught in this application."""

    fault: str
    summary: str
    caught: bool
    """Named by the diagnosis of a run over these cases."""
    by: tuple[str, ...]
    """The limits that would have broken without a diagnosis."""
    advice: str
    """What to add, where it would pass unseen."""


def readiness(
    outcomes: Sequence[Outcome], cases_unanswerable: int, budgets_missing: Sequence[str]
) -> list[Readiness]:
    """One line a single fault."""
    rows = []
    for outcome in outcomes:
        if len(outcome.faults) != 1:
            continue
        fault = FAULTS[outcome.faults[0]]
        caught = outcome.stage_named and not outcome.skipped
        rows.append(
            Readiness(
                fault=fault.name,
                summary=fault.summary,
                caught=caught,
                by=outcome.alerts,
                advice="" if caught else _advice(outcome, cases_unanswerable, budgets_missing),
            )
        )
    return rows


def _advice(outcome: Outcome, cases_unanswerable: int, budgets_missing: Sequence[str]) -> str:
    expected = outcome.expected[0]
    missing = [name for name in budgets_missing if expected.stage in name or "total" in name]
    budget = f"set a budget: {', '.join(missing)}" if missing else "lower the budget of this stage"
    abstaining = 'add cases with "answerable": false: whether the application abstains is not tested'
    limits = ", ".join(outcome.alerts)
    few = outcome.cases < FEW_CASES and expected.cause != "over_budget"
    advice = (
        (outcome.skipped, f"could not be drilled: {outcome.skipped}"),
        (expected.cause == "over_budget", budget),
        (expected.cause == "should_have_abstained" and not cases_unanswerable, abstaining),
        (few, f"add cases: {outcome.cases} are too few to be sure of anything but a total failure"),
        (outcome.found.stage == UNKNOWN, "it is seen, but its cause is not named: read the traces"),
        (
            outcome.detected,
            f"it is seen, and taken for {outcome.found}: read its traces before a fix",
        ),
        (
            not outcome.hurt,
            "it hurt none of these cases: add cases that depend on this part",
        ),
        (limits, f"the diagnosis was silent; the limits on {limits} would have shown it"),
    )
    silent = "no limit broke and the diagnosis was silent: add cases, and limits under [evaluate]"
    return next((text for applies, text in advice if applies), silent)
