"""Test sets of other tools: Ragas, BEIR and SQuAD files in, cases and their documents out.

Where a format knows passages but no document ids, a passage becomes a document whose id is a hash of its
text; it can be written out and ingested, or matched to documents that are stored already.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from firstfault.errors import InputError
from firstfault.files import read_text, write_rows
from firstfault.types import Case, EvidenceUnit

if TYPE_CHECKING:
    from firstfault.answer import Application

Format = Literal["ragas", "beir", "squad"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document that an imported test set brings along."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A test set."""

    cases: tuple[Case, ...]
    documents: tuple[Source, ...]
    """Every document of the set, each once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Cases whose evidence was looked for among stored documents."""

    cases: tuple[Case, ...]
    matched: int
    """Units of evidence that now name a stored document."""
    unmatched: tuple[str, ...]
    """Ids of cases with a unit that stands in no stored document; such units are left out."""


def import_cases(path: Path, kind: Format, *, split: str = "test") -> Imported:
    """Read a test set. `split` names the judgements of a BEIR folder: `qrels/{split}.tsv`.

    Raises:
        InputError: the file is missing, or not in that format; names the place.
    """
    match kind:
        case "beir":
            found = _beir(path, split)
        case "ragas":
            found = _ragas(path)
        case "squad":
            found = _squad(path)
    if not found.cases:
        raise InputError(f"{path} holds no case.", hint=f"Check that it is in the format '{kind}'.")
    return found


def write_documents(documents: Iterable[Source], path: Path) -> None:
    """Write documents as JSONL that `firstfault ingest` reads.

    Raises:
        InputError: the file cannot be written.
    """
    write_rows(path, ({"id": one.id, "title": one.title, "text": one.text} for one in documents))


def match(found: Imported, app: "Application") -> Matched:
    """Let evidence name the stored documents that hold it, white space and case aside.

    A unit with a quote keeps it; one without takes its whole passage as the quote. Of several documents
    that hold the text, the first by id is named.
    """
    passages = {one.id: one.text for one in found.documents}
    wanted = {unit.quote or passages[unit.document] for case in found.cases for unit in case.evidence}
    waiting = {_plain(text): text for text in sorted(wanted)}
    homes: dict[str, str] = {}
    for row in app.collection.documents():
        text = _plain(app.collection.document(row.id).text)
        for plain in [plain for plain in waiting if plain in text]:
            homes[waiting.pop(plain)] = row.id
        if not waiting:
            break
    cases, count, unmatched = [], 0, []
    for case in found.cases:
        quotes = [unit.quote or passages[unit.document] for unit in case.evidence]
        units = [EvidenceUnit(document=homes[quote], quote=quote) for quote in quotes if quote in homes]
        count += len(units)
        if len(units) < len(quotes):
            unmatched.append(case.id)
        cases.append(replace(case, evidence=tuple(units)))
    return Matched(cases=tuple(cases), matched=count, unmatched=tuple(unmatched))


def _squad(path: Path) -> Imported:
    """SQuAD 1.1 and 2.0: the evidence quote is the sentence that holds the first answer."""
    from firstfault.verify import split_claims

    cases, documents = [], {}
    content = _json(path)
    hint = 'SQuAD is {"data": [{"title", "paragraphs": [{"context", "qas": [...]}]}]}.'
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                context = paragraph["context"]
                source = _source("squad", article.get("title", ""), context)
                documents[source.id] = source
                sentences = split_claims(context)
                for entry in paragraph["qas"]:
                    answers = entry.get("answers") or []
                    impossible = bool(entry.get("is_impossible", False)) or not answers
                    case = Case(id=str(entry["id"]), question=entry["question"], answerable=not impossible)
                    if not impossible:
                        at = answers[0]["answer_start"]
                        start, end = next((s for s in sentences if s[0] <= at < s[1]), (0, len(context)))
                        unit = EvidenceUnit(document=source.id, quote=context[start:end])
                        case = replace(case, answer=answers[0]["text"], evidence=(unit,))
                    cases.append(case)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{path} is not in the format of SQuAD: {error!r}.", hint=hint) from error
    return Imported(cases=tuple(cases), documents=tuple(documents.values()))


def _ragas(path: Path) -> Imported:
    """Ragas evaluation sets and test sets, both naming schemes. Retrieved contexts are no evidence."""
    cases, documents = [], {}
    for number, row in enumerate(_rows(path), start=1):
        place = f"{path}, row {number},"
        question = row.get("user_input", row.get("question"))
        if not isinstance(question, str) or not question.strip():
            raise InputError(
                f"{place} has no user_input or question in one piece.",
                hint="Conversations of several turns cannot be imported; give single questions.",
            )
        answers = row.get("reference", row.get("ground_truth", row.get("ground_truths")))
        answer = answers[0] if isinstance(answers, list) and answers else answers
        generated = "evolution_type" in row  # a test set of Ragas 0.1 keeps its gold passages in `contexts`
        passages = row.get("reference_contexts") or (row.get("contexts") if generated else None) or []
        if not isinstance(passages, list) or not all(isinstance(one, str) for one in passages):
            raise InputError(
                f"{place} has reference_contexts that are no texts.", hint="Give a list of texts."
            )
        sources = [_source("ragas", "", text) for text in passages if text.strip()]
        documents.update({source.id: source for source in sources})
        cases.append(
            Case(
                id=str(row.get("id", number)),
                question=question,
                answer=answer if isinstance(answer, str) and answer.strip() else None,
                evidence=tuple(EvidenceUnit(document=source.id) for source in sources),
            )
        )
    return Imported(cases=tuple(cases), documents=tuple(documents.values()))


def _beir(path: Path, split: str) -> Imported:
    """A BEIR folder: every query with a judgement above 0, its evidence the documents so judged."""
    relevant: dict[str, list[str]] = {}
    judgements = path / "qrels" / f"{split}.tsv"
    for row in csv.reader(read_text(judgements).splitlines(), delimiter="\t"):
        if len(row) < 3:
            raise InputError(
                f"{judgements} has a row of {len(row)} columns.",
                hint="It needs query-id, corpus-id and score.",
            )
        if row[2].lstrip("-").isdigit() and int(row[2]) > 0:
            relevant.setdefault(row[0], []).append(row[1])
    queries = {str(row.get("_id")): str(row.get("text", "")) for row in _rows(path / "queries.jsonl")}
    documents = tuple(
        Source(id=str(row.get("_id")), title=str(row.get("title", "")), text=str(row.get("text", "")))
        for row in _rows(path / "corpus.jsonl")
    )
    cases = tuple(
        Case(
            id=query,
            question=queries[query],
            answerable=True,
            evidence=tuple(EvidenceUnit(document=document) for document in judged),
        )
        for query, judged in relevant.items()
        if queries.get(query, "").strip()
    )
    return Imported(cases=cases, documents=documents)


def _source(prefix: str, title: str, text: str) -> Source:
    identity = f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return Source(id=identity, title=title or identity, text=text)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list or of JSONL."""
    content = read_text(path)
    if content.lstrip().startswith("["):
        rows: Iterable[Any] = _json(path)
    else:
        rows = (_parse(line, f"{path}:{n}") for n, line in enumerate(content.splitlines(), 1) if line.strip())
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(f"{path}, row {number}, is not a JSON object.", hint="Give one object a row.")
        yield row


def _json(path: Path) -> Any:
    return _parse(read_text(path), str(path))


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{place} is not valid JSON: {error}.", hint="Correct it.") from error
