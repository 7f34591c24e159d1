"""Interventions: a recorded request and one thing changed in, what would have happened out.

Every probe is a replay that leaves no trace, or a search whose result is kept for the other probes of the
same case. Generations are counted and stay within a budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from firstfault.answer.ask import ask
from firstfault.answer.retrieve import embed_question
from firstfault.collection import parse_where
from firstfault.config import Settings
from firstfault.diagnose.patches import patched
from firstfault.errors import FirstfaultError
from firstfault.evaluate.evidence import Gold, Locator
from firstfault.models.embedder import Embedding, FloatArray
from firstfault.stages import Stage
from firstfault.types import Candidate, Case, Chunk, Context, Scalar, Trace

if TYPE_CHECKING:
    from firstfault.answer import Application

DEPTH = 1000
"""How far down the arms are read when a probe asks for a rank."""

UNCHANGED = 0.99
"""Least cosine of vectors that are one but for rounding and quantisation."""

Patch = Mapping[str, Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What comes of embedding a stored chunk again."""

    stored: float
    """Cosine between the stored vector and a fresh one."""
    repeated: float
    """Cosine between two fresh ones; 1 where the stored vector came out again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Where exact search puts every chunk for one question, from 1, by key; and what the dense arm scored."""

    dense: Mapping[int, int]
    bm25: Mapping[int, int]
    dense_scores: Sequence[float]
    """Best first."""
    query: Embedding

    def best(self, arm: str, keys: Sequence[int]) -> int | None:
        """The best rank of any of the keys in an arm; None when it has none of them within `DEPTH`."""
        places = self.dense if arm == "dense" else self.bm25
        return min((places[key] for key in keys if key in places), default=None)


class Probes:
    """Interventions on the requests of one application."""

    def __init__(self, app: "Application", *, budget: int) -> None:
        self.app = app
        self.budget = budget
        self.calls = 0
        """Generations that were asked for so far."""
        self._settings = lru_cache(maxsize=16)(Settings.model_validate_json)
        self._locator = lru_cache(maxsize=4)(lambda version: Locator(app, version=version))
        self._ranks: tuple[tuple[str, str | None, int], Ranks] | None = None
        self._fresh: dict[int, FloatArray] = {}
        self._agreements: dict[int, Agreement | None] = {}

    def settings(self, trace: Trace) -> Settings:
        """The settings that the request ran under."""
        import json

        return self._settings(json.dumps(trace.settings))

    def locate(self, case: Case, trace: Trace) -> tuple[Gold, ...]:
        """The gold evidence of a case where it stood in the corpus of the request."""
        return self._locator(trace.corpus_version).locate(case.evidence)

    def document(self, document_id: str, version: int) -> str | None:
        """The text of a document at a version; None when there was none."""
        return self._locator(version).text(document_id)

    def ask(self, case: Case) -> Trace:
        """The context that the application assembles for a case, as it is set up now."""
        return self.app.run(ask(self.app, case.question, where=case.where, generate=False, keep=False))

    def replay(
        self,
        trace: Trace,
        changes: Patch | None = None,
        *,
        start: Stage,
        where: str | None = None,
        exact: bool = False,
    ) -> Trace:
        """What the context would have been; nothing is generated.

        Stages before `start` keep their results. From the filter on, `where` is the filter to use.
        """
        settings = self.settings(trace)
        if changes:
            settings = settings.override({name: _text(value) for name, value in changes.items()})
        return self.app.run(
            ask(
                self.app,
                trace.question,
                where=where if start is Stage.FILTER else trace.where,
                settings=settings,
                prior=trace,
                start=start,
                generate=False,
                exact=exact,
                keep=False,
            )
        )

    def at_version(self, trace: Trace, version: int) -> Trace:
        """What the context would have been at another time of the corpus."""
        past = replace(trace, corpus_version=version)
        return self.replay(past, start=Stage.FILTER, where=trace.where)

    def cite_again(self, trace: Trace, changes: Patch) -> Trace:
        """The same generated words, checked and shown under other settings."""
        settings = self.settings(trace).override({name: _text(value) for name, value in changes.items()})
        return self._ask(trace, settings, Stage.CITE)

    def extract(self, trace: Trace, context: Context | None = None) -> Trace | None:
        """The answer that the extractive generator gives, from another context or the same one.

        None when it fails.
        """
        changes: Patch = {
            "generator.kind": "extractive",
            "answer.min_relevance": -1,
            "answer.policy": "annotate",
        }
        prior = trace if context is None else replace(trace, context=context)
        try:
            return self._ask(prior, patched(self.settings(trace), changes), Stage.GENERATE)
        except FirstfaultError:
            return None

    def generate(self, trace: Trace, context: Context | None = None) -> Trace | None:
        """The configured generator once more, from another context or the same one.

        None when the budget is used up, or when the generator fails.
        """
        settings = self.settings(trace)
        if settings.generator.kind != "extractive":
            if self.calls >= self.budget:
                return None
            self.calls += 1
        settings = settings.override({"answer.min_relevance": "-1", "answer.policy": "annotate"})
        prior = trace if context is None else replace(trace, context=context)
        try:
            return self._ask(prior, settings, Stage.GENERATE)
        except FirstfaultError:
            return None

    def repeats(self, trace: Trace) -> bool:
        """Whether the configured generator gives the same answer to the same prompt by construction."""
        generator = self.settings(trace).generator
        return generator.kind == "extractive" or (generator.kind == "llama" and generator.temperature == 0)

    def ranks(self, trace: Trace, where: str | None) -> Ranks:
        """Where exact search and BM25 put the chunks for the question of a request."""
        key = (trace.question, where, trace.corpus_version)
        if self._ranks is None or self._ranks[0] != key:
            query = embed_question(self.app, trace.question)
            admitted = parse_where(where) if where is not None else None
            version = trace.corpus_version
            collection = self.app.collection
            dense = collection.dense(query.vector, where=admitted, limit=DEPTH, exact=True, version=version)
            bm25 = collection.bm25(trace.question, where=admitted, limit=DEPTH, version=version)
            self._ranks = (
                key,
                Ranks(
                    dense=_places(dense),
                    bm25=_places(bm25),
                    dense_scores=[candidate.score for candidate in dense],
                    query=query,
                ),
            )
        return self._ranks[1]

    def dense_rank(self, trace: Trace, text: str, where: str | None, keys: Sequence[int]) -> int | None:
        """The best rank of any of the keys when exact dense search is asked for a text."""
        admitted = parse_where(where) if where is not None else None
        vector = self.app.embedder.embed([text], kind="query")[0]
        found = self.app.collection.dense(
            vector, where=admitted, limit=DEPTH, exact=True, version=trace.corpus_version
        )
        return min((rank for rank, one in enumerate(found, start=1) if one.key in keys), default=None)

    def agreement(self, key: int, chunk: Chunk) -> Agreement | None:
        """Embed a stored chunk again; None when its vector is not stored. Each chunk is asked for once.

        A second time only where the first fresh vector is not the stored one: an embedder that adds noise
        shows there as well.
        """
        if key not in self._agreements:
            stored = self.app.collection.vectors([key]).get(key)
            self._agreements[key] = None if stored is None else self._agreement(stored, chunk)
        return self._agreements[key]

    def _agreement(self, stored: FloatArray, chunk: Chunk) -> Agreement:
        first = self.app.embedder.embed([chunk.text], kind="document")[0]
        cosine = _cosine(stored, first)
        if cosine >= UNCHANGED:
            return Agreement(stored=cosine, repeated=1.0)
        second = self.app.embedder.embed([chunk.text], kind="document")[0]
        return Agreement(stored=cosine, repeated=_cosine(first, second))

    def embedded_again(self, chunks: Mapping[int, Chunk]) -> Mapping[int, FloatArray]:
        """Fresh vectors of stored chunks, by key; each chunk is embedded once for all cases."""
        missing = {key: chunk.text for key, chunk in chunks.items() if key not in self._fresh}
        if missing:
            fresh = self.app.embedder.embed(list(missing.values()), kind="document")
            self._fresh.update(zip(missing, fresh, strict=True))
        return {key: self._fresh[key] for key in chunks}

    def _ask(self, prior: Trace, settings: Settings, start: Stage) -> Trace:
        return self.app.run(
            ask(
                self.app,
                prior.question,
                where=prior.where,
                settings=settings,
                prior=prior,
                start=start,
                keep=False,
            )
        )


def _places(candidates: Sequence[Candidate]) -> dict[int, int]:
    return {candidate.key: rank for rank, candidate in enumerate(candidates, start=1)}


def _cosine(
    one: "np.ndarray[tuple[int], np.dtype[np.float32]]", other: "np.ndarray[tuple[int], np.dtype[np.float32]]"
) -> float:
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size else 0.0


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
