"""What need not be asked: the home and a file of examples in, measurements of the questions out.

Each measurement says what it saw; what cannot be measured says why. Limits stand in `rules.toml`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from firstfault.advise.requirements import Measured
from firstfault.advise.rules import Limits
from firstfault.diagnose.latency import timings
from firstfault.evaluate.statistics import percentile
from firstfault.intervals import proportion
from firstfault.types import CaseResult, Trace

if TYPE_CHECKING:
    from firstfault.collection import Collection
    from firstfault.config import Settings
    from firstfault.structured import Schema

MONTH_DAYS = 30.0


def of_documents(collection: "Collection", limits: Limits, *, keep_days: int) -> Iterator[Measured]:
    """How often documents change, by their revisions, and how many sources could not be read.

    `keep_days` is how long retired revisions are kept: changes before that are forgotten.
    """
    lives = collection.lifetimes()
    if not lives:
        yield Measured(key="knowledge_changes", value=None, detail="no document was ingested yet")
        return
    now = datetime.now(UTC)
    first = min(life.began for life in lives)
    start = max(first, now - timedelta(days=keep_days))
    days = (now - start) / timedelta(days=1)
    since = max(start, first + timedelta(hours=limits.initial_hours))
    seen = {life.document_id for life in lives if life.ended is None or life.ended >= start}
    changed = {life.document_id for life in lives if life.ended is not None and life.ended >= since}
    changed |= {life.document_id for life in lives if life.began >= since}
    yield _changes(len(changed), len(seen), days, limits)
    failed = len(collection.failures())
    total = failed + sum(life.ended is None for life in lives)
    detail = f"{failed:,} of {total:,} sources could not be read"
    share = failed / total if total else 0.0
    value = "poor" if share >= limits.poor_documents else "mixed" if share >= limits.mixed_documents else None
    yield Measured(
        key="documents",
        value=value,
        detail=detail if value else f"{detail}; whether they are right and current is not measured",
    )


def _changes(changed: int, documents: int, days: float, limits: Limits) -> Measured:
    key = "knowledge_changes"
    if days < limits.least_days:
        why = f"the documents have a history of {days:.1f} days; {limits.least_days:g} are needed"
        return Measured(key=key, value=None, detail=why)
    rate = changed / documents * MONTH_DAYS / days
    detail = (
        f"{changed:,} of {documents:,} documents were added, replaced or retired in {days:.0f} days: "
        f"{rate:.1%} in {MONTH_DAYS:g} days"
    )
    if changed == 0 and days < limits.settled_days:
        return Measured(key=key, value=None, detail=f"{detail}; too short a time to call them settled")
    value = "weekly" if rate >= limits.weekly else "monthly" if rate >= limits.monthly else "yearly"
    return Measured(key=key, value="never" if changed == 0 else value, detail=detail)


def of_traces(
    traces: Sequence[Trace], limits: Limits, settings: "Settings", *, first_token_ms: float | None
) -> Iterator[Measured]:
    """Share of answered questions, format validity and latency, over recorded requests.

    `first_token_ms` is the time allowed to the first word, where it is known.
    """
    done = [trace for trace in traces if trace.error is None and trace.replay_of is None]
    yield _answered([trace for trace in done if trace.case is None], limits)
    yield from _format(done, limits, settings)
    if first_token_ms is not None:
        yield _latency(done, limits, settings, first_token_ms)


def of_run(results: Sequence[CaseResult], limits: Limits) -> Measured:
    """Share of the cases of a run whose evidence is stored. Cases without evidence are left out."""
    known = [
        all(state not in ("missing_document", "missing_quote") for state in result.evidence)
        for result in results
        if result.evidence
    ]
    known += [False for one in results if one.case is not None and one.case.answerable is False]
    if len(known) < limits.least_requests:
        return Measured(
            key="answerable",
            value=None,
            detail=f"{len(known)} cases with evidence; {limits.least_requests} are needed",
        )
    return Measured(
        key="answerable",
        value=round(sum(known) / len(known), 4),
        detail=f"the evidence of {sum(known):,} of {len(known):,} cases is stored; cases that were written "
        "from the documents overstate it",
    )


DEFECTS = (
    "readable",
    "duplicates",
    "near_duplicates",
    "contradictory_answers",
    "label_errors",
    "trainable",
    "consistent_format",
    "template_marks",
)
"""Checks of the dataset doctor that say something about the quality of an example."""


def of_examples(path: Path, limits: Limits, schema: "Schema | None") -> Iterator[Measured]:
    """How many different examples a file holds, and in how many of them the dataset doctor finds a defect.

    Raises:
        InputError: the file cannot be read.
    """
    from firstfault.finetune.data import read_dataset
    from firstfault.finetune.doctor import Given, check

    data = read_dataset(path)
    made = check(data, Given(schema=schema))
    total = len(data.rows) + len(data.unreadable)
    distinct = len({(row.prompt, row.target) for row in data.rows})
    yield Measured(
        key="examples", value=float(distinct), detail=f"{path}: {total:,} examples, {distinct:,} different"
    )
    found = [one for one in made.checks if one.rows and one.verdict.name in DEFECTS]
    bad = len({place for one in found for place in one.rows}) / total
    value = "poor" if bad >= limits.poor_examples else "mixed" if bad >= limits.mixed_examples else None
    names = f" ({', '.join(one.verdict.name for one in found)})" if found else ""
    detail = f"{path}: the doctor finds a defect in {bad:.1%} of the examples{names}"
    yield Measured(
        key="example_quality",
        value=value,
        detail=detail if value else f"{detail}; whether they are right is not measured",
    )


def _answered(traces: Sequence[Trace], limits: Limits) -> Measured:
    asked = [trace.answer for trace in traces if trace.answer is not None]
    if len(asked) < limits.least_requests:
        return Measured(
            key="answerable",
            value=None,
            detail=f"{len(asked)} recorded questions of users; {limits.least_requests} are needed",
        )
    held = sum(
        not answer.abstained and any(claim.verdict.label == "supported" for claim in answer.claims)
        for answer in asked
    )
    found = proportion(held, len(asked))
    return Measured(
        key="answerable",
        value=round(found.value, 4),
        detail=f"{held:,} of {len(asked):,} recorded questions got an answer that the documents support "
        f"({found.low:.0%} to {found.high:.0%})",
    )


def _format(traces: Sequence[Trace], limits: Limits, settings: "Settings") -> Iterator[Measured]:
    from firstfault.structured.drift import grouped

    responses = [one for group in grouped(traces, cases=True).values() for one in group]
    if len(responses) < limits.least_requests:
        why = f"{len(responses)} recorded answers under a schema; {limits.least_requests} are needed"
        yield Measured(key="format_failures", value=None, detail=why)
        return
    asked = sum(trace.answer is not None for trace in traces)
    if 2 * len(responses) >= asked:
        yield Measured(
            key="format",
            value="strict",
            detail=f"{len(responses):,} of {asked:,} recorded answers were asked for under a schema",
        )
    valid = proportion(sum(one.valid for one in responses), len(responses))
    first = sum(one.first_try for one in responses) / len(responses)
    least = settings.evaluate.format_validity
    holds = valid.value >= (1.0 if least is None else least)
    yield Measured(
        key="format_failures",
        value="no" if holds else "often" if 1 - valid.value >= limits.format_often else "some",
        detail=f"{valid.value:.1%} of {len(responses):,} recorded answers satisfy their schema "
        f"({valid.low:.1%} to {valid.high:.1%}), {first:.1%} at the first try",
    )


def _latency(
    traces: Sequence[Trace], limits: Limits, settings: "Settings", first_token_ms: float
) -> Measured:
    waits = [trace.time_to_first_token_ms for trace in traces if trace.time_to_first_token_ms is not None]
    if len(waits) < limits.least_requests:
        why = f"{len(waits)} recorded generations; {limits.least_requests} are needed"
        return Measured(key="latency", value=None, detail=why)
    late = percentile(waits, 0.95).value
    parts = ", ".join(
        f"{one.component} {one.p50_ms:,.0f}"
        for one in timings(traces, settings.latency)
        if one.component != "total"
    )
    return Measured(
        key="latency",
        value="fits" if late <= first_token_ms else "over",
        detail=f"95 % of {len(waits):,} recorded requests had their first word within {late:,.0f} ms of the "
        f"{first_token_ms:,.0f} ms allowed; medians in ms: {parts}",
    )


def why_not(measured: Sequence[Measured]) -> Mapping[str, str]:
    """Question → why no measurement of it was possible; the last reason given, none where one was."""
    done = {one.key for one in measured if one.value is not None}
    return {one.key: one.detail for one in measured if one.value is None and one.key not in done}
