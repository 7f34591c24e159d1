"""The local verifier: pairs of (contexts, claim) in, one `Support` per pair out; no network access, no
torch."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from firstfault.types import Evidence, Signal, Status, Support, SupportLabel
from firstfault.verify.calibration import SHIPPED, Calibration, RawScore, Shape, load
from firstfault.verify.crossencoder import WEIGHTS, CrossEncoder
from firstfault.verify.language import language
from firstfault.verify.measures import Measures, measure, together
from firstfault.verify.passages import Source, pieces, read
from firstfault.verify.sentences import split_claims, without_citations

Pair = tuple[Sequence[str], str]
"""Contexts and the claim that is held against them."""

_SPEECH = re.compile(r"\w")
_CONFLICTS = ("number_mismatch", "negation_conflict", "unseen_entity", "exchanged_name", "reversed_copy")
_SHOWN = 0.5
"""A conflict of at least this value is named in the reason."""
_HOME_LANGUAGE = "English"
"""What the network was trained on."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is known about a claim."""

    worst: Measures
    """Those of its weakest sentence, the first of equals."""
    raw: RawScore


class Verifier(Protocol):
    """Whatever can say whether contexts support a claim."""

    @property
    def name(self) -> str:
        """What judged: recorded with every trace."""
        ...

    def verify_claims(self, pairs: Sequence[Pair]) -> list[Support]:
        """One verdict per pair, in order."""
        ...


class LocalVerifier:
    """A small cross-encoder and named signals, calibrated; everything ships inside the package."""

    def __init__(
        self, *, weights: Path = WEIGHTS, calibration: Calibration | None = None, threads: int = 1
    ) -> None:
        self.calibration = calibration or load(SHIPPED)
        self._network = CrossEncoder(weights, threads=threads)

    @property
    def name(self) -> str:
        """`local` and a fingerprint of weights and calibration."""
        print_ = hashlib.sha256(f"{self._network.fingerprint}{self.calibration}".encode()).hexdigest()
        return f"local-{print_[:8]}"

    def verify_claims(self, pairs: Sequence[Pair]) -> list[Support]:
        """One verdict per pair, in order; a pair's verdict does not depend on the others."""
        sources: dict[tuple[str, ...], Source] = {}
        verdicts = []
        for contexts, claim in pairs:
            key = tuple(contexts)
            if key not in sources:
                sources[key] = read(key)
            verdicts.append(self._verify(sources[key], claim))
        return verdicts

    def raw_scores(self, pairs: Sequence[Pair]) -> list[RawScore | None]:
        """The uncalibrated scores, which a calibration is fitted on; None where nothing can be judged."""
        scores: list[RawScore | None] = []
        for contexts, claim in pairs:
            source = read(tuple(contexts))
            scores.append(None if why_unknown(source, claim) else self._judge(source, claim).raw)
        return scores

    def _verify(self, source: Source, claim: str) -> Support:
        obstacle = why_unknown(source, claim)
        if obstacle:
            return unknown(obstacle)
        judged = self._judge(source, claim)
        return self._verdict(judged.worst, judged.raw)

    def _judge(self, source: Source, claim: str) -> _Judged:
        """Measure each sentence of the claim; sentences without a word are skipped."""
        plain = without_citations(claim)
        network = self._network if language(plain) in (None, _HOME_LANGUAGE) else None
        spans = [(start, end) for start, end in split_claims(plain) if _SPEECH.search(plain, start, end)]
        parts = [plain[a:b] for start, end in spans for a, b in pieces(plain, start, end)]
        measured = [measure(text, source, network) for text in parts if _SPEECH.search(text)]
        raws = [measures.raw for measures in measured]
        shape = Shape(sentences=len(spans), passages=source.passages, broken=source.broken)
        return _Judged(measured[raws.index(min(raws))], RawScore(value=together(raws), shape=shape))

    def _verdict(self, worst: Measures, raw: RawScore) -> Support:
        calibration = self.calibration
        score = calibration.probability(calibration.level(raw))
        shown = calibration.probability(raw.value)
        label: SupportLabel = "uncertain"
        status: Status = "warn"
        # That answers are mostly right, and what a context that breaks off might go on to say, can excuse a
        # claim; only what is there supports it.
        if min(score, shown) >= calibration.upper:
            label, status = "supported", "ok"
        elif score < calibration.lower:
            label, status = "unsupported", "fail"
        evidence = None
        if worst.evidence is not None:
            at = worst.evidence
            evidence = Evidence(context=at.context, start=at.start, end=at.end, text=at.text)
        return Support(
            name="support",
            status=status,
            measured=score,
            limit=calibration.upper,
            reason=_reason(label, worst, raw.shape),
            remedy=""
            if status == "ok"
            else "Read the evidence; ask again with more context, or drop the claim.",
            label=label,
            score=score,
            evidence=evidence,
            signals=worst.signals,
        )


def why_unknown(source: Source, claim: str) -> str:
    """Why nothing can be said about a claim; empty when something can."""
    plain = without_citations(claim)
    if not _SPEECH.search(plain):
        return "The claim is empty: it has no word to check."
    if not source.sentences or not source.known:
        return "No context was given, or it has no word in it."
    spoken = language(plain)
    if spoken is not None and None not in source.languages and spoken not in source.languages:
        others = " and ".join(sorted(name for name in source.languages if name is not None))
        return f"The claim is in {spoken}, the context in {others}: the local verifier does not translate."
    return ""


def unknown(reason: str) -> Support:
    """The verdict when nothing can be decided."""
    remedy = "Give a claim and a context in one language, or ask a judge model."
    return Support(
        name="support", status="unknown", reason=reason, remedy=remedy, label="unknown", score=None
    )


def _reason(label: SupportLabel, worst: Measures, shape: Shape) -> str:
    signals: dict[str, Signal] = {signal.name: signal for signal in worst.signals}
    missing = signals["best_passage_recall"]
    heads = {
        "supported": "The context supports it",
        "uncertain": "The context may or may not support it",
        "unsupported": "The context does not support it",
    }
    if worst.role == "absence":
        told = f"It says that the sources are silent; they hold {missing.value:.0%} of what it calls missing."
    elif worst.role == "frame":
        told = f"It frames and states nothing; the context holds {missing.value:.0%} of its topic."
    else:
        seen = [signals[name].seen for name in _CONFLICTS if signals[name].value >= _SHOWN]
        if label != "supported" and not seen and missing.value < 1:
            seen = [missing.seen]
        seen = list(dict.fromkeys(seen))
        # What speaks against a verdict is not its reason.
        link = ", although " if label == "supported" else ": "
        told = heads[label] + (link + "; ".join(seen) if seen else "") + "."
        if worst.network is None:
            told += " Judged by words alone: the network reads English."
    if shape.broken and label != "supported":
        told += " The context breaks off: what is missing may hold more."
    return told if shape.sentences == 1 else f"{told} This is its weakest sentence of {shape.sentences}."


@cache
def _default() -> LocalVerifier:
    return LocalVerifier()


def verify_claims(pairs: Sequence[Pair]) -> list[Support]:
    """Hold each claim against its contexts with the local verifier as shipped.

    A pair is `(contexts, claim)`. Returns one `Support` per pair, in order; the verdict on a pair depends on
    that
    pair alone. Never returns NaN: what cannot be judged is `unknown` with a reason. A claim of several
    sentences
    needs all of them: their chances are multiplied.

    Raises:
        MissingError: the weights are not where the package keeps them.
    """
    return _default().verify_claims(pairs)


def verify(contexts: Sequence[str], claim: str) -> Support:
    """Hold one claim against its contexts with the local verifier as shipped."""
    return verify_claims([(contexts, claim)])[0]
