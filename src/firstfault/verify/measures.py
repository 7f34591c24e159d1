"""A claim of one sentence and its source in, everything that is known about the pair out; and one number of
it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from firstfault.types import Signal
from firstfault.verify import signals
from firstfault.verify.copies import reversed_copy
from firstfault.verify.crossencoder import CrossEncoder, Reading
from firstfault.verify.discourse import Role, read_role
from firstfault.verify.passages import Sentence, Source, select
from firstfault.verify.terms import terms

BUDGET = 72
"""Words of context that the network reads beside a claim."""
WIDE = 110
"""Words of context in which the claim's words are looked for."""

# What the parts of the raw score weigh. Fixed: chosen once on the development sets, the same for every input.
_STEEP, _HALF = 8.0, 0.5
"""Recall as a logit: `_STEEP * (recall - _HALF)`."""
_RECALL, _CONFLICT = 2.0, 1.5
_CHANGED, _MISNAMED, _REVERSED = 0.5, 3.0, 5.0
_SILENT, _SILENT_RECALL = 2.5, 4.0
_FRAME_RECALL = 2.5


_CHANCE_SLOPE, _CHANCE_SHIFT = 0.74, 1.5
"""The chance that one sentence of several holds, as a curve over its raw score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What was measured on a sentence of a claim."""

    role: Role
    """What the sentence does: state something, say that the sources are silent, or frame."""
    network: float | None
    """Logit of support from the network; None when it was not asked."""
    signals: tuple[Signal, ...]
    evidence: Sentence | None
    """The sentence of the context that holds most of the claim."""

    def value(self, name: str) -> float:
        """The value of a signal."""
        return next(signal.value for signal in self.signals if signal.name == name)

    @property
    def raw(self) -> float:
        """The uncalibrated score. For a claim it never falls when recall or the network's logit rises.

        A claim needs both, the network's consent and its words in the passage: the soft minimum of the two,
        plus
        recall once more, minus the worst conflict. That the sources are silent is the more credible the less
        they
        hold of what is said to be missing. A frame states nothing; it is measured by its topic alone.
        """
        recall = self.value("best_passage_recall")
        if self.role == "absence":
            return _SILENT - _SILENT_RECALL * max(0.0, recall - _HALF)
        if self.role == "frame":
            return _FRAME_RECALL * recall
        # A number that stands elsewhere in the contexts is shown, not held against the claim.
        number = float(self.value("number_mismatch") == 1)
        conflict = max(number, self.value("unseen_entity"), self.value("negation_conflict"))
        both = -math.log(math.exp(-(self.network or 0.0)) + math.exp(-_STEEP * (recall - _HALF)))
        misnamed = _MISNAMED * self.value("exchanged_name")
        reversed_ = _REVERSED * self.value("reversed_copy")
        changed = _CHANGED * self.value("changed_word")
        return both + _RECALL * recall - _CONFLICT * conflict - changed - misnamed - reversed_


def together(raws: Sequence[float]) -> float:
    """The raw score of several sentences that must all hold; a single one keeps its own.

    The chances of the sentences are multiplied, and the product is put back on the scale of one sentence:
    the weakest decides nearly alone, and the others are heard.
    """
    doubts = (
        math.log1p(math.exp(-min(30.0, max(-30.0, _CHANCE_SLOPE * raw + _CHANCE_SHIFT)))) for raw in raws
    )
    doubt = sum(doubts)
    odds = doubt if doubt > 30 else math.log(math.expm1(doubt))
    return -(odds + _CHANCE_SHIFT) / _CHANCE_SLOPE


def measure(sentence: str, source: Source, network: CrossEncoder | None) -> Measures:
    """Find out what the sentence does, select evidence, read it with the network, look for the named
    signals."""
    discourse = read_role(sentence)
    claim = discourse.core
    claim_terms = terms(claim)
    chosen = select(source.sentences, claim_terms, BUDGET, anew=True)
    nearest = signals.closest(claim_terms, chosen)
    held = signals.best_passage_recall(claim_terms, select(source.sentences, claim_terms, WIDE))
    if discourse.role == "absence" and not claim_terms:
        held = Signal(name=held.name, value=0.0, seen="it names nothing that the sources could hold")
    if discourse.role != "claim":
        return Measures(role=discourse.role, network=None, signals=(held,), evidence=nearest)
    denial = signals.negation_conflict(claim, claim_terms, nearest)
    found = (
        held,
        signals.number_mismatch(claim, source, chosen),
        signals.unseen_entity(claim, source),
        denial,
        signals.exchanged_name(claim, nearest),
        signals.changed_word(claim, nearest),
        reversed_copy(claim, chosen, source, nearest, denial),
    )
    if network is None:
        return Measures(role="claim", network=None, signals=found, evidence=nearest)
    premise = " ".join(" ".join(piece.text.split()) for piece in chosen)
    reading = network.read(premise, claim)
    doubted = unsupported_words(claim, reading)
    return Measures(role="claim", network=reading.support, signals=(*found, doubted), evidence=nearest)


def unsupported_words(claim: str, reading: Reading) -> Signal:
    """How sure the network is that some word of the claim is not supported, and which words those are."""
    strongest = max(reading.unsupported, default=-30.0)
    value = 1 / (1 + math.exp(-max(-30.0, min(30.0, strongest))))
    doubted = []
    for (start, end), logit in zip(reading.spans, reading.unsupported, strict=True):
        if logit > 0:
            doubted.append(_word_around(claim, start, end))
    words = ", ".join(list(dict.fromkeys(doubted))[:6])
    seen = f"the network doubts: {words}" if words else "the network doubts no single word"
    return Signal(name="unsupported_words", value=round(value, 4), seen=seen)


def _word_around(text: str, start: int, end: int) -> str:
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return text[start:end]
