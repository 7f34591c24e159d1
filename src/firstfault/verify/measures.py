"""A claim of one sentence and its source in, everything that is known about the pair out; and one number of
it."""

from dataclasses import dataclass

from firstfault.types import Signal
from firstfault.verify import signals
from firstfault.verify.crossencoder import CrossEncoder
from firstfault.verify.passages import Sentence, Source, select
from firstfault.verify.terms import terms

BUDGET = 72
"""Words of context that the network reads beside a claim."""
NETWORK, RECALL, CONFLICT, CHANGE = 0.8, 6.0, 1.5, 1.0
"""What the network's logit, recall, the worst conflict and an exchanged word weigh in the raw score.
Fixed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What was measured on a claim."""

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
        """The uncalibrated score: rises with the network's logit and with recall, falls with each
        conflict."""
        conflict = max(self.value(name) for name in ("number_mismatch", "unseen_entity", "negation_conflict"))
        return (
            NETWORK * (self.network or 0.0)
            + RECALL * self.value("best_passage_recall")
            - CONFLICT * conflict
            - CHANGE * self.value("changed_word")
        )


def measure(claim: str, source: Source, network: CrossEncoder | None) -> Measures:
    """Select evidence, read it with the network, and look for the named signals."""
    claim_terms = terms(claim)
    chosen = select(source.sentences, claim_terms, BUDGET)
    nearest = signals.closest(claim_terms, chosen)
    found = (
        signals.best_passage_recall(claim_terms, chosen),
        signals.number_mismatch(claim, source, chosen),
        signals.unseen_entity(claim, source),
        signals.negation_conflict(claim, claim_terms, nearest),
        signals.changed_word(claim, nearest),
    )
    premise = " ".join(" ".join(sentence.text.split()) for sentence in chosen)
    logit = None if network is None else network.read(premise, claim).support
    return Measures(network=logit, signals=found, evidence=nearest)
