"""The local verifier: pairs of (contexts, claim) in, one `Support` per pair out; no network, no torch."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from firstfault.types import Evidence, Signal, Support, SupportLabel
from firstfault.verify import signals
from firstfault.verify.passages import Sentence, read, select
from firstfault.verify.sentences import split_claims, without_citations
from firstfault.verify.terms import Term, terms

Pair = tuple[Sequence[str], str]
"""Contexts and the claim that is held against them."""

_SPEECH = re.compile(r"\w")
_BUDGET = 90


class Verifier(Protocol):
    """Whatever can say whether contexts support a claim."""

    def verify_claims(self, pairs: Sequence[Pair]) -> list[Support]:
        """One verdict per pair, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    score: float
    evidence: Sentence | None
    signals: tuple[Signal, ...]


class LocalVerifier:
    """Word overlap and named signals."""

    def verify_claims(self, pairs: Sequence[Pair]) -> list[Support]:
        """One verdict per pair, in order; a pair's verdict does not depend on the others."""
        return [self._verify(list(contexts), claim) for contexts, claim in pairs]

    def _verify(self, contexts: list[str], claim: str) -> Support:
        plain = without_citations(claim)
        if not _SPEECH.search(plain):
            return unknown("the claim is empty")
        if not any(_SPEECH.search(context) for context in contexts):
            return unknown("no context was given, or it is empty")
        sentences = read(contexts)
        judged = [self._judge(plain[a:b], contexts, sentences) for a, b in split_claims(plain)]
        worst = min(judged, key=lambda j: j.score)
        return verdict(worst.score, worst.evidence, worst.signals)

    def _judge(self, claim: str, contexts: list[str], sentences: Sequence[Sentence]) -> _Judged:
        claim_terms: list[Term] = terms(claim)
        chosen = select(sentences, claim_terms, _BUDGET)
        nearest = signals.closest(claim_terms, chosen)
        found = (
            signals.best_passage_recall(claim_terms, chosen),
            signals.number_mismatch(claim, contexts, chosen),
            signals.unseen_entity(claim, contexts),
            signals.negation_conflict(claim, claim_terms, nearest),
            signals.changed_word(claim, nearest),
        )
        values = {signal.name: signal.value for signal in found}
        conflict = max(values["number_mismatch"], values["negation_conflict"], values["unseen_entity"])
        logit = 6 * (values["best_passage_recall"] - 0.65) - 1.5 * conflict
        return _Judged(score=1 / (1 + math.exp(-logit)), evidence=nearest, signals=found)


def verdict(score: float, evidence: Sentence | None, found: tuple[Signal, ...]) -> Support:
    """A score as a verdict."""
    label: SupportLabel = "supported" if score >= 0.6 else "unsupported" if score <= 0.4 else "uncertain"
    status = {"supported": "ok", "uncertain": "warn", "unsupported": "fail"}[label]
    span = None
    if evidence is not None:
        span = Evidence(context=evidence.context, start=evidence.start, end=evidence.end, text=evidence.text)
    return Support(
        name="support",
        status=status,
        measured=score,
        limit=0.6,
        label=label,
        score=score,
        evidence=span,
        signals=found,
    )


def unknown(reason: str) -> Support:
    """The verdict when nothing can be decided."""
    return Support(name="support", status="unknown", reason=reason, label="unknown", score=None)


@cache
def _default() -> LocalVerifier:
    return LocalVerifier()


def verify_claims(pairs: Sequence[Pair]) -> list[Support]:
    """Hold each claim against its contexts with the local verifier.

    A pair is `(contexts, claim)`. Returns one `Support` per pair, in order; the verdict on a pair depends on that
    pair alone. Never raises for odd text and never returns NaN: what cannot be judged is `unknown` with a reason.
    """
    return _default().verify_claims(pairs)


def verify(contexts: Sequence[str], claim: str) -> Support:
    """Hold one claim against its contexts with the local verifier."""
    return verify_claims([(contexts, claim)])[0]
