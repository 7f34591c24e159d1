"""Requests of users: the same walk where nobody wrote down what the right answer is.

In: a trace. Out: None where nothing looks wrong, a blame (a hypothesis, unless an intervention decides), or
what cannot be known. Whether the corpus holds the answer at all cannot be known without a label.
"""

from firstfault.diagnose.answering import Answering, Unsure
from firstfault.diagnose.blaming import Walk
from firstfault.diagnose.probes import Patch, Probes
from firstfault.diagnose.wording import quoted
from firstfault.evaluate.metrics import sufficiency
from firstfault.stages import Stage
from firstfault.types import Blame, Case, Trace

CLEARLY_MORE = 0.25
"""A context that holds this much more of the question's words, weighted by rarity, is better evidence."""
ENOUGH = 0.7
"""A context with this share of the question's words probably holds the answer."""
TOO_LITTLE = 0.35
"""A context with less is probably beside the question."""
WIDER_K = 20


class Unlabelled(Walk):
    """One request without gold labels."""

    def __init__(self, probes: Probes, case: Case, trace: Trace) -> None:
        super().__init__(probes, case, trace)
        self.held = self._sufficiency(trace)

    def blame(self) -> Blame | Unsure | None:
        """What probably broke first; None where every sentence is supported."""
        answer = self.trace.answer
        if answer is None:
            return self._search() if self.held < TOO_LITTLE else None
        judged = [claim for claim in answer.claims if claim.verdict.label != "unknown"]
        doubtful = [claim for claim in judged if claim.verdict.label == "unsupported"]
        if not answer.abstained and 2 * len(doubtful) < max(len(judged), 1):
            return None
        better = self._search()
        if better is not None:
            return better
        if answer.abstained:
            return self._abstained()
        if self.held < TOO_LITTLE:
            evidence = (
                f"The passages hold {self.held:.0%} of the question's words, and the answer says "
                f"{quoted(doubtful[0].text)} without support."
            )
            return self._found(Stage.GENERATE, "should_have_abstained", evidence, False)
        return Answering(self.probes, self.case, self.trace, ()).generator()

    def _search(self) -> Blame | None:
        """The first change of the search that brings clearly better passages."""
        settings = self.probes.settings(self.trace)
        if self.trace.where is not None:
            without = self.probes.replay(self.trace, start=Stage.FILTER, where=None)
            if self._better(without):
                return self._hypothesis(
                    Stage.FILTER, "filter_excludes_evidence", "without the filter", without
                )
        exact = self.probes.replay(self.trace, start=Stage.FILTER, where=self.trace.where, exact=True)
        if self._better(exact):
            return self._hypothesis(Stage.INDEX, "approximate_recall", "by exact search", exact)
        if settings.search.rerank != "none":
            patch: Patch = {"search.rerank": "none"}
            plain = self.probes.replay(self.trace, patch, start=Stage.RERANK)
            if self._better(plain):
                return self._hypothesis(Stage.RERANK, "reranker_demotes", "without reranking", plain, patch)
        if settings.search.top_k < WIDER_K:
            patch = {"search.top_k": WIDER_K, "pack.budget_tokens": 4 * settings.pack.budget_tokens}
            wider = self.probes.replay(self.trace, patch, start=Stage.RERANK)
            if self._better(wider):
                return self._hypothesis(
                    Stage.EMBED, "weak_embedding", f"with the first {WIDER_K}", wider, patch
                )
        return None

    def _abstained(self) -> Blame | Unsure | None:
        if self.held < ENOUGH:
            return None
        extracted = self.probes.extract(self.trace)
        answer = extracted.answer if extracted is not None else None
        if answer is None or answer.abstained:
            return None
        return Unsure(
            reason=(
                f"it abstained although the passages hold {self.held:.0%} of the question's words; whether "
                "they hold the answer is not known"
            ),
            next_probe=f"read the passages: firstfault trace {self.trace.id}",
        )

    def _better(self, trace: Trace) -> bool:
        return self._sufficiency(trace) >= self.held + CLEARLY_MORE

    def _sufficiency(self, trace: Trace) -> float:
        assert trace.context is not None
        return sufficiency(self.case.question, trace.context).value or 0.0

    def _hypothesis(
        self, stage: Stage, cause: str, how: str, other: Trace, patch: Patch | None = None
    ) -> Blame:
        evidence = (
            f"The best passage holds {self.held:.0%} of the question's words; {how} one holds "
            f"{self._sufficiency(other):.0%}."
        )
        return self._found(stage, cause, evidence, False, patch)
