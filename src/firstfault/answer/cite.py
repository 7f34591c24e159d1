"""Checking: every sentence against the passages, every citation against its sentence.

In: the generator's words and the packed context. Out: an answer whose citations exist, quote their
document byte for byte, and carry a verdict; sentences without support are marked or removed.

A model is never trusted to cite. A mark that names no passage is dropped. A mark whose passage does not
support its sentence gives way to one that does, if there is one. A supported sentence without a mark
gets one. Each of these is an event on the trace.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from firstfault.answer.prompt import ABSTENTION, abstains
from firstfault.trace import OpenSpan
from firstfault.types import Answer, Citation, Claim, Context, Passage, Support
from firstfault.verify import Verifier, split_claims

Policy = Literal["annotate", "strip", "abstain"]

MARK = re.compile(r"\s*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
_WORD = re.compile(r"\w")


@dataclass(slots=True)
class Checked:
    """A sentence of the raw output with what was found about it."""

    start: int
    end: int
    """Offsets into the raw output, marks included."""
    text: str
    """Without marks."""
    support: Support
    sources: list[tuple[Passage, Support]] = field(default_factory=list)
    """The passages it cites after correction, with the verdict of each."""


def check(
    raw: str,
    context: Context,
    *,
    verifier: Verifier,
    span: OpenSpan,
    spans: Sequence[tuple[int, int]] | None = None,
    marks_asked: bool = True,
) -> list[Checked]:
    """Verify each sentence of the raw output. Abstentions and repetitions are left out.

    `spans` says what is a sentence, instead of the splitter. Where marks were not asked for, a citation that
    is added is no event.
    """
    sentences: list[tuple[int, int, str, list[int]]] = []
    seen: set[str] = set()
    for start, end in split_claims(raw) if spans is None else spans:
        marks = [int(n) for found in MARK.finditer(raw, start, end) for n in re.findall(r"\d+", found[1])]
        text = MARK.sub("", raw[start:end]).strip()
        if not _WORD.search(text):
            if marks and sentences:  # marks on a line of their own belong to the sentence before them
                before = sentences[-1]
                sentences[-1] = (before[0], end, before[2], [*before[3], *marks])
            continue
        if abstains(text):
            continue
        if text.casefold() in seen:
            span.event("repeated_sentence", sentence=text)
            continue
        seen.add(text.casefold())
        sentences.append((start, end, text, marks))
    passages = context.passages
    pairs = [([_titled(passage)], text) for _, _, text, _ in sentences for passage in passages]
    verdicts = [
        _in_text(verdict, passage)
        for verdict, passage in zip(
            verifier.verify_claims(pairs), list(passages) * len(sentences), strict=True
        )
    ]
    width = len(passages)
    checked = []
    for row, (start, end, text, marks) in enumerate(sentences):
        by_passage = verdicts[row * width : (row + 1) * width]
        sources = _attribute(
            text, marks, list(zip(passages, by_passage, strict=True)), span, marks_asked=marks_asked
        )
        support = _whole(text, [passage for passage, _ in sources], by_passage, verifier)
        checked.append(Checked(start=start, end=end, text=text, support=support, sources=sources))
    return checked


def _whole(text: str, cited: Sequence[Passage], by_passage: Sequence[Support], verifier: Verifier) -> Support:
    """The verdict on a sentence: that of the best passage alone, or of all that it cites together.

    What it does not cite cannot add up to support: words of one passage with a name from another would.
    """
    if not by_passage:
        return verifier.verify_claims([([], text)])[0]
    best = max(by_passage, key=_strength)
    if best.label == "supported" or len(cited) < 2:
        return best
    together = verifier.verify_claims([([_titled(passage) for passage in cited], text)])[0]
    if together.evidence is not None:
        together = _in_text(together, cited[together.evidence.context])
    return max(best, together, key=_strength)


def _titled(passage: Passage) -> str:
    """A passage as the model saw it: its title names what the text calls "it"."""
    return f"{passage.chunk.document_title}\n\n{passage.chunk.text}"


def _in_text(support: Support, passage: Passage) -> Support:
    """A verdict whose evidence points into the passage's text, without the title before it."""
    if support.evidence is None:
        return support
    shift = len(passage.chunk.document_title) + 2
    start, end = support.evidence.start - shift, support.evidence.end - shift
    if end <= 0:
        return replace(support, evidence=None)
    start = max(start, 0)
    evidence = replace(support.evidence, start=start, end=end, text=passage.chunk.text[start:end])
    return replace(support, evidence=evidence)


_RANK = {"supported": 3, "uncertain": 2, "unsupported": 1, "unknown": 0}


def _strength(support: Support) -> tuple[int, float]:
    return _RANK[support.label], support.score or 0.0


def _attribute(
    text: str,
    marks: Sequence[int],
    candidates: list[tuple[Passage, Support]],
    span: OpenSpan,
    *,
    marks_asked: bool,
) -> list[tuple[Passage, Support]]:
    """The passages a sentence should cite: those it named that hold, else the best one that does."""
    by_number = {passage.number: (passage, support) for passage, support in candidates}
    named = []
    for mark in dict.fromkeys(marks):
        if mark in by_number:
            named.append(by_number[mark])
        else:
            span.event("fabricated_citation", mark=mark, sentence=text)
    holding = [pair for pair in named if pair[1].label == "supported"]
    if holding:
        for passage, _ in (pair for pair in named if pair not in holding):
            span.event("misattributed_citation", mark=passage.number, sentence=text)
        return holding
    best = max(candidates, key=lambda pair: (*_strength(pair[1]), -pair[0].number), default=None)
    if best is not None and best[1].label == "supported":
        for passage, _ in named:
            span.event("misattributed_citation", mark=passage.number, sentence=text)
        if marks_asked:
            span.event("citation_added", mark=best[0].number, sentence=text)
        return [best]
    return named


def compose(raw: str, checked: Sequence[Checked], *, policy: Policy) -> Answer:
    """Apply the policy and write the answer, its sentences and its numbered citations.

    `annotate` marks what is not supported, `strip` removes unsupported sentences, `abstain` withholds
    the whole answer when one sentence is unsupported.
    """
    failing = [item for item in checked if item.support.label == "unsupported"]
    if policy == "abstain" and failing:
        kept: list[Checked] = []
        removed = list(checked)
    elif policy == "strip":
        kept = [item for item in checked if item not in failing]
        removed = failing
    else:
        kept, removed = list(checked), []
    if not kept:
        return Answer(
            text=ABSTENTION,
            abstained=True,
            claims=(),
            citations=(),
            removed=tuple(_removed(item) for item in removed),
            raw=raw,
        )
    citations: dict[tuple[str, int, int, str], Citation] = {}
    claims: list[Claim] = []
    text = ""
    before = 0
    for item in kept:
        text += _gap(raw, before, item.start) if text else ""
        before = item.end
        start = len(text)
        numbers = tuple(cite(passage, support, citations) for passage, support in item.sources)
        text += _with_marks(item.text, "".join(f"[{number}]" for number in numbers))
        if item.support.label != "supported":
            text += f" [{item.support.label}]"
        claims.append(
            Claim(text=item.text, start=start, end=len(text), citations=numbers, verdict=item.support)
        )
    return Answer(
        text=text,
        abstained=False,
        claims=tuple(claims),
        citations=tuple(citations.values()),
        removed=tuple(_removed(item) for item in removed),
        raw=raw,
    )


def _removed(item: Checked) -> Claim:
    return Claim(text=item.text, start=item.start, end=item.end, citations=(), verdict=item.support)


def _gap(raw: str, start: int, end: int) -> str:
    """What stood between two sentences: a line break stays one, anything else becomes a space."""
    between = raw[start:end]
    return "\n" * min(between.count("\n"), 2) if "\n" in between else " "


def _with_marks(sentence: str, marks: str) -> str:
    """Marks go before the final punctuation, as in print: `Water is wet [1].`"""
    if not marks:
        return sentence
    body = sentence.rstrip(".!?:;")
    return f"{body} {marks}{sentence[len(body) :]}"


def cite(passage: Passage, support: Support, citations: dict[tuple[str, int, int, str], Citation]) -> int:
    """The number of the citation for this passage and quote; a new one is added when it is new."""
    chunk = passage.chunk
    found = support.evidence
    start, end = (found.start, found.end) if found is not None else (0, len(chunk.text))
    key = (chunk.id, start, end, support.label)
    if key not in citations:
        citations[key] = Citation(
            number=len(citations) + 1,
            document_id=chunk.document_id,
            document_title=chunk.document_title,
            chunk_id=chunk.id,
            cited_text=chunk.text[start:end],
            start_char_index=chunk.start + start,
            end_char_index=chunk.start + end,
            verdict=support,
        )
    return citations[key].number
