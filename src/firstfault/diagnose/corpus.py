"""Corpus and chunks: evidence that no search could have found, and why it is not there.

In: a unit of gold evidence that did not reach the prompt. Out: the blame, when the evidence was lost before
the search began; None when a chunk holds it whole.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from firstfault.diagnose.blaming import blame
from firstfault.diagnose.probes import Probes
from firstfault.diagnose.wording import ordinal, quoted
from firstfault.evaluate.evidence import Gold, contributing, find, satisfied, span_of
from firstfault.stages import Stage
from firstfault.types import Blame, Case, Chunk, Trace
from firstfault.verify import split_claims
from firstfault.verify.terms import rarity, terms, words

if TYPE_CHECKING:
    from firstfault.collection import Failure, Revision

SAYS_IT_OTHERWISE = 0.5
"""A sentence that shares at least this part of a quote's words, weighted by rarity, speaks of the same."""
LOST_HALF = 0.5
"""A revision with less than this share of the earlier one's text has lost text rather than changed it."""


def holding(probes: Probes, gold: Gold, version: int) -> dict[int, Chunk]:
    """The chunks that hold a unit of evidence whole, by key."""
    chunks = probes.app.collection.chunks_of(gold.unit.document, version=version)
    return {key: chunk for key, chunk in chunks if satisfied(gold, [span_of(chunk)])}


def corpus(probes: Probes, case: Case, trace: Trace, gold: Gold) -> Blame | None:
    """Blame the corpus: the document is missing, stale, or could not be read."""
    if gold.state == "located":
        return None
    document = gold.unit.document
    revisions = probes.app.collection.revisions_of(document)
    failure = _failure(probes, document)
    if failure is not None:
        return blame(
            case,
            trace,
            Stage.CORPUS,
            "failed_ingest",
            _failed(document, failure),
            verified=False,
            document=document,
        )
    if gold.state == "missing_document":
        return _missing(probes, case, trace, gold, revisions)
    return _changed(probes, case, trace, gold, revisions)


def chunk(probes: Probes, case: Case, trace: Trace, gold: Gold, whole: Mapping[int, Chunk]) -> Blame | None:
    """Blame chunking: no chunk holds the evidence whole."""
    if whole:
        return None
    chunks = probes.app.collection.chunks_of(gold.unit.document, version=trace.corpus_version)
    spans = [span_of(one) for _, one in chunks]
    if not satisfied(gold, spans):
        text = probes.document(gold.unit.document, trace.corpus_version) or ""
        missing = len(text) - _covered(chunks)
        evidence = (
            f"{gold.unit.document} holds {_quote(gold)}, but its {len(chunks)} chunks do not: "
            f"{missing:,} of {len(text):,} characters are in no chunk."
        )
        return blame(case, trace, Stage.CHUNK, "lost_text", evidence, verified=False)
    pieces = [chunks[position] for position in contributing(gold, spans)]
    packed = {passage.chunk.id for passage in trace.context.passages} if trace.context else set()
    found = [one for _, one in pieces if one.id in packed]
    rank = _merged_rank(probes, trace, [one for _, one in pieces])
    top_k = probes.settings(trace).search.top_k
    verified = bool(found) or (rank is not None and rank <= top_k)
    seen = f"{len(found)} of the {len(pieces)} pieces reached the prompt"
    merged = (
        f"; run together, the pieces would be {ordinal(rank)} by exact search" if rank is not None else ""
    )
    evidence = (
        f"No chunk of {gold.unit.document} holds {_quote(gold)} whole: it is cut into {len(pieces)} pieces; "
        f"{seen}{merged}."
    )
    return blame(case, trace, Stage.CHUNK, "split_evidence", evidence, verified=verified)


def _missing(probes: Probes, case: Case, trace: Trace, gold: Gold, revisions: "list[Revision]") -> Blame:
    document = gold.unit.document
    if not revisions:
        evidence = f"The corpus has no document {document}, and never had one."
        return blame(
            case, trace, Stage.CORPUS, "missing_document", evidence, verified=False, document=document
        )
    last = revisions[-1]
    if last.valid_to is not None and last.valid_to <= trace.corpus_version:
        recovered = _recovers(probes, trace, gold, last.valid_from)
        then = "with the corpus as it was before, the evidence reaches the prompt" if recovered else ""
        evidence = f"{document} was taken out of the corpus at version {last.valid_to}; {then}".rstrip("; ")
        return blame(
            case,
            trace,
            Stage.CORPUS,
            "missing_document",
            f"{evidence}.",
            verified=recovered,
            document=document,
        )
    evidence = (
        f"{document} came into the corpus at version {revisions[0].valid_from}, after this request "
        f"(version {trace.corpus_version})."
    )
    return blame(case, trace, Stage.CORPUS, "missing_document", evidence, verified=False, document=document)


def _changed(probes: Probes, case: Case, trace: Trace, gold: Gold, revisions: "list[Revision]") -> Blame:
    """The document is there, without the quote: it is stale, or text was lost on the way in."""
    document, quote = gold.unit.document, gold.unit.quote or ""
    text = probes.document(document, trace.corpus_version) or ""
    for revision in reversed(revisions):
        past = probes.document(document, revision.valid_from) or ""
        if not find(quote, past):
            continue
        recovered = _recovers(probes, trace, gold, revision.valid_from)
        if len(text) < LOST_HALF * len(past):
            evidence = (
                f"{document} has {len(text):,} characters and lacks {_quote(gold)}; its revision of version "
                f"{revision.valid_from} had {len(past):,} and held it."
            )
            return blame(case, trace, Stage.CHUNK, "lost_text", evidence, verified=recovered)
        evidence = (
            f"{document} as it was at the time of the request lacks {_quote(gold)}; "
            f"{_which(probes, trace, revision)} holds it."
        )
        return blame(
            case, trace, Stage.CORPUS, "stale_document", evidence, verified=recovered, document=document
        )
    share, sentence = _closest(quote, text)
    if share >= SAYS_IT_OTHERWISE:
        evidence = f"{document} says {quoted(sentence)} where the case expects {_quote(gold)}."
        return blame(case, trace, Stage.CORPUS, "stale_document", evidence, verified=False, document=document)
    evidence = (
        f"{document} is in the corpus with {len(text):,} characters, and nothing in it resembles "
        f"{_quote(gold)}."
    )
    return blame(case, trace, Stage.CHUNK, "lost_text", evidence, verified=False)


def _which(probes: Probes, trace: Trace, revision: "Revision") -> str:
    """A revision that was not the one in force, and on which side of it: older or newer."""
    if revision.valid_from > trace.corpus_version:
        since = _day(probes, revision.valid_from)
        return f"the newer revision, that of version {revision.valid_from}{since},"
    assert revision.valid_to is not None
    since = _day(probes, revision.valid_to)
    return (
        f"the older revision of version {revision.valid_from}, superseded by version "
        f"{revision.valid_to}{since},"
    )


def _day(probes: Probes, version: int) -> str:
    at = probes.app.collection.changed_at(version)
    return f" on {at[:10]}" if at else ""


def _closest(quote: str, text: str) -> tuple[float, str]:
    """The sentence that holds most of a quote's words, and which share of them."""
    wanted = {term.stem for term in terms(quote)}
    total = sum(rarity(stem) for stem in wanted)
    best = (0.0, "")
    for start, end in split_claims(text):
        shared = sum(rarity(stem) for stem in wanted & words(text[start:end]))
        if total and shared / total > best[0]:
            best = (shared / total, text[start:end])
    return best


def _recovers(probes: Probes, trace: Trace, gold: Gold, version: int) -> bool:
    """Whether the evidence reaches the prompt with the corpus of another version."""
    context = probes.at_version(trace, version).context
    if context is None:
        return False
    texts = [passage.chunk for passage in context.passages if passage.chunk.document_id == gold.unit.document]
    return any(gold.unit.quote is None or find(gold.unit.quote, one.text) for one in texts)


def _merged_rank(probes: Probes, trace: Trace, pieces: list[Chunk]) -> int | None:
    """Where exact search would put the pieces if they were one chunk; None when they are far apart."""
    text = probes.document(pieces[0].document_id, trace.corpus_version)
    start, end = min(one.start for one in pieces), max(one.end for one in pieces)
    if text is None or end - start > 4 * max(one.end - one.start for one in pieces) + 2000:
        return None
    ranks = probes.ranks(trace, trace.where)
    merged = probes.app.embedder.embed([text[start:end]], kind="document")[0]
    score = float(merged @ ranks.query.vector)
    return 1 + sum(other > score for other in ranks.dense_scores)


def _failure(probes: Probes, document: str) -> "Failure | None":
    for failure in probes.app.collection.failures():
        if failure.document_id == document:
            return failure
    return None


def _failed(document: str, failure: "Failure") -> str:
    stale = "; an earlier revision of it is still served" if failure.stale else ""
    return f"{document} could not be ingested: {failure.reason} ({failure.source}){stale}."


def _covered(chunks: list[tuple[int, Chunk]]) -> int:
    """Characters of a document that lie in a chunk."""
    covered, reached = 0, 0
    for _, one in chunks:
        covered += max(0, one.end - max(one.start, reached))
        reached = max(reached, one.end)
    return covered


def _quote(gold: Gold) -> str:
    return quoted(gold.unit.quote) if gold.unit.quote else "any text"
