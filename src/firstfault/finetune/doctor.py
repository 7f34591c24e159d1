"""The dataset doctor: training data in, findings with the rows behind them out. Needs no torch.

Every check looks at rows alone, so that what it finds can be read, corrected and found again.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firstfault.finetune import labels, sensitive, similar
from firstfault.finetune.data import Dataset, Row
from firstfault.models.estimate import token_spans
from firstfault.types import Status, Verdict
from firstfault.verify.language import language

if TYPE_CHECKING:
    from firstfault.structured.schema import Schema

FEW, ENOUGH = 1_000, 10_000
"""Examples below which behaviour is hardly learnt, and those that teach a domain."""
FEW_FORMAT = 5_000
"""Examples of a format below which it is not learnt for good."""
MOST_DUPLICATES = 0.05
MOST_WRONG = 0.02
"""Shares beyond which duplicates, or wrong and contradictory labels, are a fault and no scatter."""
LEAST_COMMON = 0.99
"""Share of the rows that must have the common format."""
TEMPLATE_TOKENS = 40
"""What a chat template adds to a row, at most."""
CONTAINED = 0.6
"""Share of an answer's word pairs that stand in one document, from which the document states it."""
LEAST_WORDS = 8
"""Of an answer that is looked for in documents."""

_MARKS = re.compile(
    r"<\|(?:im_start|im_end|endoftext|eot_id|start_header_id|end_header_id|begin_of_text"
    r"|user|assistant|system"
    r"|end)\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|^</?s>|</?s>$|^###\s*(?:Instruction|Response|Input):"
    r"|^(?:Human|Assistant|User):\s",
    re.MULTILINE,
)
_VOLATILE = re.compile(
    r"\b(?:currently|as of (?:today|now|this|\d|[A-Z][a-z]+ \d)|at present|at the moment|right now|these days"
    r"|this (?:week|month|quarter|year)|latest (?:version|release|price)|most recent|up to date"
    r"|until further notice)\b",
    re.IGNORECASE,
)
_STRICT = {"JSON object": 0.5, "JSON list": 0.5, "number": 0.9, "label": 0.9}
"""Strict forms of an answer, and the share of answers in one from which it is the format that is taught."""

Count = Callable[[str], int]
"""Tokens of a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A finding: the verdict, and the rows behind it."""

    verdict: Verdict
    rows: tuple[str, ...] = ()
    """`file:line` of each row that it is about, in order."""
    details: tuple[str, ...] = ()
    """Beside each row what was seen there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What the doctor found."""

    data: str
    digest: str
    examples: int
    layouts: dict[str, int]
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(check.verdict.name for check in self.checks if check.verdict.status == "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is known beside the data."""

    validation: Dataset | None = None
    schema: "Schema | None" = None
    context_window: int = 2048
    """Tokens of prompt and answer together, as they are trained and served."""
    count: Count | None = None
    """The model's own count; None = an estimate that errs upwards."""
    documents: Sequence[str] = ()
    """Texts of the corpus that retrieval already has."""


def check(data: Dataset, given: Given | None = None) -> Examination:
    """Everything that is wrong, or might be, with training data."""
    given = given or Given()
    rows = data.rows
    checks = [
        _readable(data),
        *_amounts(rows, given),
        *_repeated(rows),
        *_leaks(rows, given.validation),
        _contradictions(rows),
        _labels(rows),
        _trainable(rows),
        *_formats(rows, given.schema),
        _template_marks(rows),
        _lengths(rows, given),
        _languages(rows),
        *_sensitive(rows),
        *_facts(rows, given.documents),
    ]
    return Examination(
        data=str(data.path),
        digest=data.digest,
        examples=len(rows),
        layouts=dict(data.layouts),
        checks=tuple(checks),
    )


def _made(
    name: str,
    found: Sequence[tuple[Row, str]],
    total: int,
    *,
    beyond: float = 0.0,
    status: Status = "fail",
    what: str,
    remedy: str,
    ok: str,
) -> Check:
    """A check whose measure is the share of rows that were found; up to `beyond` it is only a warning."""
    if not found:
        return Check(verdict=Verdict(name=name, status="ok", measured=0.0, limit=beyond, reason=ok))
    share = len(found) / max(total, 1)
    verdict = Verdict(
        name=name,
        status=status if share > beyond else "warn",
        measured=round(share, 6),
        limit=beyond,
        reason=f"{len(found):,} of {total:,} rows: {what}",
        remedy=remedy,
    )
    return Check(
        verdict=verdict, rows=tuple(row.place for row, _ in found), details=tuple(seen for _, seen in found)
    )


def _readable(data: Dataset) -> Check:
    total = len(data.rows) + len(data.unreadable)
    if not data.unreadable:
        layouts = ", ".join(f"{count:,} {name}" for name, count in data.layouts.items())
        return Check(
            verdict=Verdict(
                name="readable", status="ok", measured=0.0, limit=0.0, reason=f"every row: {layouts}"
            )
        )
    verdict = Verdict(
        name="readable",
        status="fail",
        measured=round(len(data.unreadable) / total, 6),
        limit=0.0,
        reason=f"{len(data.unreadable):,} of {total:,} rows cannot be learnt from",
        remedy="Correct them, or let `firstfault finetune clean` leave them out.",
    )
    return Check(
        verdict=verdict,
        rows=tuple(one.place for one in data.unreadable),
        details=tuple(one.reason for one in data.unreadable),
    )


def _amounts(rows: Sequence[Row], given: Given) -> Iterator[Check]:
    n = len({(row.prompt, row.target) for row in rows})
    status: Status = "ok" if n >= FEW else "warn"
    remedy = (
        ""
        if n >= FEW
        else f"Collect at least {FEW:,}, better {ENOUGH:,} for a domain; keep facts in retrieval."
    )
    reason = f"{n:,} different examples" + ("" if n >= ENOUGH else f"; a domain takes {ENOUGH:,}")
    yield Check(
        verdict=Verdict(
            name="examples", status=status, measured=float(n), limit=float(FEW), reason=reason, remedy=remedy
        )
    )
    common = Counter(shape(row.target) for row in rows).most_common(1)[0][0] if n else ""
    if given.schema is None and common.startswith("JSON"):
        yield Check(
            verdict=Verdict(
                name="format_examples",
                status="ok" if n >= FEW_FORMAT else "warn",
                measured=float(n),
                limit=float(FEW_FORMAT),
                reason=f"{n:,} examples of the format",
                remedy=""
                if n >= FEW_FORMAT
                else "Until there are more, hold the output to its schema (format.constrain).",
            )
        )


def _repeated(rows: Sequence[Row]) -> Iterator[Check]:
    exact, near = repeated(rows)
    yield _made(
        "duplicates",
        [(rows[later], f"the same as {rows[first].place}") for later, first in exact.items()],
        len(rows),
        beyond=MOST_DUPLICATES,
        what="stand there already, word for word",
        remedy="Keep one of each: firstfault finetune clean",
        ok="no row stands there twice",
    )
    yield _made(
        "near_duplicates",
        [(rows[later], f"nearly the same as {rows[first].place}") for later, first in near.items()],
        len(rows),
        beyond=MOST_DUPLICATES,
        what="say nearly what another row says",
        remedy="Keep one of each group: firstfault finetune clean",
        ok="no row nearly repeats another",
    )


def repeated(rows: Sequence[Row]) -> tuple[dict[int, int], dict[int, int]]:
    """Position of each exact duplicate, and of each near-duplicate, → position of the row that it repeats."""
    exact: dict[int, int] = {}
    first: dict[tuple[str, str], int] = {}
    for position, row in enumerate(rows):
        key = similar.normal(row.prompt), _canonical(row.target)
        if first.setdefault(key, position) != position:
            exact[position] = first[key]
    left = [position for position in range(len(rows)) if position not in exact]
    shingles = similar.shingle([f"{rows[i].prompt}\n{rows[i].target}" for i in left])
    near: dict[int, int] = {}
    for a, b in similar.pairs(shingles):
        near.setdefault(left[b], left[a])
    return exact, near


def _canonical(target: str) -> str:
    """An answer without what does not matter: JSON by its value, prose by its words."""
    try:
        value = json.loads(target)
    except (ValueError, RecursionError):
        return similar.normal(target) or target.strip()
    return json.dumps(value, sort_keys=True)


def _leaks(rows: Sequence[Row], validation: Dataset | None) -> Iterator[Check]:
    if validation is None:
        return
    held = validation.rows
    yield _made(
        "leakage",
        [
            (held[position], f"stands in training: {rows[first].place}")
            for position, first in leaks(rows, held)
        ],
        len(held),
        what="of validation stand in training too, word for word or nearly",
        remedy="Split by group (firstfault finetune split), or drop them: firstfault finetune clean",
        ok="nothing of validation stands in training",
    )


def leaks(rows: Sequence[Row], held: Sequence[Row]) -> list[tuple[int, int]]:
    """Positions of held-out rows that training knows, each with the position of a training row."""
    prompts = {similar.normal(row.prompt): position for position, row in reversed(list(enumerate(rows)))}
    found = {
        position: prompts[key]
        for position, row in enumerate(held)
        if (key := similar.normal(row.prompt)) in prompts
    }
    shingles = similar.shingle([f"{row.prompt}\n{row.target}" for row in (*rows, *held)])
    for a, b in similar.pairs(shingles):
        if a < len(rows) <= b:
            found.setdefault(b - len(rows), a)
    return sorted(found.items())


def _contradictions(rows: Sequence[Row]) -> Check:
    found = []
    for members in contradictions(rows):
        others = {position: next(i for i in members if i != position) for position in members}
        found += [(rows[i], f"another answer to the same prompt: {rows[others[i]].place}") for i in members]
    return _made(
        "contradictory_answers",
        found,
        len(rows),
        beyond=MOST_WRONG,
        what="give another answer to a prompt that stands there twice",
        remedy="Decide which is right; `firstfault finetune clean` keeps what most rows say and drops ties.",
        ok="equal prompts have equal answers",
    )


def contradictions(rows: Sequence[Row]) -> list[list[int]]:
    """Positions of rows with one prompt and different strict answers, a list for each prompt."""
    same: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        if row.prompt.strip():
            same[similar.normal(row.prompt)].append(position)
    return [members for members in same.values() if len({_canonical(rows[i].target) for i in members}) > 1]


def _labels(rows: Sequence[Row]) -> Check:
    found = labels.suspects([row.question for row in rows], [row.target for row in rows])
    return _made(
        "label_errors",
        [
            (
                rows[one.position],
                f"{one.field or 'answer'} is {one.given}, others say {one.likely} ({one.confidence:.2f})",
            )
            for one in found
        ],
        len(rows),
        beyond=MOST_WRONG,
        what="rows like them say something else",
        remedy="Review them, worst first; correct them, or: firstfault finetune clean --drop label_errors",
        ok="no label that rows like it contradict",
    )


def shape(target: str) -> str:
    """The form of an answer, in a word or two."""
    text = target.strip()
    if not text or text.startswith("```"):
        return "code fence" if text else "empty"
    if text[0] in "{[":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return "broken JSON"
        return "JSON object" if isinstance(value, dict) else "JSON list"
    if re.fullmatch(r"[-+]?[\d.,]+%?", text):
        return "number"
    if len(text.split()) <= 3 and text[-1] not in ".!?":
        return "label"
    return "prose"


def taught(rows: Sequence[Row]) -> str | None:
    """The JSON form that nearly all answers have; None = no such form is taught."""
    counts = Counter(shape(row.target) for row in rows)
    common, number = counts.most_common(1)[0]
    return common if common.startswith("JSON") and number >= 0.9 * counts.total() else None


def _formats(rows: Sequence[Row], schema: "Schema | None") -> Iterator[Check]:
    from firstfault.structured.examples import Example, cover, style
    from firstfault.structured.repair import examine

    if schema is not None and rows:
        made = cover([Example(place=row.place, text=row.target) for row in rows], schema)
        broken = [
            (row, problems[0].message) for row in rows if (problems := examine(row.target, schema).problems)
        ]
        for verdict in made.verdicts:
            if verdict.name == "format_validity":
                yield Check(
                    verdict=verdict,
                    rows=tuple(row.place for row, _ in broken),
                    details=tuple(seen for _, seen in broken),
                )
            elif verdict.name == "edge_cases":
                missing = tuple(f"{case.path or 'the whole'}: {case.kind}" for case in made.missing)
                yield Check(verdict=verdict, details=missing)
            elif verdict.name == "format_examples":
                few: Status = "ok" if verdict.status == "ok" else "warn"
                yield Check(
                    verdict=Verdict(
                        name=verdict.name,
                        status=few,
                        measured=verdict.measured,
                        limit=verdict.limit,
                        reason=verdict.reason,
                        remedy=verdict.remedy,
                    )
                )
    shapes = [shape(row.target) for row in rows]
    counts = Counter(shapes)
    common, number = counts.most_common(1)[0] if rows else ("prose", 0)
    found: list[tuple[Row, str]] = []
    taught = common in _STRICT and number >= _STRICT[common] * len(rows)
    if taught:
        found = [
            (row, f"{seen}, others: {common}")
            for row, seen in zip(rows, shapes, strict=True)
            if seen not in {common, "empty"}
        ]
        if common == "JSON object":
            found += _odd_objects(
                [row for row, seen in zip(rows, shapes, strict=True) if seen == common], style
            )
    yield _made(
        "consistent_format",
        found,
        len(rows),
        beyond=1 - LEAST_COMMON,
        what=f"have another form than the common one ({common})",
        remedy="Write all answers in one form; `firstfault finetune clean` mends what is plainly meant.",
        ok=f"answers have one form: {common}" if taught else "answers have no strict form",
    )


def _odd_objects(rows: Sequence[Row], style: Callable[[str], str]) -> Iterator[tuple[Row, str]]:
    """Objects with rare keys, or laid out otherwise than nearly all."""
    keys = [tuple(sorted(json.loads(row.target))) for row in rows]
    counts = Counter(keys)
    names, number = counts.most_common(1)[0]
    layouts = Counter(style(row.target) for row in rows)
    layout, uniform = layouts.most_common(1)[0]
    for row, one in zip(rows, keys, strict=True):
        if number >= 0.8 * len(rows) and counts[one] < 0.05 * len(rows) and one != names:
            odd = sorted(set(one) ^ set(names))
            yield row, f"other keys than most: {', '.join(odd)}"
        elif uniform >= 0.8 * len(rows) and style(row.target) != layout:
            yield row, f"laid out {style(row.target)}, others: {layout}"


def _template_marks(rows: Sequence[Row]) -> Check:
    found = [
        (row, f"{match[0].strip()!r} in the {message.role} turn")
        for row in rows
        for message in row.messages
        if (match := _MARKS.search(message.content))
    ]
    unique = list({row.place: (row, seen) for row, seen in reversed(found)}.values())[::-1]
    return _made(
        "template_marks",
        unique,
        len(rows),
        what="hold marks of a chat template in their text, which the template would write again",
        remedy="Take the marks out: firstfault finetune clean",
        ok="no marks of a chat template in the texts",
    )


def _trainable(rows: Sequence[Row]) -> Check:
    return _made(
        "trainable",
        [(row, "the answer is empty") for row in rows if not row.target.strip()],
        len(rows),
        what="leave nothing to learn after the chat template",
        remedy="Drop them: firstfault finetune clean",
        ok="every row has an answer to learn",
    )


def _lengths(rows: Sequence[Row], given: Given) -> Check:
    found: list[tuple[Row, str]] = []
    whole = 0
    for row in rows:
        text = "\n".join(message.content for message in row.messages)
        tokens = len(token_spans(text)) + TEMPLATE_TOKENS
        if tokens > given.context_window and given.count is not None:
            tokens = given.count(text) + TEMPLATE_TOKENS
        if tokens <= given.context_window:
            continue
        over = tokens - given.context_window
        cut = min(over, max(len(token_spans(row.target)), 1))
        whole += over >= len(token_spans(row.target))
        found.append((row, f"{tokens:,} tokens; {cut:,} of the answer would be cut"))
    counted = "" if given.count else " by an estimate that errs upwards"
    return _made(
        "lengths",
        found,
        len(rows),
        what=f"do not fit into {given.context_window:,} tokens{counted}; {whole:,} lose the whole answer",
        remedy="Shorten them, raise --context-window, or drop them: firstfault finetune clean",
        ok=f"every row fits into {given.context_window:,} tokens{counted}",
    )


def _languages(rows: Sequence[Row]) -> Check:
    spoken = [language(f"{row.question} {row.target}") for row in rows]
    counts = Counter(one for one in spoken if one)
    main, number = counts.most_common(1)[0] if counts else ("", 0)
    found = []
    if number >= 0.9 * counts.total():
        found = [(row, one) for row, one in zip(rows, spoken, strict=True) if one and one != main]
    mix = ", ".join(f"{count:,} {name}" for name, count in counts.most_common(5))
    return _made(
        "language",
        found,
        len(rows),
        status="warn",
        what=f"are in another language than nearly all ({mix})",
        remedy="Drop or translate them, or add enough of that language.",
        ok=mix or "too little text to tell the language",
    )


def _sensitive(rows: Sequence[Row]) -> Iterator[Check]:
    people: list[tuple[Row, str]] = []
    secrets: list[tuple[Row, str]] = []
    for row in rows:
        found = [one for message in row.messages for one in sensitive.find(message.content)]
        for kept, secret in ((people, False), (secrets, True)):
            kinds = dict.fromkeys(one.kind for one in found if one.secret is secret)
            if kinds:
                kept.append((row, ", ".join(kinds)))
    yield _made(
        "personal_data",
        people,
        len(rows),
        status="warn",
        what="hold personal data, which a model can learn by heart",
        remedy="Replace it by placeholders: firstfault finetune clean",
        ok="no personal data of a known form",
    )
    yield _made(
        "secrets",
        secrets,
        len(rows),
        what="hold credentials",
        remedy="Revoke them, then take them out: firstfault finetune clean",
        ok="no credentials of a known form",
    )


def _facts(rows: Sequence[Row], documents: Iterable[str]) -> Iterator[Check]:
    volatile = [
        (row, f"“{match[0]}”")
        for row in rows
        if (match := _VOLATILE.search(row.target)) and match[0].lower() not in row.prompt.lower()
    ]
    yield _made(
        "changing_facts",
        volatile,
        len(rows),
        status="warn",
        what="state something that will change; a model cannot be updated like a document",
        remedy="Keep such facts in the documents that are retrieved, and train on form only.",
        ok="no answer says that it will change",
    )
    stated = list(_stated(rows, documents))
    yield _made(
        "facts_in_corpus",
        stated,
        len(rows),
        status="warn",
        what="teach what a document of the corpus states already",
        remedy="Leave them to retrieval: it stays current and can be cited.",
        ok="no answer repeats a document of the corpus",
    )


def _stated(rows: Sequence[Row], documents: Iterable[str]) -> Iterator[tuple[Row, str]]:
    known: set[tuple[str, ...]] = set()
    for text in documents:
        words = similar.normal(text).split()
        known.update(zip(words, words[1:], words[2:], strict=False))
    for row in rows if known else ():
        words = similar.normal(row.target).split()
        if len(words) < LEAST_WORDS or similar.normal(row.target) in similar.normal(row.prompt):
            continue
        spans = list(zip(words, words[1:], words[2:], strict=False))
        share = sum(span in known for span in spans) / len(spans)
        if share >= CONTAINED:
            yield row, f"{100 * share:.0f} % of it stands in the corpus"


def summary(made: Examination) -> dict[str, Any]:
    """The JSON document of `finetune check`."""
    from dataclasses import asdict

    return {**asdict(made), "failed": list(made.failed)}
