"""Training data held against a schema: examples in, how many are valid and what they never show out.

In: JSONL, one example a line. What the model is to write is the last assistant turn of `messages` or
`conversations`, else `completion`, `output`, `response`, `answer` or `target`, else the line itself.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstfault.errors import InputError
from firstfault.files import read_lines
from firstfault.structured.coverage import EdgeCase, expected, observed
from firstfault.structured.repair import examine, mend
from firstfault.structured.sampling import candidate
from firstfault.structured.schema import Schema
from firstfault.types import Verdict

FEW = 1_000
"""Valid format examples below which a fine-tuned model drifts."""

ENOUGH = 5_000
"""Valid format examples, edge cases among them, that remedy it."""

TARGETS = ("completion", "output", "response", "answer", "target")
"""Where an example says what is to be written, in the order in which they are looked for."""

MOST_BASES = 20
"""Valid examples that candidates are made from."""

MOST_CANDIDATES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What a model is to write, and where the data say so."""

    place: str
    """`file:line`."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A valid value that shows an edge case which the data never show."""

    case: EdgeCase
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What training data teach about a schema."""

    examples: int
    valid: int
    mendable: int
    """Not valid as they stand, but plainly meant so; a model learns the mistake."""
    distinct: int
    """Different valid values: copies teach nothing new."""
    rules: Mapping[str, int]
    """Rules that examples break → in how many, the most frequent first."""
    broken: tuple[str, ...]
    """The first examples that are not valid: `place: rule at /path: message`."""
    styles: Mapping[str, int]
    """How the valid examples are written: `compact`, `spaced` or `indented` → how many."""
    cases: int
    """Edge cases that the schema has."""
    missing: tuple[EdgeCase, ...]
    """Those that no valid example shows."""
    candidates: tuple[Candidate, ...]
    verdicts: tuple[Verdict, ...]


def read_examples(path: Path) -> Iterator[Example]:
    """The examples of a file.

    Raises:
        InputError: the file is missing or a line is not JSON.
    """
    for number, line in read_lines(path):
        yield Example(place=f"{path}:{number}", text=_target(line, f"{path}:{number}"))


def cover(examples: Iterable[Example], schema: Schema) -> Coverage:
    """Count the valid examples and the edge cases that they show.

    Raises:
        InputError: there are no examples.
    """
    total = valid = mendable = 0
    rules: Counter[str] = Counter()
    styles: Counter[str] = Counter()
    broken: list[str] = []
    seen: set[EdgeCase] = set()
    values: dict[str, Any] = {}
    for example in examples:
        total += 1
        examined = examine(example.text, schema)
        if not examined.problems:
            valid += 1
            styles[style(example.text)] += 1
            values.setdefault(json.dumps(examined.value, sort_keys=True), examined.value)
            continue
        mended = mend(example.text, schema)
        mendable += mended is not None and not mended.problems
        rules.update({problem.rule for problem in examined.problems})
        if len(broken) < 5:
            first = examined.problems[0]
            broken.append(f"{example.place}: {first.rule} at {first.path or 'the whole'}: {first.message}")
    if not total:
        raise InputError("There are no examples.", hint="Give a JSONL file with one example a line.")
    for value in values.values():
        seen |= observed(value, schema)
    cases = expected(schema)
    missing = tuple(case for case in cases if case not in seen)
    bases = list(values.values())[:MOST_BASES]
    made = [(case, candidate(case, schema, bases)) for case in missing[:MOST_CANDIDATES]]
    return Coverage(
        examples=total,
        valid=valid,
        mendable=mendable,
        distinct=len(values),
        rules=dict(rules.most_common()),
        broken=tuple(broken),
        styles=dict(styles.most_common()),
        cases=len(cases),
        missing=missing,
        candidates=tuple(Candidate(case=case, value=value) for case, value in made if value is not None),
        verdicts=tuple(
            _verdicts(total, valid, len(values), styles=styles, cases=len(cases), missing=missing)
        ),
    )


def _verdicts(
    total: int,
    valid: int,
    distinct: int,
    *,
    styles: Mapping[str, int],
    cases: int,
    missing: tuple[EdgeCase, ...],
) -> Iterator[Verdict]:
    yield Verdict(
        name="format_validity",
        status="ok" if valid == total else "fail",
        measured=valid / total,
        limit=1.0,
        reason=f"{valid:,} of {total:,} examples are valid as they stand",
        remedy="" if valid == total else "Mend or remove the others: a model learns their mistakes.",
    )
    enough: tuple[Any, str] = ("ok", "")
    if distinct < ENOUGH:
        enough = ("warn", f"Add examples up to {ENOUGH:,}, edge cases first.")
    if distinct < FEW:
        enough = (
            "fail",
            f"Add examples: at least {FEW:,}, better {ENOUGH:,} with edge cases; validate every output; "
            "constrain decoding.",
        )
    yield Verdict(
        name="format_examples",
        status=enough[0],
        measured=distinct,
        limit=FEW if distinct < FEW else ENOUGH,
        reason=f"{distinct:,} different valid examples",
        remedy=enough[1],
    )
    main = max(styles.values(), default=0)
    yield Verdict(
        name="consistent_format",
        status="ok" if main == valid else "warn",
        measured=main / valid if valid else None,
        limit=1.0,
        reason=", ".join(f"{count:,} {style}" for style, count in styles.items())
        or "nothing valid to compare",
        remedy="" if main == valid else "Write all examples in one style: json.dumps with one indent.",
    )
    yield Verdict(
        name="edge_cases",
        status="ok" if not missing else "warn",
        measured=(cases - len(missing)) / cases if cases else None,
        limit=1.0,
        reason=f"{cases - len(missing)} of {cases} edge cases of the schema are shown"
        if cases
        else "the schema has no edge cases",
        remedy="" if not missing else "Add examples for the others; the candidates show their form.",
    )


def _target(line: str, place: str) -> str:
    """What the model is to write, by the line of an example."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{place} is not valid JSON: {error}.", hint="Give JSONL, one example a line."
        ) from error
    if not isinstance(row, dict):
        return row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)
    for name in ("messages", "conversations"):
        turns = row.get(name)
        if isinstance(turns, list) and turns and all(isinstance(turn, dict) for turn in turns):
            said = [turn.get("content", turn.get("value")) for turn in turns if _assistant(turn)]
            if not said or not isinstance(said[-1], str):
                raise InputError(f"{place} has no assistant turn.", hint="Each conversation needs an answer.")
            return str(said[-1])
    for name in TARGETS:
        if name in row and len(row) > 1:
            value = row[name]
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return line.strip()


def _assistant(turn: Mapping[str, Any]) -> bool:
    return turn.get("role", turn.get("from")) in {"assistant", "gpt", "model"}


def style(text: str) -> str:
    """How a valid example is laid out."""
    text = text.strip()
    if "\n" in text:
        return "indented"
    value = json.loads(text)
    return "compact" if text == json.dumps(value, ensure_ascii=False, separators=(",", ":")) else "spaced"
