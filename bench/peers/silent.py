"""Silent misbehaviour: in goes one peer, out comes what it did in seven situations where it should object.

Nothing here judges by reading the peer's code: each verdict comes from calling it on a small corpus (qa/xquad
plus a pair of twins) and says what came back. `misbehaves` is true, false, or null with a reason.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.peers.corpus import Passage, xquad_documents, xquad_questions

from bench import ranking

if TYPE_CHECKING:
    from bench.peers.measure import Peer

SHARDS = 20
"""240 documents in 20 shards: a filter on one shard admits 12, more than the 10 that are asked for."""
TWIN_TEXT = "The lighthouse keeper of Vlieland wound the brass clockwork of the lamp twice in every night."
MARK = "zorblattmark"
"""A word that stands in one document's metadata and in nobody's text."""
NONSENSE = "qzxvkw jjhgfwq wwzzkq"
"""Words that stand in no document."""
TOP = 10


def battery(build: Callable[[Path], Peer], model: Path, home: Path) -> dict[str, Any]:
    """Ingest the small corpus into a fresh home and try every situation."""
    from bench.peers.measure import identity

    documents = _corpus()
    peer = build(model)
    peer.prepare()
    seen: list[str] = []
    peer.record_embedded(seen)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    peer.ingest(documents, home)
    questions = [question.text for question in xquad_questions()[::24]]
    try:
        return {
            **identity(peer),
            "found": {
                "unknown_filter_field": _unknown_field(peer),
                "short_filtered_lists": _short_lists(peer, documents, questions),
                "results_that_fail_the_filter": _failing(peer, documents, questions),
                "lexical_results_without_a_term": _without_a_term(peer, documents),
                "equal_texts_merged": _twins(peer),
                "metadata_embedded_unasked": _metadata_embedded(seen),
                "empty_query_answered": _empty_query(peer),
            },
        }
    finally:
        peer.close()


def _corpus() -> list[Passage]:
    documents = [
        Passage(id=one.id, title=one.title, text=one.text, metadata={"source": "xquad", "shard": _shard(at)})
        for at, one in enumerate(xquad_documents())
    ]
    marked = {"source": MARK, "shard": "twins"}
    return [
        *documents,
        Passage(id="twin-a", title="Lamps", text=TWIN_TEXT, metadata=marked),
        Passage(id="twin-b", title="Lamps", text=TWIN_TEXT, metadata=marked),
    ]


def _shard(number: int) -> str:
    return f"s{number % SHARDS:02d}"


def _unknown_field(peer: Peer) -> dict[str, Any]:
    where = {"no_such_field": "x"}
    outcomes, misbehaves = [], False
    for label, call in (("fused", peer.search), ("dense arm alone", peer.dense)):
        count, error = _attempt(call, "Who won the game?", TOP, where)
        outcomes.append(f"{label}: " + (f"refused: {error}" if error else f"{count} documents and no error"))
        misbehaves = misbehaves or error is None
    return {"misbehaves": misbehaves, "detail": "; ".join(outcomes)}


def _short_lists(peer: Peer, documents: Sequence[Passage], questions: Sequence[str]) -> dict[str, Any]:
    wanted = _admitted(documents)
    counts = []
    for question in questions:
        names = ranking.first_seen(peer.search(question, TOP, {"shard": _shard(7)}))
        counts.append(sum(name in wanted for name in names))
    mean = ranking.mean(counts)
    detail = f"{mean:.1f} admitted documents came of {TOP} asked for; {len(wanted)} satisfy the filter"
    return {"misbehaves": mean < TOP - 0.5, "admitted_returned_mean": mean, "detail": detail}


def _failing(peer: Peer, documents: Sequence[Passage], questions: Sequence[str]) -> dict[str, Any]:
    wanted = _admitted(documents)
    fused = lexical = 0.0
    lexical_known = True
    for question in questions:
        where = {"shard": _shard(7)}
        fused += sum(name not in wanted for name in ranking.first_seen(peer.search(question, TOP, where)))
        arm = peer.lexical(question, TOP, where)
        if arm is None:
            lexical_known = False
        else:
            lexical += sum(name not in wanted for name in ranking.first_seen(arm))
    fused, lexical = fused / len(questions), lexical / len(questions)
    arm_text = f"{lexical:.1f} from the lexical arm" if lexical_known else "the lexical arm cannot be called"
    detail = f"{fused:.1f} of up to {TOP} fused results fail the filter; {arm_text}"
    return {"misbehaves": fused > 0 or lexical > 0, "fused_failing_mean": fused, "detail": detail}


def _without_a_term(peer: Peer, documents: Sequence[Passage]) -> dict[str, Any]:
    arm = peer.lexical(NONSENSE, TOP)
    if arm is None:
        return {"misbehaves": None, "detail": "the lexical arm cannot be called alone"}
    word, name = _rare_word(documents)
    rare = ranking.first_seen(peer.lexical(word, TOP) or [])
    nothing = ranking.first_seen(arm)
    credited = len(set(ranking.first_seen(peer.search(NONSENSE, TOP))) & set(nothing))
    strangers = sum(one != name for one in rare)
    detail = (
        f"{len(nothing)} documents for words in no document, {credited} of them in the fused ten; "
        f"{strangers} strangers for a word in one document"
    )
    return {"misbehaves": bool(nothing or strangers), "detail": detail}


def _twins(peer: Peer) -> dict[str, Any]:
    names = ranking.first_seen(peer.search(TWIN_TEXT, TOP))
    found = [name for name in ("twin-a", "twin-b") if name in names]
    detail = f"{len(found)} of 2 documents with equal text and metadata came back for that text"
    return {"misbehaves": len(found) < 2, "detail": detail}


def _metadata_embedded(seen: Sequence[str]) -> dict[str, Any]:
    if not any(TWIN_TEXT in text for text in seen):
        return {"misbehaves": None, "detail": "the texts handed to the embedder were not observed"}
    shown = next(text for text in seen if TWIN_TEXT in text)
    detail = f"the embedder was handed {shown[:70]!r}..."
    return {"misbehaves": MARK in shown or "Lamps" in shown, "detail": detail}


def _empty_query(peer: Peer) -> dict[str, Any]:
    outcomes, misbehaves = [], False
    for label, query in (("''", ""), ("'   '", "   ")):
        count, error = _attempt(peer.search, query, TOP)
        outcomes.append(f"{label}: " + (f"refused: {error}" if error else f"{count} documents"))
        misbehaves = misbehaves or count > 0
    return {"misbehaves": misbehaves, "detail": "; ".join(outcomes)}


def _attempt(call: Callable[..., list[str]], *arguments: object) -> tuple[int, str | None]:
    """How many documents came, or the error that came instead."""
    try:
        return len(ranking.first_seen(call(*arguments))), None
    except Exception as error:  # noqa: BLE001  any refusal is an answer here, whatever its class
        return 0, f"{type(error).__name__}: {' '.join(str(error).split())[:110]}"


def _admitted(documents: Sequence[Passage]) -> set[str]:
    return {one.id for one in documents if one.metadata["shard"] == _shard(7)}


def _rare_word(documents: Sequence[Passage]) -> tuple[str, str]:
    """A long word of one document only, even by its first five letters, so that stemming finds no other."""
    stems = Counter(stem for one in documents for stem in {word[:5] for word in _words(one)})
    for one in documents:
        for word in _words(one):
            if len(word) >= 9 and stems[word[:5]] == 1:
                return word, one.id
    raise ValueError("No word of the corpus is rare enough.")


def _words(one: Passage) -> list[str]:
    text = " ".join([one.text, one.title, *one.metadata.values()])
    return re.findall(r"[a-z]+", text.lower())
