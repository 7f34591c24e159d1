"""Cleaning and splitting: training data in, the rows that are kept out, with a reason for everything else."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from firstfault.errors import InputError
from firstfault.finetune import doctor, labels, sensitive, similar
from firstfault.finetune.data import Dataset, Row, read_dataset
from firstfault.types import Message

if TYPE_CHECKING:
    from firstfault.structured.schema import Schema

OPTIONAL = ("label_errors", "language", "changing_facts")
"""Findings whose rows are dropped only when asked: a person should look first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was done to a row, and why."""

    place: str
    action: Literal["dropped", "changed"]
    check: str
    """The finding that it answers."""
    reason: str
    before: str | None = None
    after: str | None = None
    """For a change, what it was and what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """The rows that are left, and everything that was done."""

    rows: tuple[Row, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows apart: no group, duplicate or near-duplicate stands on both sides."""

    training: tuple[Row, ...]
    validation: tuple[Row, ...]
    groups: int


def clean(data: Dataset, given: doctor.Given | None = None, *, drop: Iterable[str] = ()) -> Cleaned:
    """Mend what is plainly meant, drop what cannot be learnt from, and say so for each row.

    `drop` names findings of `OPTIONAL` whose rows are to go as well.

    Raises:
        InputError: such a name is unknown.
    """
    given = given or doctor.Given()
    wanted = set(drop)
    if wanted - set(OPTIONAL):
        raise InputError(
            f"{', '.join(sorted(wanted - set(OPTIONAL)))} cannot be dropped on demand.",
            hint=f"Those that can: {', '.join(OPTIONAL)}.",
        )
    changes = [
        Change(place=one.place, action="dropped", check="readable", reason=one.reason)
        for one in data.unreadable
    ]
    rows: list[Row] = []
    for row in data.rows:
        changed, made = _mended(row, given.schema)
        changes += made
        rows.append(changed)
    for name, found in _drops(rows, replace_rows(data, rows), given, wanted):
        gone = {row.place: reason for row, reason in found}
        changes += [
            Change(place=place, action="dropped", check=name, reason=reason) for place, reason in gone.items()
        ]
        rows[:] = [row for row in rows if row.place not in gone]
    return Cleaned(rows=tuple(rows), changes=tuple(changes))


def replace_rows(data: Dataset, rows: Sequence[Row]) -> Dataset:
    """The dataset with other rows."""
    return replace(data, rows=tuple(rows))


def _drops(
    rows: list[Row], data: Dataset, given: doctor.Given, wanted: set[str]
) -> Iterable[tuple[str, list[tuple[Row, str]]]]:
    """Finding by finding the rows to drop; `rows` shrinks between them."""
    for made in doctor.check(data, replace(given, validation=None, documents=())).checks:
        always = made.verdict.name in {"trainable", "lengths", "secrets", "format_validity"}
        if always or made.verdict.name in wanted - {"label_errors"}:
            seen = dict(zip(made.rows, made.details, strict=False))
            yield made.verdict.name, [(row, seen[row.place]) for row in rows if row.place in seen]
    yield "contradictory_answers", _minorities(rows)
    if "label_errors" in wanted:
        found = labels.suspects([row.question for row in rows], [row.target for row in rows])
        yield (
            "label_errors",
            [(rows[i.position], f"{i.field or 'answer'}: {i.given}, likely {i.likely}") for i in found],
        )
    exact, near = doctor.repeated(rows)
    whole = {**exact, **near}
    yield (
        "duplicates",
        [(rows[later], f"repeats {rows[first].place}") for later, first in sorted(whole.items())],
    )
    if given.validation is not None:
        held = given.validation.rows
        known = {a for _, a in doctor.leaks(rows, held)}
        again = {similar.normal(row.prompt) for row in held}
        yield (
            "leakage",
            [
                (row, "stands in validation")
                for i, row in enumerate(rows)
                if i in known or similar.normal(row.prompt) in again
            ],
        )


def _minorities(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    """Rows that contradict what most rows with their prompt say; in a tie all of them."""
    found = []
    for members in doctor.contradictions(rows):
        counts = Counter(rows[i].target.strip() for i in members)
        (best, number), *others = counts.most_common()
        tie = bool(others) and others[0][1] == number
        for i in members:
            if tie or rows[i].target.strip() != best:
                why = "equal prompts have different answers, none of them more often"
                found.append((rows[i], why if tie else "most rows with this prompt have another answer"))
    return found


def _mended(row: Row, schema: "Schema | None") -> tuple[Row, list[Change]]:
    changes: list[Change] = []

    def change(check: str, reason: str, number: int, text: str) -> None:
        nonlocal row
        before = row.messages[number]
        changes.append(
            Change(
                place=row.place,
                action="changed",
                check=check,
                reason=reason,
                before=before.content,
                after=text,
            )
        )
        turn = Message(role=before.role, content=text)
        row = replace(row, messages=(*row.messages[:number], turn, *row.messages[number + 1 :]))

    for number in range(len(row.messages)):
        text = doctor._MARKS.sub("", row.messages[number].content).strip()
        if text != row.messages[number].content.strip():
            change("template_marks", "marks of a chat template taken out", number, text)
        hidden = masked(row.messages[number].content)
        if hidden != row.messages[number].content:
            change("personal_data", "personal data replaced by placeholders", number, hidden)
    if schema is not None:
        from firstfault.structured.repair import examine, mend

        last = len(row.messages) - 1
        if examine(row.target, schema).problems:
            made = mend(row.target, schema)
            if made is not None and not made.problems:
                change("format_validity", f"mended: {', '.join(made.mends)}", last, made.text)
    elif (fenced := re.fullmatch(r"```\w*\n(.*)\n```", row.target.strip(), re.DOTALL)) and _is_json(
        fenced[1]
    ):
        change("consistent_format", "code fence around JSON taken off", len(row.messages) - 1, fenced[1])
    return row, changes


def masked(text: str) -> str:
    """The text with personal data replaced by what it is; credentials stay, for their rows are dropped."""
    found = sorted((one.start, one.end, one.kind) for one in sensitive.find(text) if not one.secret)
    made, position = "", 0
    for start, end, kind in found:
        if start >= position:
            made += f"{text[position:start]}[{kind}]"
            position = end
    return made + text[position:]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def split(rows: Sequence[Row], *, validation: float = 0.1, by: str | None = None, seed: int = 0) -> Split:
    """Divide rows so that related ones stay together, each form and label in its share on both sides.

    Rows with the same prompt, near-duplicates, and with `by` rows with the same value under that key are one
    group. Groups go by their stratum (form of the answer, or its label), each stratum by a seeded hash.

    Raises:
        InputError: there are too few groups, the share is not between 0 and 1, or a row lacks the key.
    """
    if not 0 < validation < 1:
        raise InputError(f"The share {validation} leaves one side empty.", hint="Give e.g. 0.1.")
    together: dict[str, int] = {}
    joined = []
    for position, row in enumerate(rows):
        keys = [f"prompt {similar.normal(row.prompt)}"]
        if by is not None:
            if by not in row.extra:
                raise InputError(
                    f"{row.place} has no key '{by}'.", hint="Give every row one, or leave --by out."
                )
            keys.append(f"by {json.dumps(row.extra[by], sort_keys=True)}")
        for key in keys:
            joined.append((together.setdefault(key, position), position))
    joined += similar.pairs(similar.shingle([f"{row.prompt}\n{row.target}" for row in rows]))
    root = similar.groups(len(rows), iter(joined))
    members: dict[int, list[int]] = defaultdict(list)
    for position, first in enumerate(root):
        members[first].append(position)
    if len(members) < 2:
        raise InputError(
            "All rows belong to one group: they cannot be divided.", hint="Collect other examples."
        )
    strata = _strata(rows)
    by_stratum: dict[str, list[int]] = defaultdict(list)
    for first in members:
        by_stratum[strata[first]].append(first)
    held: set[int] = set()
    for _, firsts in sorted(by_stratum.items()):
        firsts.sort(key=lambda first: hashlib.sha256(f"{seed} {rows[first].prompt}".encode()).digest())
        wanted = validation * sum(len(members[first]) for first in firsts)
        taken = 0
        for first in firsts:
            if taken + len(members[first]) / 2 > wanted:
                continue
            held.update(members[first])
            taken += len(members[first])
    if not held:
        held.update(members[min(members, key=lambda first: (len(members[first]), first))])
    return Split(
        training=tuple(row for position, row in enumerate(rows) if position not in held),
        validation=tuple(row for position, row in enumerate(rows) if position in held),
        groups=len(members),
    )


def read_sides(data: Path, validation: Path | None) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows to train on and rows that are held out: of two files, or of one that is divided.

    Raises:
        InputError: a file cannot be read, or one file cannot be divided.
    """
    rows = read_dataset(data).rows
    if validation is not None:
        return rows, read_dataset(validation).rows
    apart = split(rows)
    return apart.training, apart.validation


def _strata(rows: Sequence[Row]) -> list[str]:
    """What should be in its share on both sides: the label where answers have one, else the form."""
    for _, values in sorted(labels.fields([row.target for row in rows]).items()):
        if len({value for value in values if value is not None}) <= 10:
            return [str(value) for value in values]
    return [doctor.shape(row.target) for row in rows]
