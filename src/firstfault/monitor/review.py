"""Spot checks: sentences of answers drawn into a queue, labels of reviewers in, an unbiased rate out.

A draw takes the sentences since the draw before, sorts each into one stratum by why it deserves a look, and
takes a simple random sample of each stratum. Nothing is drawn twice.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Engine, delete, func, insert, select

from firstfault.collection.database import reading, writing
from firstfault.collection.schema import review_items, review_labels
from firstfault.errors import InputError
from firstfault.monitor.reading import is_watched
from firstfault.monitor.readings import Readings, now
from firstfault.monitor.spotcheck import Agreement, Cell, Rate, agreement, allocate, rate, reviews_needed
from firstfault.types import Case, Claim, EvidenceUnit, Trace

Stratum = Literal["thumbs_down", "disagreement", "uncertain", "new_topic", "ordinary"]
STRATA: tuple[Stratum, ...] = ("thumbs_down", "disagreement", "uncertain", "new_topic", "ordinary")
"""In the order in which a sentence is sorted: the first that fits."""
SPECIAL = STRATA[:-1]

Word = Literal["supported", "unsupported", "unsure"]
WORDS: tuple[Word, ...] = ("supported", "unsupported", "unsure")

CONFLICTS = frozenset(
    {
        "number_mismatch",
        "negation_conflict",
        "unseen_entity",
        "exchanged_name",
        "changed_word",
        "reversed_copy",
    }
)
"""Signals of the verifier that speak against a sentence."""
UNCERTAIN = (0.3, 0.7)
"""Scores between these are doubtful, whatever the label."""
FAR = 0.1
"""The share of the questions that is furthest from any passage: probably a new topic."""
DEFAULT_SIZE = 50
MOST_TRACES = 20_000
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A passage as the reviewer sees it."""

    number: int
    title: str
    text: str
    cited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What one reviewer said."""

    reviewer: str
    label: Word
    note: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One sentence to review."""

    id: str
    """Trace id, `:`, and the number of the sentence from 0."""
    trace_id: str
    round: str
    collection: str
    stratum: Stratum
    """Why it was drawn."""
    population: int
    """Sentences of the stratum in this round."""
    position: int
    question: str
    sentence: str
    sources: tuple[Source, ...]
    verdict: str
    """Label of the verifier."""
    score: float | None
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a draw put into the queue."""

    round: str
    population: dict[str, int]
    """Stratum → sentences there were."""
    drawn: dict[str, int]
    """Stratum → sentences that were taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Where the spot checks stand."""

    rate: Rate
    verifier_rate: float | None
    """The share that the verifier calls unsupported, on the same sentences with the same weights."""
    agreement: Agreement
    waiting: int
    """Sentences without a label."""
    reviewed: int
    needed: int
    """Reviews in all until the interval is as narrow as wanted."""
    width: float
    """That was wanted."""


class Reviews:
    """The spot checks of one home."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def draw(
        self, traces: Sequence[Trace], *, size: int = DEFAULT_SIZE, seed: int = 0, collection: str = "default"
    ) -> Draw:
        """Draw sentences from traces into the queue; traces that were drawn from before are left out.

        Raises:
            InputError: there is no sentence that could be reviewed.
        """
        since = self._drawn_until(collection)
        wanted = [
            one
            for one in traces
            if is_watched(one) and one.collection == collection and one.at > since and one.answer is not None
        ]
        downs = {
            one.trace_id
            for one in reversed(Readings(self._engine).feedback(limit=100_000))
            if one.verdict == "down"
        }
        far = _far(wanted)
        strata: dict[str, list[tuple[Trace, int, Claim]]] = defaultdict(list)
        for trace in wanted:
            assert trace.answer is not None
            for number, claim in enumerate(trace.answer.claims):
                strata[_stratum(trace, claim, downs, far)].append((trace, number, claim))
        if not strata:
            raise InputError(
                "There is no sentence to review since the last draw.",
                hint="Answers are drawn from as they come; `firstfault review` shows what waits.",
            )
        drawn = allocate(
            {name: len(strata[name]) for name in STRATA if strata.get(name)}, size, special=SPECIAL
        )
        stamp = max(trace.at for trace in wanted)
        rows = []
        for name, count in drawn.items():
            ordered = sorted(strata[name], key=lambda one: _lot(seed, f"{one[0].id}:{one[1]}"))
            how = {"round": stamp, "stratum": name, "population": len(strata[name])}
            for rank, (trace, number, claim) in enumerate(ordered[:count]):
                rows.append((rank / count, _lot(seed, trace.id), {**_row(trace, number, claim), **how}))
        rows.sort(key=lambda row: row[:2])
        with writing(self._engine) as connection:
            connection.execute(
                insert(review_items), [{**row, "position": i} for i, (_, _, row) in enumerate(rows)]
            )
        return Draw(
            round=stamp,
            population={name: len(strata[name]) for name in STRATA if strata.get(name)},
            drawn=drawn,
        )

    def queue(
        self, reviewer: str, *, collection: str | None = None, second: bool = False, limit: int = 100
    ) -> list[Item]:
        """What this reviewer has not labelled: sentences without a label, oldest round first; with `second`
        those that exactly one other reviewer has labelled."""
        found = [
            item
            for item in self.items(collection=collection)
            if len(item.labels) == int(second) and all(one.reviewer != reviewer for one in item.labels)
        ]
        return found[:limit]

    def get(self, item_id: str) -> Item:
        """One sentence.

        Raises:
            InputError: it is not in the queue.
        """
        found = self._items(select(review_items).where(review_items.c.id == item_id))
        if not found:
            raise InputError(
                f"There is no review '{item_id[:80]}'.", hint="`firstfault review` shows the queue."
            )
        return found[0]

    def label(self, item_id: str, reviewer: str, label: str, note: str = "") -> Item:
        """Keep a label; a second one of the same reviewer replaces the first.

        Raises:
            InputError: the label is none of `WORDS`, the reviewer has no name, or there is no such sentence.
        """
        if label not in WORDS:
            raise InputError(f"'{label}' is no label.", hint=f"Give one of {', '.join(WORDS)}.")
        if not reviewer.strip():
            raise InputError("A label needs the name of its reviewer.", hint="Give --reviewer NAME.")
        self.get(item_id)
        mine = (review_labels.c.item_id == item_id) & (review_labels.c.reviewer == reviewer)
        with writing(self._engine) as connection:
            connection.execute(delete(review_labels).where(mine))
            connection.execute(
                insert(review_labels).values(
                    item_id=item_id, reviewer=reviewer, label=label, note=note, at=now()
                )
            )
        return self.get(item_id)

    def items(self, *, collection: str | None = None) -> list[Item]:
        """Every sentence that was drawn, in the order of the queue."""
        query = select(review_items).order_by(review_items.c.round, review_items.c.position)
        if collection is not None:
            query = query.where(review_items.c.collection == collection)
        return self._items(query)

    def summary(self, *, collection: str | None = None, width: float = 0.1) -> Summary:
        """Rate, agreement, and how many reviews an interval of this width takes."""
        items = self.items(collection=collection)
        cells: dict[tuple[str, str, str], list[Item]] = defaultdict(list)
        for item in items:
            cells[item.collection, item.round, item.stratum].append(item)
        found = rate([_cell(group) for group in cells.values()])
        judged = rate([_cell(group, verifier=True) for group in cells.values()])
        labels = {
            item.id: {one.reviewer: one.label for one in item.labels if one.label != "unsure"}
            for item in items
        }
        return Summary(
            rate=found,
            verifier_rate=judged.value,
            agreement=agreement({key: given for key, given in labels.items() if given}),
            waiting=sum(not item.labels for item in items),
            reviewed=sum(bool(item.labels) for item in items),
            needed=reviews_needed(found, width),
            width=width,
        )

    def calibration(self, *, collection: str | None = None) -> Iterator[dict[str, Any]]:
        """Labels as `firstfault verify calibrate` reads them; sentences on which reviewers disagree are left
        out."""
        for item in self.items(collection=collection):
            value = settled(item)
            if value is not None:
                yield {
                    "context": [f"{source.title}\n\n{source.text}" for source in item.sources],
                    "claim": item.sentence,
                    "label": value,
                }

    def cases(self, traces: dict[str, Trace], *, collection: str | None = None) -> Iterator[Case]:
        """A case for each question whose every sentence was reviewed and found supported, with the answer and
        its quotes as evidence; for other reviewed questions one that expects nothing yet."""
        groups: dict[str, list[Item]] = defaultdict(list)
        for item in self.items(collection=collection):
            if item.labels:
                groups[item.trace_id].append(item)
        for trace_id, items in groups.items():
            trace = traces.get(trace_id)
            if trace is None or trace.answer is None:
                continue
            good = len(items) == len(trace.answer.claims) and all(settled(item) == 1 for item in items)
            units = dict.fromkeys(
                EvidenceUnit(document=one.document_id, quote=one.cited_text) for one in trace.answer.citations
            )
            yield Case(
                id=trace.id,
                question=trace.question,
                where=trace.where,
                answer=" ".join(claim.text for claim in trace.answer.claims) if good else None,
                answerable=True if good else None,
                evidence=tuple(units) if good else (),
            )

    def _drawn_until(self, collection: str) -> str:
        query = select(func.max(review_items.c.round)).where(review_items.c.collection == collection)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar() or ""

    def _items(self, query: Any) -> list[Item]:
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            labels: dict[str, list[Label]] = defaultdict(list)
            ids = [row.id for row in rows]
            for start in range(0, len(ids), _PAGE):
                page = select(review_labels).where(review_labels.c.item_id.in_(ids[start : start + _PAGE]))
                for row in connection.execute(page.order_by(review_labels.c.at, review_labels.c.reviewer)):
                    given = Label(reviewer=row.reviewer, label=row.label, note=row.note, at=row.at)
                    labels[row.item_id].append(given)
        return [
            Item(
                id=row.id,
                trace_id=row.trace_id,
                round=row.round,
                collection=row.collection,
                stratum=row.stratum,
                population=row.population,
                position=row.position,
                question=row.record["question"],
                sentence=row.record["sentence"],
                sources=tuple(Source(**source) for source in row.record["sources"]),
                verdict=row.record["verdict"],
                score=row.record["score"],
                labels=tuple(labels[row.id]),
            )
            for row in rows
        ]


def settled(item: Item) -> int | None:
    """1 = supported, 0 = not; None where nobody decided, or reviewers disagree."""
    said = {one.label for one in item.labels if one.label != "unsure"}
    return None if len(said) != 1 else int(said == {"supported"})


def _cell(items: Sequence[Item], *, verifier: bool = False) -> Cell:
    values = []
    for item in items:
        said = [float(one.label == "unsupported") for one in item.labels if one.label != "unsure"]
        if said:
            values.append(float(item.verdict == "unsupported") if verifier else sum(said) / len(said))
    return Cell(population=items[0].population, values=tuple(values))


def _stratum(trace: Trace, claim: Claim, downs: set[str], far: float) -> Stratum:
    verdict = claim.verdict
    if trace.id in downs:
        return "thumbs_down"
    conflict = any(one.name in CONFLICTS and one.value >= 0.5 for one in verdict.signals)
    assert trace.answer is not None
    cited = [one for one in trace.answer.citations if one.number in claim.citations]
    doubted = any(one.verdict.label != "supported" for one in cited)
    if verdict.label == "supported" and (conflict or doubted):
        return "disagreement"
    if verdict.label in ("uncertain", "unknown") or (
        verdict.score is not None and UNCERTAIN[0] <= verdict.score <= UNCERTAIN[1]
    ):
        return "uncertain"
    return "new_topic" if _nearest(trace) < far else "ordinary"


def _far(traces: Sequence[Trace]) -> float:
    """The similarity below which a question is among the furthest from any passage."""
    near = sorted(_nearest(trace) for trace in traces)
    return near[int(FAR * len(near))] if near else 0.0


def _nearest(trace: Trace) -> float:
    return max((hit.arms["dense"].score for hit in trace.hits if "dense" in hit.arms), default=0.0)


def _lot(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()


def _row(trace: Trace, number: int, claim: Claim) -> dict[str, Any]:
    """What is stored of a sentence, but for how it was drawn."""
    assert trace.answer is not None
    cited = {one.chunk_id for one in trace.answer.citations if one.number in claim.citations}
    passages = trace.context.passages if trace.context is not None else ()
    sources = [
        Source(
            number=passage.number,
            title=passage.chunk.document_title,
            text=passage.chunk.text,
            cited=passage.chunk.id in cited,
        )
        for passage in passages
    ]
    return {
        "id": f"{trace.id}:{number}",
        "trace_id": trace.id,
        "collection": trace.collection,
        "record": {
            "question": trace.question,
            "sentence": claim.text,
            "sources": [asdict(source) for source in sources],
            "verdict": claim.verdict.label,
            "score": claim.verdict.score,
        },
    }
