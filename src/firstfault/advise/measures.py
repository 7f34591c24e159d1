"""What a bake-off measures beyond a run: results and traces in, results that arms can be compared by out.

Arms without retrieval have no passages that a sentence could be held against, so what is hallucinated is
judged by the same yardstick in every arm: the passages, the gold evidence and the expected answer.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from firstfault.evaluate import Locator
from firstfault.evaluate.metrics import said
from firstfault.types import Case, CaseResult, Score, Trace
from firstfault.verify import Verifier, split_claims

if TYPE_CHECKING:
    from firstfault.answer import Application

QUALITY = "quality"
HALLUCINATION = "hallucination_rate"
FIRST_TRY = "format_first_try"
STYLE = "style_similarity"
FIRST_TOKEN = "latency_first_token"  # noqa: S105 - a moment, no secret
TOTAL = "latency_total"

MEASURES = (
    QUALITY,
    "answer_correctness",
    "faithfulness",
    HALLUCINATION,
    "citation_recall",
    "citation_precision",
    "abstention_accuracy",
    "format_validity",
    FIRST_TRY,
    STYLE,
    FIRST_TOKEN,
    TOTAL,
)
"""What arms are compared by, in the order in which it is shown."""

LEAST_STYLED = 8
"""Words that an expected answer needs for its style to be worth comparing."""

_WORD = re.compile(r"\w+(?:['’]\w+)?")
_MARK = re.compile(r"[^\w\s]")
_FUNCTION_WORDS = frozenset(
    "a an the and or but if so as at by for from in into of on to with about after before be is are was were "
    "been being do does did have has had can could may might must shall should will would i you he she it we "
    "they me him her us them my your his its our their this that these those not no who which what when "
    "where how than then there here please very just only also".split()
)


def comparable(
    app: "Application", results: Sequence[CaseResult], traces: Mapping[str, Trace]
) -> list[CaseResult]:
    """The results with every measure of `MEASURES` as a score; what cannot be measured says why."""
    verifier = app.verifier(app.settings.verifier)
    locator = Locator(app)
    return [
        replace(
            result,
            scores={
                **result.scores,
                **_extra(
                    result, traces.get(result.trace_id or ""), app=app, locator=locator, verifier=verifier
                ),
            },
        )
        for result in results
    ]


def _extra(
    result: CaseResult,
    trace: Trace | None,
    *,
    app: "Application",
    locator: Locator,
    verifier: Verifier,
) -> dict[str, Score]:
    scores = {
        QUALITY: quality(result),
        FIRST_TOKEN: _timing(result, "time_to_first_token"),
        TOTAL: _timing(result, "total"),
    }
    case = result.case
    if trace is None or trace.answer is None or case is None:
        reason = (result.error and "the request failed") or "its trace is no longer kept"
        return scores | {name: Score(value=None, reason=reason) for name in (FIRST_TRY, STYLE)}
    made = trace.format
    scores[FIRST_TRY] = (
        Score(value=float(made.first_try))
        if made is not None
        else Score(value=None, reason="no value was written")
    )
    words = said(trace, trace.answer)
    scores[STYLE] = style(words if trace.schema is None else "", case.answer)
    scores["hallucination_rate"] = _hallucinated(trace, case, app, locator, verifier)
    return scores


def quality(result: CaseResult) -> Score:
    """What the caller got of what was asked for, 0 to 1.

    Agreement with the expected answer; where none can be expected, whether it abstained; where nothing is
    known, faithfulness. Nothing of it counts when the request failed or the output breaks its schema.
    """
    if result.error is not None:
        return Score(value=0.0)
    found = next(
        (
            value
            for name in ("answer_correctness", "abstention_accuracy", "faithfulness")
            if (value := result.scores[name].value) is not None
        ),
        None,
    )
    if found is None:
        return Score(value=None, reason="the case says nothing about its answer")
    valid = result.scores["format_validity"].value
    return Score(value=found * (1.0 if valid is None else valid))


def style(text: str, expected: str | None) -> Score:
    """Likeness of the form of an answer to that of the expected one, 0 to 1; what they say does not count.

    The mean of four: length of the answer, length of its sentences, punctuation, and function words (after
    Mosteller and Wallace 1964: the words that an author does not choose).
    """
    if expected is None or len(_WORD.findall(expected)) < LEAST_STYLED:
        return Score(value=None, reason=f"no expected answer of {LEAST_STYLED} words or more")
    if not text.strip():
        return Score(value=None, reason="no answer in prose")
    ours, theirs = (_WORD.findall(one.lower()) for one in (text, expected))
    marks = (Counter(_MARK.findall(one)) for one in (text, expected))
    functions = (Counter(word for word in one if word in _FUNCTION_WORDS) for one in (ours, theirs))
    per_sentence = [
        len(words) / max(1, len(split_claims(one))) for words, one in ((ours, text), (theirs, expected))
    ]
    parts = (
        _ratio(len(ours), len(theirs)),
        _ratio(*per_sentence),
        _overlap(*marks),
        _overlap(*functions),
    )
    return Score(value=sum(parts) / len(parts))


def _ratio(one: float, other: float) -> float:
    return min(one, other) / max(one, other) if max(one, other) else 1.0


def _overlap(one: Counter[str], other: Counter[str]) -> float:
    """Shared counts over all counts (Ruzicka)."""
    whole = (one | other).total()
    return (one & other).total() / whole if whole else 1.0


def _timing(result: CaseResult, name: str) -> Score:
    value = result.timings_ms.get(name)
    return Score(value=value) if value is not None else Score(value=None, reason="nothing was generated")


def _hallucinated(
    trace: Trace, case: Case, app: "Application", locator: Locator, verifier: Verifier
) -> Score:
    """Share of the sentences that neither passages nor gold evidence nor the expected answer supports."""
    assert trace.answer is not None
    claims = trace.answer.claims
    if not claims:
        return Score(value=None, reason="the answer makes no claim")
    references = [f"{case.question}\n\n{case.answer}"] if case.answer else []
    for unit in case.evidence:
        text = locator.text(unit.document)
        if text is None:
            continue
        chunks = [chunk.text for _, chunk in app.collection.chunks_of(unit.document)]
        held = [chunk for chunk in chunks if unit.quote is None or unit.quote[:40] in chunk]
        references += held or ([unit.quote] if unit.quote else [])
    doubtful = [claim for claim in claims if claim.verdict.label != "supported"]
    if not references:
        judged = [claim for claim in claims if claim.verdict.label != "unknown"]
        if not judged:
            return Score(value=None, reason="there is nothing that it could be held against")
        return Score(value=sum(one.verdict.label != "supported" for one in judged) / len(judged))
    verdicts = verifier.verify_claims([([one], claim.text) for claim in doubtful for one in references])
    width = len(references)
    lost = sum(
        all(verdict.label != "supported" for verdict in verdicts[row * width : (row + 1) * width])
        for row in range(len(doubtful))
    )
    return Score(value=lost / len(claims))
