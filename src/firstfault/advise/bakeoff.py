"""The bake-off: cases and arms in; one run an arm, compared in pairs, and a conclusion out.

Every arm is an evaluation run of the home: it is resumed where it stopped, and taken as it is when it was
finished under the same conditions before. The first faults of an arm are kept beside its run.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.advise.arms import Arm
from firstfault.advise.measures import MEASURES, comparable
from firstfault.advise.scorecard import ArmScore, Fault, Scorecard, cost, front, score
from firstfault.advise.verdict import conclude
from firstfault.answer.application import Application
from firstfault.collection.database import connect
from firstfault.config import BakeoffConfig, Config, EvaluateConfig
from firstfault.diagnose import diagnose_run, generations, subjects_of
from firstfault.errors import InputError
from firstfault.evaluate import RunStore, evaluate
from firstfault.evaluate.compare import compare
from firstfault.evaluate.run import TOKENS_PER_PASSAGE_FRAME, finished
from firstfault.finetune import open_release
from firstfault.models.adapters import is_path
from firstfault.types import Case, CaseResult, Run, Verdict

if TYPE_CHECKING:
    from firstfault.models.store import ProgressCallback

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many cases are done, and of how many."""

ABILITY = "ability:"
"""How the gates of a release name the verdict on an ability."""
FOLDER = "bakeoff"
"""Of the home, where the first faults of the arms are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What an arm will ask for at most, before anything is asked."""

    arm: str
    answers: int
    probes: int
    """Generations that finding its first faults may ask for."""
    prompt_tokens: int
    completion_tokens: int
    money: float | None
    """By the configured prices of tokens; None where they are not known."""
    endpoint: str | None
    """None when the model runs here."""


def plan(arms: Sequence[Arm], cases: Sequence[Case], *, budget: int | None) -> list[Planned]:
    """The cost of a bake-off, at most. `budget` limits the probes of each arm; None = the settings'."""
    made = []
    for arm in arms:
        settings = arm.settings
        probes = settings.diagnose.budget if budget is None else budget
        probes = 0 if settings.generator.kind == "extractive" else min(probes, 2 * len(cases))
        asked = len(cases) + probes
        longest = max(
            settings.generator.max_tokens,
            settings.format.max_tokens if any(case.schema for case in cases) else 0,
        )
        prompt = TOKENS_PER_PASSAGE_FRAME + (settings.pack.budget_tokens if arm.retrieves else 0)
        priced = cost(settings.bakeoff, prompt=asked * prompt, completion=asked * longest, hours=0.0)
        remote = settings.generator.kind == "openai"
        made.append(
            Planned(
                arm=arm.name,
                answers=len(cases),
                probes=probes,
                prompt_tokens=asked * prompt,
                completion_tokens=asked * longest,
                money=priced if remote else None,
                endpoint=f"{settings.generator.model} at {settings.generator.base_url}" if remote else None,
            )
        )
    return made


def bakeoff(
    config: Config,
    cases: Sequence[Case],
    arms: Sequence[Arm],
    *,
    collection: str = "default",
    source: str = "",
    budget: int | None = None,
    again: bool = False,
    progress: Progress | None = None,
    download: "ProgressCallback | None" = None,
) -> Scorecard:
    """Run the cases through every arm, one after the other, and compare them.

    `budget` limits the generations of each diagnosis, 0 = no diagnosis asks any. `again` runs every arm anew.
    Every arm opens the home by itself, so no other process may have it.

    Raises:
        InputError: there are fewer than two arms, or no cases.
        MissingError: a collection, a model or an adapter is not there.
    """
    if len(arms) < 2:
        raise InputError("A bake-off needs two arms.", hint="Leave --arms out, or name more of them.")
    if not cases:
        raise InputError("There are no cases to run.", hint="Give a file with at least one case.")
    for arm in arms:  # what is missing ends the bake-off here, not after the first arm
        with _opened(config, arm, collection, download) as app:
            app.generator(app.settings.generator)
    results: dict[str, list[CaseResult]] = {}
    scores: list[ArmScore] = []
    for arm in arms:
        with _opened(config, arm, collection, download) as app:
            run, reused = _run(app, arm, cases, source, again=again, progress=progress)
            with closing(RunStore(connect(app.config.home))) as store:
                plain = list(store.results(run.id).values())
            traces = app.traces.several([one.trace_id for one in plain if one.trace_id])
            results[arm.name] = comparable(app, plain, traces)
            faults = _faults(app, arm, run, plain, budget=budget, progress=progress)
            scores.append(
                score(
                    arm,
                    run,
                    results[arm.name],
                    traces,
                    faults=faults,
                    abilities=abilities_of(app.config.home, arm),
                    reused=reused,
                    limits=config.settings.evaluate,
                )
            )
    return _assemble(
        arms, scores, results, config.settings.bakeoff, limits=config.settings.evaluate, source=source
    )


def _assemble(
    arms: Sequence[Arm],
    scores: Sequence[ArmScore],
    results: Mapping[str, Sequence[CaseResult]],
    settings: BakeoffConfig,
    *,
    limits: EvaluateConfig,
    source: str,
) -> Scorecard:
    """The scorecard of arms that have run."""
    against = next((arm.name for arm in arms if arm.name == "rag"), arms[0].name)
    return Scorecard(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        cases=source,
        total=len(next(iter(results.values()))),
        arms=front(scores),
        against=against,
        differences={
            arm.name: tuple(compare(results[against], results[arm.name], limits, metrics=MEASURES))
            for arm in arms
            if arm.name != against
        },
        conclusion=conclude(arms, results, margin=settings.margin),
        margin=settings.margin,
        currency=settings.currency,
    )


def _opened(config: Config, arm: Arm, collection: str, download: "ProgressCallback | None") -> Application:
    return Application(
        replace(config, settings=arm.settings), collection=arm.collection or collection, progress=download
    )


def _run(
    app: Application,
    arm: Arm,
    cases: Sequence[Case],
    source: str,
    *,
    again: bool,
    progress: Progress | None,
) -> tuple[Run, bool]:
    """The run of an arm, and whether it was there already."""
    earlier = None if again else finished(app, cases)
    if earlier is not None and _complete(app, earlier):
        return earlier, True

    def tell(done: int, total: int) -> None:
        if progress:
            progress(f"{arm.name}: answering", done, total)

    return evaluate(app, cases, source=source, progress=tell), False


def _complete(app: Application, run: Run) -> bool:
    """Whether every request of a finished run is still kept: tokens and faults are read from them."""
    with closing(RunStore(connect(app.config.home))) as store:
        wanted = [one.trace_id for one in store.results(run.id).values() if one.trace_id]
    return len(app.traces.several(wanted)) == len(wanted)


def _faults(
    app: Application,
    arm: Arm,
    run: Run,
    results: Sequence[CaseResult],
    *,
    budget: int | None,
    progress: Progress | None,
) -> tuple[Fault, ...]:
    """The first faults of an arm, found once a run and kept."""
    allowed = generations(app, subjects_of(app, results), budget)
    file = app.config.home / FOLDER / f"{run.id}-{allowed}.json"
    if file.exists():
        return tuple(Fault(**row) for row in json.loads(file.read_text(encoding="utf-8")))

    def tell(done: int, total: int) -> None:
        if progress:
            progress(f"{arm.name}: first faults", done, total)

    found = diagnose_run(app, run, results, budget=budget, progress=tell)
    faults = [
        Fault(
            stage=one.stage,
            cause=one.cause,
            cases=len(one.cases),
            share=one.share,
            ci_low=one.ci_low,
            ci_high=one.ci_high,
            verified=one.verified,
            tolerated=one in found.scattered,
        )
        for one in (*found.findings, *found.scattered)
    ]
    _keep(file, [asdict(fault) for fault in faults])
    return tuple(faults)


def abilities_of(home: Path, arm: Arm) -> tuple[Verdict, ...]:
    """What the gates measured before the adapter was released; nothing for one that was not."""
    name = arm.settings.generator.adapter
    if name is None or arm.settings.generator.kind != "llama" or is_path(name):
        return ()
    verdicts = open_release(home, name).verdicts
    return tuple(one for one in verdicts if one.name.startswith(ABILITY))


def _keep(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write in one step: a file that is there is whole."""
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(rows), encoding="utf-8")
    partial.rename(file)
