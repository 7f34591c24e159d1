"""Replay: run a recorded request again from the first stage that a change touches.

In: a trace and changed settings. Out: a new trace; results of earlier stages are those of the original,
and the corpus is seen as it was at the time.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from firstfault.answer.ask import ask
from firstfault.answer.request import REPLAY_ORDER
from firstfault.config import Settings
from firstfault.errors import ConfigError, MismatchError
from firstfault.stages import Stage
from firstfault.trace import Recording
from firstfault.types import Trace

if TYPE_CHECKING:
    from firstfault.answer.application import Application

FIRST_STAGE: dict[str, Stage] = {
    "search.enabled": Stage.FILTER,
    "index.hnsw_ef": Stage.INDEX,
    "search.candidates": Stage.INDEX,
    "search.fusion": Stage.FUSE,
    "search.dense_weight": Stage.FUSE,
    "search": Stage.RERANK,
    "pack": Stage.PACK,
    "generator": Stage.GENERATE,
    "generator.context_window": Stage.PACK,
    "answer.min_relevance": Stage.GENERATE,
    "answer": Stage.CITE,
    "format": Stage.FORMAT,
    "format.constrain": Stage.GENERATE,
    "format.max_tokens": Stage.PACK,
    "format.schema_tokens": Stage.PACK,
    "format.max_string": Stage.GENERATE,
    "format.max_items": Stage.GENERATE,
    "verifier": Stage.CITE,
    "trace": Stage.CITE,
    "evaluate": Stage.CITE,
    "latency": Stage.CITE,
    "diagnose": Stage.CITE,
    "bakeoff": Stage.CITE,
    "serve": Stage.CITE,
}
"""The first stage that a setting touches: the key itself, else its section."""


def first_stage(changes: Mapping[str, str], *, where_changed: bool) -> Stage:
    """The earliest stage that any of the changes touches; without changes, the whole path.

    Raises:
        ConfigError: a setting shapes the stored collection, so a replay cannot show its effect.
    """
    if where_changed or not changes:
        return Stage.FILTER
    stages = []
    for name in changes:
        stage = FIRST_STAGE.get(name) or FIRST_STAGE.get(name.partition(".")[0])
        if stage is None:
            raise ConfigError(
                f"{name} shapes what is stored; a replay of one request cannot change it.",
                hint="Ingest into another home with that setting and ask there.",
            )
        stages.append(stage)
    return min(stages, key=REPLAY_ORDER.index)


async def replay(
    app: "Application",
    trace: Trace,
    changes: Mapping[str, str],
    *,
    where: str | None = None,
    recording: Recording | None = None,
) -> Trace:
    """Run the request of a trace again with some settings changed.

    Raises:
        ConfigError: a change is unknown, or cannot be replayed.
        MismatchError: the collection now has another embedder than the trace.
    """
    if trace.embedder != app.embedder.fingerprint:
        raise MismatchError(
            f"Trace {trace.id} was recorded with another embedder ({trace.embedder[:12]}) than that of the "
            f"collection now ({app.embedder.fingerprint[:12]}).",
            hint="Ask the question anew, or open the collection of that time with --collection.",
        )
    settings = Settings.model_validate(trace.settings).override(changes)
    start = first_stage(changes, where_changed=where is not None)
    return await ask(
        app,
        trace.question,
        where=trace.where if where is None else where,
        settings=settings,
        prior=trace,
        start=min(start, _last_complete(trace), key=list(Stage).index),
        recording=recording,
    )


def _last_complete(trace: Trace) -> Stage:
    """The stage from which a trace must be run again at the latest: what failed has no result to reuse."""
    if trace.error is None:
        return list(Stage)[-1]
    failed = next((span.stage for span in trace.spans if span.status == "error"), None)
    return Stage(failed) if failed else Stage.FILTER
