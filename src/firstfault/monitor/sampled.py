"""Scores that cost something: computed on a sample of the requests, in the background, within a CPU budget.

In: a trace and an open application. Out: signals that the trace itself cannot tell: does the index return
what exact search returns, which passages support the answer, is the evidence of earlier answers still found?
Verdicts that the request computed are remembered by a server's verifier and not computed twice.
"""

import contextlib
import hashlib
import time
from typing import TYPE_CHECKING

from firstfault.answer.ask import ask
from firstfault.answer.retrieve import embed_question
from firstfault.collection import parse_where
from firstfault.errors import FirstfaultError
from firstfault.evaluate.evidence import find
from firstfault.evaluate.metrics import sufficiency
from firstfault.monitor.explain import answered_well, canary_cases
from firstfault.monitor.reading import FIRST, Reading, beside
from firstfault.types import Case, Trace

if TYPE_CHECKING:
    from firstfault.answer import Application

CANARIES = 2
"""Earlier questions that are asked again beside each scored request."""
LOOK_AGAIN = 50
"""Scores after which earlier answers are looked for again, where there were none."""
SIGNALS = frozenset({"sufficiency", "context_precision", "index_agrees", "canary_lost"})
"""What is computed here."""


def is_sampled(trace_id: str, share: float) -> bool:
    """Whether a request is scored: decided by its id, so equally everywhere."""
    number = int.from_bytes(hashlib.sha256(trace_id.encode()).digest()[:8], "big")
    return number < share * 2**64


class Budget:
    """Time that background work may take: a share of what has passed, saved up for at most a minute."""

    SAVED_S = 60.0

    def __init__(self, share: float) -> None:
        self._share = share
        self._began = time.monotonic()
        self._spent = 0.0

    def allows(self) -> bool:
        """Whether there is time now."""
        passed = time.monotonic() - self._began
        self._spent = max(self._spent, self._share * (passed - self.SAVED_S))
        return self._spent <= self._share * passed

    def spend(self, seconds: float) -> None:
        """Note what was taken."""
        self._spent += seconds


class Sampler:
    """Scores requests of one application; used by one thread."""

    def __init__(self, app: "Application") -> None:
        self._app = app
        self._canaries: list[Case] = []
        self._next = 0

    def score(self, trace: Trace) -> Reading:
        """The signals of a trace that had to be computed. What cannot be computed is left out."""
        values = {}
        if trace.context is not None and trace.error is None:
            held = sufficiency(trace.question, trace.context).value
            if held is not None:
                values["sufficiency"] = held
            values |= self._precision(trace)
        with contextlib.suppress(FirstfaultError):  # what fails here fails in requests too, and counts there
            values |= self._index(trace)
        values = {name: round(value, 6) for name, value in values.items()}
        return beside(trace.id, trace.at, trace.collection, values)

    def canaries(self, trace: Trace, number: int = CANARIES) -> list[Reading]:
        """Earlier questions asked again beside a request: is their evidence still found?"""
        found: list[Reading] = []
        with contextlib.suppress(FirstfaultError):
            for _ in range(number):
                found.extend(
                    beside(trace.id, trace.at, trace.collection, {"canary_lost": lost})
                    for lost in self._canary()
                )
        return found

    def _precision(self, trace: Trace) -> dict[str, float]:
        """Share of the passages that support a sentence of the answer."""
        if trace.answer is None or trace.context is None:
            return {}
        claims = [claim.text for claim in trace.answer.claims]
        passages = [f"{p.chunk.document_title}\n\n{p.chunk.text}" for p in trace.context.passages]
        if not claims or not passages:
            return {}
        verifier = self._app.verifier(self._app.settings.verifier)
        said = verifier.verify_claims([([passage], claim) for passage in passages for claim in claims])
        rows = [said[i : i + len(claims)] for i in range(0, len(said), len(claims))]
        useful = sum(any(one.label == "supported" for one in row) for row in rows)
        return {"context_precision": useful / len(passages)}

    def _index(self, trace: Trace) -> dict[str, float]:
        """Share of the first of exact search that the request's dense arm returned too."""
        returned = {hit.key for hit in trace.hits if "dense" in hit.arms}
        if not returned:
            return {}
        where = parse_where(trace.where) if trace.where is not None else None
        vector = embed_question(self._app, trace.question).vector
        exact = self._app.collection.dense(
            vector, where=where, limit=FIRST, exact=True, version=trace.corpus_version
        )
        if not exact:
            return {}
        return {"index_agrees": sum(one.key in returned for one in exact) / len(exact)}

    def _canary(self) -> list[float]:
        """1 where the evidence of the next earlier question is lost, else 0; empty where there is none."""
        if not self._canaries and self._next % LOOK_AGAIN == 0:
            self._canaries = canary_cases(answered_well(self._app, until=None))
        self._next += 1
        if not self._canaries:
            return []
        case = self._canaries[self._next % len(self._canaries)]
        trace = self._app.run(
            ask(self._app, case.question, where=case.where, generate=False, keep=False, case=case.id)
        )
        passages = trace.context.passages if trace.context is not None else ()
        kept = all(
            any(
                p.chunk.document_id == unit.document and find(unit.quote or "", p.chunk.text)
                for p in passages
            )
            for unit in case.evidence
        )
        return [float(not kept)]
