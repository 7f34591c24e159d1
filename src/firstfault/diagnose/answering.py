"""From the prompt to the answer: the evidence was there (or rightly was not), and the answer is wrong.

In: a case whose evidence reached the prompt, with its trace. Out: the blame on packing (drowned, or
contradicted by another source) or on the generator, found by asking again with nothing but the evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from firstfault.config import AnswerConfig
from firstfault.diagnose.blaming import Walk
from firstfault.diagnose.probes import DEPTH, Patch, Probes
from firstfault.diagnose.ranking import SAME_VECTOR
from firstfault.diagnose.wording import place, quoted
from firstfault.evaluate.correctness import CONFLICT, correctness
from firstfault.evaluate.evidence import Gold, contributing, span_of
from firstfault.evaluate.metrics import answerable, said
from firstfault.stages import Stage
from firstfault.types import Answer, Blame, Case, Claim, Context, Passage, Scalar, Trace
from firstfault.verify import Verifier
from firstfault.verify.terms import rarity, terms, words

RIGHT = 0.5
"""Least agreement with the expected answer that counts as right."""
LONG_ANSWER = 12
"""From this many words on an expected answer is one of many wordings: drawing on the evidence is right."""
SAME_SUBJECT = 0.6
"""A sentence that shares at least this part of another's words, weighted by rarity, speaks of the same."""
CLOSE = 0.5
"""A claim with at least this part of its words in the context speaks of it; below, it ignores it."""
CONFLICTS = ("number_mismatch", "negation_conflict", "changed_word", "unseen_entity", "reversed_copy")
"""Signals of a verdict that say that a claim and its passage exclude each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure:
    """The budget or the evidence did not allow a decision."""

    reason: str
    next_probe: str


FLAKY = "flaky"
"""In place of a blame: the same request gave another answer the second time."""


class Answering(Walk):
    """One answer against what it should have been."""

    def __init__(self, probes: Probes, case: Case, trace: Trace, golds: Sequence[Gold]) -> None:
        super().__init__(probes, case, trace)
        self.golds = golds
        self.verifier: Verifier = probes.app.verifier(probes.settings(trace).verifier)

    def grounded(self) -> bool:
        """Whether a passage of the prompt supports a claim of the answer."""
        assert self.trace.answer is not None
        return any(claim.verdict.label == "supported" for claim in self.trace.answer.claims)

    def right(self, trace: Trace | None) -> bool:
        """Whether an answer is what the case expects; where nothing is expected, whether it is supported.

        False where there is none.
        """
        answer = trace.answer if trace is not None else None
        if trace is None or answer is None:
            return False
        expected = answerable(self.case)
        if answer.abstained:
            return expected is not True
        if expected is False or any(_contradicted(claim) for claim in answer.claims):
            return False
        words = said(trace, answer)
        if self.case.answer is None:
            return bool(answer.claims) and self._drawn(answer)
        if correctness(words, self.case.answer, question=self.case.question, verifier=self.verifier) >= RIGHT:
            return True
        return len(self.case.answer.split()) >= LONG_ANSWER and self._drawn(answer)

    def blame(self) -> Blame | Unsure | str:
        """The first stage after retrieval that made the answer wrong."""
        assert self.trace.answer is not None
        if answerable(self.case) is False:
            return self._should_have_abstained()
        if self.trace.generation is not None and not self.probes.repeats(self.trace):
            again = self.probes.generate(self.trace)
            if self.right(again):
                return FLAKY
        withheld = self._withheld()
        if withheld is not None:
            return withheld
        alone = self._evidence_alone() if self.golds else None
        return self._drowned() if self.right(alone) else self.generator(probed=alone is not None)

    def _drawn(self, answer: Answer) -> bool:
        """Whether a claim of the answer stands in the gold evidence, and no claim is without support."""
        if any(claim.verdict.label == "unsupported" for claim in answer.claims):
            return False
        quotes = [gold.unit.quote for gold in self.golds if gold.unit.quote]
        if not quotes:
            return True
        pairs = [([f"{self.case.question}\n\n{' '.join(quotes)}"], claim.text) for claim in answer.claims]
        return any(verdict.label == "supported" for verdict in self.verifier.verify_claims(pairs))

    def _should_have_abstained(self) -> Blame:
        patch = {"answer.policy": "abstain"}
        withheld = self.probes.cite_again(self.trace, patch).answer
        recovered = withheld is not None and withheld.abstained
        assert self.trace.answer is not None
        said = self.trace.answer.claims[0].text if self.trace.answer.claims else self.trace.answer.text
        evidence = f"The case says that the sources do not hold the answer, and it says {quoted(said)}" + (
            "; the policy 'abstain' withholds it." if recovered else "."
        )
        return self._found(
            Stage.GENERATE, "should_have_abstained", evidence, recovered, patch if recovered else {}
        )

    def _withheld(self) -> Blame | None:
        """The answer was not the generator's to give: the relevance limit or the policy withheld it."""
        answer, generation = self.trace.answer, self.trace.generation
        assert answer is not None
        if not answer.abstained:
            return None
        settings = self.probes.settings(self.trace)
        if generation is None:
            embedded = self._embedded_apart()
            if embedded is not None:
                return embedded
            recovered = self.probes.extract(self.trace)
            nearest = next((e for s, e in self.trace.events() if e.name == "no_relevant_passage"), None)
            seen = nearest.attributes.get("nearest") if nearest else None
            least = settings.answer.min_relevance
            evidence = (
                f"Nothing was generated: the nearest passage has cosine {seen}, the limit is {least:g}; the "
                "evidence is among the passages."
            )
            patch: Patch = {"answer.min_relevance": _admitting(seen)}
            return self._found(Stage.GENERATE, "wrong_abstention", evidence, self.right(recovered), patch)
        if answer.removed and self.right(self.probes.cite_again(self.trace, {"answer.policy": "annotate"})):
            evidence = (
                f"The generator said {quoted(answer.removed[0].text)}, which is right, and the policy "
                f"'{settings.answer.policy}' withheld it: {answer.removed[0].verdict.reason}"
            )
            show: Patch = {"answer.policy": "annotate"}
            return self._found(Stage.GENERATE, "wrong_abstention", evidence, True, show)
        return None

    def _embedded_apart(self) -> Blame | None:
        """The evidence looks irrelevant because vectors are to blame: its own, or the question's."""
        context = self.trace.context
        assert context is not None
        keys = {hit.chunk_id: hit.key for hit in self.trace.hits}
        gold = self._gold_passages(context)
        for passage in gold[:1]:
            agreement = self.probes.agreement(keys[passage.chunk.id], passage.chunk)
            if agreement is None or min(agreement.stored, agreement.repeated) >= SAME_VECTOR:
                break
            noisy = agreement.repeated < SAME_VECTOR
            again = agreement.repeated if noisy else agreement.stored
            evidence = (
                f"The evidence is in the prompt and looked irrelevant to its question: the vector of "
                f"{passage.chunk.id} and a fresh one of the same text have cosine {again:.2f}"
                + (", and so have two fresh ones: the embedder adds noise." if noisy else ".")
            )
            cause = "weak_embedding" if noisy else "embedder_mismatch"
            return self._found(Stage.EMBED, cause, evidence, self._holds_the_answer(gold))
        rank = self.probes.ranks(self.trace, self.trace.where).best("dense", [keys[p.chunk.id] for p in gold])
        if not gold or (rank is not None and rank <= self.probes.settings(self.trace).search.top_k):
            return None
        evidence = (
            "The evidence is in the prompt and looked irrelevant to its question: it is "
            f"{place(rank, beyond=DEPTH)} by exact dense search, so the vectors lead away from it."
        )
        return self._found(Stage.EMBED, "weak_embedding", evidence, self._holds_the_answer(gold))

    def _holds_the_answer(self, gold: Sequence[Passage]) -> bool:
        """Whether sentences of the gold passages, word for word, are the right answer."""
        assert self.trace.context is not None
        return self.right(self.probes.extract(self.trace, _only(gold, self.trace.context)))

    def _evidence_alone(self) -> Trace | None:
        """What the generator answers from the gold passages alone; None when that cannot be asked."""
        context = self.trace.context
        assert context is not None
        gold = self._gold_passages(context)
        if not gold or len(gold) == len(context.passages):
            return None
        return self.probes.generate(self.trace, _only(gold, context))

    def _gold_passages(self, context: Context) -> list[Passage]:
        spans = [span_of(passage.chunk) for passage in context.passages]
        positions = sorted({position for gold in self.golds for position in contributing(gold, spans)})
        return [context.passages[position] for position in positions]

    def _drowned(self) -> Blame:
        """The generator is right with the evidence alone: the other passages led it astray."""
        answer, context = self.trace.answer, self.trace.context
        assert answer is not None
        assert context is not None
        gold = {passage.chunk.id for passage in self._gold_passages(context)}
        others = [passage for passage in context.passages if passage.chunk.id not in gold]
        rival = self._rival(others)
        if rival is not None:
            evidence = (
                f"With the evidence alone the answer is right. {rival[0].chunk.document_id} says "
                f"{quoted(rival[1])} against it."
            )
            return self._found(Stage.PACK, "conflicting_sources", evidence, True)
        evidence = (
            f"With the evidence alone the answer is right; with {len(others)} other passages around it, it "
            f"is {'withheld' if answer.abstained else quoted(answer.text)}."
        )
        patch = {"search.top_k": max(1, len(gold))}
        return self._found(Stage.PACK, "noise", evidence, True, patch)

    def _rival(self, others: Sequence[Passage]) -> tuple[Passage, str] | None:
        """A passage that speaks of the same as the evidence and supports the wrong answer instead."""
        from firstfault.verify import split_claims

        assert self.trace.answer is not None
        claims = [claim.text for claim in self.trace.answer.claims]
        quotes = [gold.unit.quote for gold in self.golds if gold.unit.quote]
        for passage in others:
            for start, end in split_claims(passage.chunk.text):
                sentence = passage.chunk.text[start:end]
                if not any(same_subject(quote, sentence) for quote in quotes):
                    continue
                pairs = [([f"{passage.chunk.document_title}\n\n{sentence}"], claim) for claim in claims]
                if any(verdict.label == "supported" for verdict in self.verifier.verify_claims(pairs)):
                    return passage, sentence
        return None

    def generator(self, *, probed: bool = False) -> Blame:
        """The generator is wrong with the evidence before it, and alone with it where that was `probed`."""
        answer, context = self.trace.answer, self.trace.context
        assert answer is not None
        assert context is not None
        rival = None if probed else self._unprobed_rival(context)
        if rival is not None:
            return rival
        recovered = self.right(self.probes.extract(self.trace))
        patch = {"generator.kind": "extractive"} if recovered else {}
        too = ", and with the evidence alone as well" if probed else ""
        there = "; the extractive generator finds it there" if recovered else ""
        if answer.abstained:
            evidence = (
                f"The evidence is in the prompt, and the answer is that the sources do not say{too}{there}."
            )
            return self._found(Stage.GENERATE, "wrong_abstention", evidence, recovered, patch)
        claim = _worst(answer.claims)
        close, seen = _closeness(claim)
        expected = f" where {quoted(self.case.answer)} is expected" if self.case.answer else ""
        if (
            claim is not None
            and claim.verdict.label != "supported"
            and (close >= CLOSE or self._on_topic(claim))
        ):
            evidence = (
                f"The evidence is in the prompt, and the answer says {quoted(claim.text)}{expected}{too}"
                f"{f' ({seen})' if seen else ''}{there}."
            )
            return self._found(Stage.GENERATE, "contradicts_context", evidence, recovered, patch)
        said = claim.text if claim is not None else answer.text
        evidence = (
            f"The evidence is in the prompt, and the answer says {quoted(said)}{expected}{too}: "
            f"{close:.0%} of its words are in the passages{there}."
        )
        return self._found(Stage.GENERATE, "ignored_context", evidence, recovered, patch)

    def _on_topic(self, claim: Claim) -> bool:
        """Whether a claim speaks of what the evidence says."""
        return any(gold.unit.quote and same_subject(gold.unit.quote, claim.text) for gold in self.golds)

    def _unprobed_rival(self, context: Context) -> Blame | None:
        """Without an intervention, another source that says otherwise is a hypothesis."""
        gold = {passage.chunk.id for passage in self._gold_passages(context)}
        others = [passage for passage in context.passages if passage.chunk.id not in gold]
        rival = self._rival(others) if gold else None
        if rival is None:
            return None
        evidence = f"{rival[0].chunk.document_id} says {quoted(rival[1])}, and the answer follows it."
        return self._found(Stage.PACK, "conflicting_sources", evidence, False)


def _only(passages: Sequence[Passage], context: Context) -> Context:
    """The context with nothing but these of its passages."""
    kept = tuple(replace(passage, number=n) for n, passage in enumerate(passages, start=1))
    return replace(context, passages=kept, tokens=sum(passage.tokens for passage in kept))


def same_subject(one: str, other: str) -> bool:
    """Whether two sentences share enough of their rarer words to speak of the same."""
    asked = {term.stem for term in terms(one)}
    total = sum(rarity(stem) for stem in asked)
    return bool(total) and sum(rarity(stem) for stem in asked & words(other)) / total >= SAME_SUBJECT


def _worst(claims: Sequence[Claim]) -> Claim | None:
    """The claim with the least support, the first of equals."""
    scores = {"unsupported": 0.0, "unknown": 0.5, "uncertain": 1.0, "supported": 2.0}
    return min(claims, key=lambda claim: scores[claim.verdict.label], default=None)


def _contradicted(claim: Claim) -> bool:
    """Whether a claim says otherwise than its passage, though it may hold the expected words."""
    if claim.verdict.label != "unsupported":
        return False
    return any(signal.name in CONFLICTS and signal.value >= CONFLICT for signal in claim.verdict.signals)


def _closeness(claim: Claim | None) -> tuple[float, str]:
    """Share of a claim's words that its best passage holds, and what conflicts with it."""
    if claim is None:
        return 0.0, ""
    signals = {signal.name: signal for signal in claim.verdict.signals}
    recall = signals["best_passage_recall"].value if "best_passage_recall" in signals else 0.0
    seen = next(
        (signals[name].seen for name in CONFLICTS if name in signals and signals[name].value >= CONFLICT), ""
    )
    return recall, seen


def _admitting(nearest: Scalar | None) -> float:
    """A relevance limit that a passage passes: the default if it does, else none at all."""
    usual = AnswerConfig().min_relevance
    return usual if isinstance(nearest, float) and nearest >= usual else -1.0
