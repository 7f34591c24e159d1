"""Running cases: an open application and cases in, a stored run with its metrics out.

Every result is stored when its case is done. When a run was interrupted, the same call goes on where it
stopped, as long as cases, settings and corpus are the same.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from firstfault.answer.ask import ask
from firstfault.answer.elsewhere import Outbox, Passage, opened, passage
from firstfault.bulk import Crew, spreads
from firstfault.collection.database import connect
from firstfault.config import Settings
from firstfault.errors import FirstfaultError, InputError
from firstfault.evaluate.aggregate import aggregate
from firstfault.evaluate.cases import hash_cases
from firstfault.evaluate.evidence import Locator
from firstfault.evaluate.metrics import measure, unmeasured
from firstfault.evaluate.store import RunStore
from firstfault.stages import Stage
from firstfault.trace.record import new_trace_id
from firstfault.types import Case, CaseResult, Run, Trace

if TYPE_CHECKING:
    from firstfault.answer import Application

Progress = Callable[[int, int], None]
"""Called with how many cases are done, and of how many."""

TOKENS_PER_PASSAGE_FRAME = 400
"""Of instructions and question around the passages, in the estimate of what a paid endpoint will see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run will ask of endpoints, at most, before anything is asked."""

    requests: int
    input_tokens: int
    output_tokens: int
    endpoint: str


def evaluate(
    app: "Application",
    cases: Sequence[Case],
    *,
    source: str = "",
    generation: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Run the application over the cases and measure it. `source` says where the cases came from.

    A case whose request fails is a result with an error; the run goes on.

    Raises:
        InputError: there are no cases.
        MissingError: there is no such collection, or a model is missing.
    """
    if not cases:
        raise InputError("There are no cases to run.", hint="Give a file with at least one case.")
    if generation:
        app.generator(app.settings.generator)  # a missing model ends the run here, not in every case
    with closing(RunStore(connect(app.config.home))) as store:
        run = _begin(app, cases, source, generation, store)
        done = store.results(run.id)
        waiting = [(position, case) for position, case in enumerate(cases) if position not in done]
        if progress:
            progress(len(done), run.total)

        def keep(position: int, result: CaseResult) -> None:
            store.add(run.id, position, result)
            done[position] = result
            if progress:
                progress(len(done), run.total)

        if spreads(app.settings.bulk):
            _spread(app, waiting, generation, keep)
        else:
            app.run(_run_all(app, waiting, generation, keep))
        results = [done[position] for position in range(run.total)]
        metrics = aggregate(results, app.settings.evaluate)
        run = replace(run, done=run.total, finished=True, metrics=metrics)
        app.traces.flush()
        store.finish(run)
    return run


def cost(app: "Application", cases: Sequence[Case], *, generation: bool = True) -> Cost | None:
    """What a run would ask of a generator behind an endpoint; None when it is in this process."""
    settings = app.settings
    if not generation or settings.generator.kind != "openai":
        return None
    prompt = settings.pack.budget_tokens + TOKENS_PER_PASSAGE_FRAME
    return Cost(
        requests=len(cases),
        input_tokens=len(cases) * prompt,
        output_tokens=len(cases) * settings.generator.max_tokens,
        endpoint=f"{settings.generator.model} at {settings.generator.where}",
    )


def finished(app: "Application", cases: Sequence[Case]) -> Run | None:
    """The newest finished run with answers over the same cases under the same conditions, if there is one."""
    with closing(RunStore(connect(app.config.home))) as store:
        return store.finished(_planned(app, cases, "", generation=True))


def _begin(app: "Application", cases: Sequence[Case], source: str, generation: bool, store: RunStore) -> Run:
    """A new run, or the one that was interrupted under the same conditions."""
    run = _planned(app, cases, source, generation=generation)
    interrupted = store.unfinished(run)
    if interrupted is not None:
        return replace(interrupted, settings=run.settings)
    store.begin(run)
    return run


def _planned(app: "Application", cases: Sequence[Case], source: str, *, generation: bool) -> Run:
    """A run that has not begun. Its fingerprint covers the weights, which a name in the settings does not."""
    now = datetime.now(UTC)
    verifier = app.verifier(app.settings.verifier).name
    generator = app.generator(app.settings.generator) if generation else None
    parts = [app.settings.fingerprint(), app.embedder.fingerprint, verifier]
    parts += [generator.fingerprint] if generator is not None else []
    return Run(
        id=f"run-{new_trace_id(now)}",
        at=now.isoformat(timespec="milliseconds"),
        cases=source,
        cases_hash=hash_cases(cases),
        collection=app.collection.name,
        corpus_version=app.collection.version,
        fingerprint=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16],
        settings=app.settings.model_dump(mode="json"),
        generation=generation,
        total=len(cases),
    )


async def _run_all(
    app: "Application",
    waiting: Sequence[tuple[int, Case]],
    generation: bool,
    keep: Callable[[int, CaseResult], None],
) -> None:
    """Run the cases, several at a time where the generator is behind an endpoint."""
    remote = generation and app.settings.generator.kind == "openai"
    queue = iter(waiting)
    locator = Locator(app)

    async def work() -> None:
        for position, case in queue:
            keep(position, await run_case(app, case, locator, generation=generation))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(app.settings.evaluate.parallel if remote else 1):
                group.create_task(work())
    except ExceptionGroup as several:
        raise several.exceptions[0] from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What a worker runs cases with."""

    app: "Application"
    outbox: Outbox
    locator: Locator
    settings: Settings
    """Those of the run: the worker's own name the place of its copy."""
    generation: bool


def _spread(
    app: "Application",
    waiting: Sequence[tuple[int, Case]],
    generation: bool,
    keep: Callable[[int, CaseResult], None],
) -> None:
    """Run the cases on the workers of a cluster; results and traces are written here."""
    cases = [case for _, case in waiting]
    with passage(app) as given:
        desk = partial(_desk, given, app.settings, generation)
        with Crew(app.settings.bulk, desk, _run_there) as crew:
            for at, (result, traces) in crew.map_unordered(cases, lambda at: f"Case {cases[at].id}"):
                for trace in traces:
                    app.traces.put(trace)
                keep(waiting[at][0], result)


@contextmanager
def _desk(given: Passage, settings: Settings, generation: bool) -> Iterator[_Desk]:
    with opened(given) as (app, outbox):
        yield _Desk(app=app, outbox=outbox, locator=Locator(app), settings=settings, generation=generation)


def _run_there(desk: _Desk, case: Case) -> tuple[CaseResult, list[Trace]]:
    result = desk.app.run(
        run_case(desk.app, case, desk.locator, generation=desk.generation, settings=desk.settings)
    )
    return result, desk.outbox.take()


async def run_case(
    app: "Application",
    case: Case,
    locator: Locator,
    *,
    generation: bool = True,
    settings: Settings | None = None,
    prior: Trace | None = None,
    start: Stage = Stage.FILTER,
    keep: bool = True,
) -> CaseResult:
    """Ask the question of a case and measure what came of it.

    `settings`, `prior`, `start` and `keep` are those of `ask`: a fix runs a case again from the first stage
    that it touches.
    """
    try:
        trace = await ask(
            app,
            case.question,
            where=case.where,
            settings=settings,
            prior=prior,
            start=start,
            schema=case.schema if generation else None,
            generate=generation,
            case=case.id,
            keep=keep,
        )
    except FirstfaultError as error:
        notes = getattr(error, "__notes__", [])
        trace_id = next((note.removeprefix("trace ") for note in notes if note.startswith("trace ")), None)
        return CaseResult(
            case_id=case.id,
            question=case.question,
            trace_id=trace_id,
            answer=None,
            abstained=None,
            evidence=(),
            scores=unmeasured("the request failed"),
            timings_ms={},
            error=str(error),
            case=case,
        )
    verifier = app.verifier((settings or app.settings).verifier)
    gold = locator.locate(case.evidence)
    measured = measure(case, trace, gold, verifier=verifier, document=locator.text)
    answer = trace.answer
    return CaseResult(
        case_id=case.id,
        question=case.question,
        trace_id=trace.id if keep else None,
        answer=answer.text if answer else None,
        abstained=answer.abstained if answer else None,
        evidence=measured.evidence,
        scores=measured.scores,
        timings_ms={name: value for name, value in trace.timings_ms().items() if value is not None},
        case=case,
    )
