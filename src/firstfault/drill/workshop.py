"""Where drills are run: copies of an application, broken, evaluated, diagnosed and thrown away.

In: a configuration and cases. Out: one `Outcome` a drill. The home is read once, through a backup.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Self

from firstfault.collection.database import connect
from firstfault.collection.snapshot import copy_home, snapshot
from firstfault.config import Config, LatencyConfig, Settings
from firstfault.drill.answerer import Answerer
from firstfault.drill.fault import Fault
from firstfault.drill.outcome import HEALTHY, UNKNOWN, Named, Outcome, Repaired
from firstfault.drill.proxy import Plan, Proxy
from firstfault.drill.sandbox import Sandbox
from firstfault.drill.scenes import SCENES
from firstfault.drill.upstream import LocalUpstream
from firstfault.errors import FirstfaultError, InputError
from firstfault.evaluate import RunStore, evaluate
from firstfault.evaluate.aggregate import lower_is_better
from firstfault.models.opening import open_embedder
from firstfault.stages import ANY_STAGE_CAUSES, Stage
from firstfault.types import Case, CaseResult, Diagnosis, Run

if TYPE_CHECKING:
    from firstfault.answer import Application

NO_BUDGET_MS = 1e9
"""Budgets are lifted in drills of other faults than slowness: a busy machine is not what is drilled."""
ESTIMATE = 1.5
"""Tokens behind an endpoint are estimated, and upwards: the budget is raised by this factor, so that the
prompt holds the passages that it holds with a generator that counts."""
FIRST_TOKEN_MS = 500.0
"""A budget for the first token that is longer is shortened to this in a copy, so that no drill takes minutes:
a slow endpoint is drilled as slow against that."""
OVER_BUDGET = ANY_STAGE_CAUSES[1]
_POSITION = {stage: position for position, stage in enumerate(Stage)}
_HURTS = (
    "context_recall",
    "faithfulness",
    "hallucination_rate",
    "answer_correctness",
    "citation_recall",
    "citation_validity",
    "abstention_accuracy",
    "format_validity",
)
_WORSE = 0.25
"""A case is hurt when one of these scores is worse by at least this. Noise in a context hurts nobody by
itself, so its precision is not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A scene that is ready to be copied."""

    home: Path
    settings: Settings
    cases: tuple[Case, ...]
    local_embedder: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """A run with its diagnosis."""

    run: Run
    results: dict[str, CaseResult]
    diagnosis: Diagnosis
    seconds_evaluate: float
    seconds_diagnose: float
    repair: Repaired | None


class Workshop:
    """Runs drills on copies of one application. Use it as a context manager: the copies go with it.

    The generator of every copy is an endpoint of the workshop's own, served over HTTP by `Answerer`: it knows
    the gold evidence, answers from the prompt, and costs nothing.
    """

    def __init__(
        self, config: Config, cases: Sequence[Case], *, collection: str = "default", repair: bool = False
    ) -> None:
        """With `repair`, what a diagnosis finds is given to `fix`, and the outcome says whether it helped."""
        if not cases:
            raise InputError("There are no cases to drill with.", hint="Give a file with at least one case.")
        self._config = config
        self._cases = tuple(cases)
        self._collection = collection
        self._repair = repair
        self._scenes: dict[str, _Prepared] = {}
        self._healthy: dict[tuple[str, bool], tuple[Run, dict[str, CaseResult]]] = {}
        self._runs = 0

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="firstfault-drill-"))
        self._retries = logging.getLogger("stamina")  # announces each retry, and many are meant to happen
        self._level = self._retries.level
        self._retries.setLevel(logging.ERROR)
        try:
            snapshot(self._config.home, self._root / "base")
            self._embedder = open_embedder(self._config.settings.embedder)
            self._upstream = LocalUpstream(embedder=self._embedder)
            self._plan = Plan()
            self._proxy = Proxy(self._upstream, self._plan)
            self._proxy.start()
        except BaseException:
            shutil.rmtree(self._root, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._retries.setLevel(self._level)
        self._proxy.close()
        shutil.rmtree(self._root, ignore_errors=True)

    def drill(
        self,
        faults: Sequence[Fault],
        *,
        severity: float | None = None,
        seed: int = 0,
        count: int | None = None,
    ) -> Outcome:
        """Break a copy with these faults, evaluate it, and ask the diagnosis.

        `severity` None takes each fault's own; `count` limits the cases, which the seed then chooses.
        """
        ordered = sorted(faults, key=lambda fault: _POSITION[fault.stage])
        scene = scene_of(ordered)
        most = min((f.most_cases for f in ordered if f.most_cases), default=None)
        answers = any(fault.answers for fault in ordered)
        expected = tuple(Named(stage=fault.stage.value, cause=fault.cause) for fault in ordered)
        first = ordered[0]
        given = first.severity if severity is None else severity
        slow = any(fault.cause == OVER_BUDGET for fault in ordered)
        most = min(count or len(self._cases), most or len(self._cases))
        sandbox = self._copy(scene, seed, most, budgets=slow)
        try:
            for fault in ordered:
                fault.inject(sandbox, fault.severity if severity is None else severity)
            looked = self._look(sandbox, answers=answers)
        except FirstfaultError as error:
            return _skipped(
                ordered, scene=scene, severity=given, seed=seed, expected=expected, reason=str(error)
            )
        finally:
            self._discard(sandbox)
        return self._outcome(
            looked, faults=ordered, scene=scene, severity=given, seed=seed, expected=expected, answers=answers
        )

    def control(
        self, scene: str = "plain", *, seed: int = 0, count: int | None = None, answers: bool = True
    ) -> Outcome:
        """Diagnose a copy that nothing was done to."""
        sandbox = self._copy(scene, seed, count or len(self._cases))
        try:
            looked = self._look(sandbox, answers=answers)
        finally:
            self._discard(sandbox)
        return self._outcome(
            looked, faults=(), scene=scene, severity=None, seed=seed, expected=(), answers=answers
        )

    @contextmanager
    def sandbox(self, scene: str = "plain", *, seed: int = 0) -> Iterator[Sandbox]:
        """A copy to break by hand, thrown away at the end."""
        sandbox = self._copy(scene, seed, len(self._cases), budgets=True)
        try:
            yield sandbox
        finally:
            self._discard(sandbox)

    def _copy(self, scene: str, seed: int, count: int, *, budgets: bool = False) -> Sandbox:
        prepared = self._prepared(scene)
        self._runs += 1
        # An address of its own: what a client learned about one run's endpoint is not held against another's.
        changes = {"generator.base_url": f"{self._proxy.address}/run-{self._runs}/v1"}
        if not budgets:
            changes |= {f"latency.{name}": str(NO_BUDGET_MS) for name in LatencyConfig.model_fields}
        home = self._root / f"run-{self._runs}" / "home"
        home.parent.mkdir(mode=0o700)
        copy_home(prepared.home, home)
        return Sandbox(
            home=home,
            settings=prepared.settings.override(changes),
            cases=_sample(prepared.cases, count, seed),
            seed=seed,
            collection=self._collection,
            plan=self._reset(seed),
            proxy_url=self._proxy.base_url,
            embedder=self._embedder if prepared.local_embedder else None,
        )

    def _prepared(self, scene: str) -> _Prepared:
        """The scene, made when it is first needed."""
        if scene not in self._scenes:
            settings = self._config.settings.embedded().override(self._stand_ins())
            home = self._root / f"scene-{scene}" / "home"
            home.parent.mkdir(mode=0o700)
            copy_home(self._root / "base", home)
            sandbox = Sandbox(
                home=home,
                settings=settings,
                cases=self._cases,
                seed=0,
                collection=self._collection,
                plan=self._reset(0),
                proxy_url=self._proxy.base_url,
                embedder=self._embedder,
            )
            SCENES[scene].prepare(sandbox)
            with sandbox.application() as app:
                app.collection.info()  # builds the index, once for all copies
            self._scenes[scene] = _Prepared(
                home=home,
                settings=settings.override(sandbox.overrides),
                cases=sandbox.cases,
                local_embedder=sandbox.embedder is not None,
            )
        return self._scenes[scene]

    def _stand_ins(self) -> dict[str, str]:
        """Settings that put the workshop's endpoint in the place of the generator."""
        changes = {
            "generator.kind": "openai",
            "generator.model": Answerer.model,
            "generator.base_url": self._proxy.base_url,
            "generator.endpoints": "",
            "generator.api_key_env": "",
            "generator.max_tokens": "256",
            "generator.context_window": "8192",
            "pack.budget_tokens": str(round(self._config.settings.pack.budget_tokens * ESTIMATE)),
        }
        budget = self._config.settings.latency.first_token_ms
        if budget is not None and budget > FIRST_TOKEN_MS:
            changes["latency.first_token_ms"] = str(FIRST_TOKEN_MS)
        return changes

    def _reset(self, seed: int) -> Plan:
        self._plan.faults, self._plan.seed, self._plan.struck = (), seed, 0
        return self._plan

    def _look(self, sandbox: Sandbox, *, answers: bool) -> _Looked:
        """Evaluate the sandbox as it is and diagnose the run."""
        from firstfault.diagnose import diagnose_run

        with sandbox.application() as app:
            started = time.perf_counter()
            run, results = self._evaluate(app, sandbox, answers=answers)
            evaluated = time.perf_counter()
            diagnosis = diagnose_run(app, run, list(results.values()))
            done = time.perf_counter()
            repair = _repaired(app, run, results, diagnosis) if self._repair and diagnosis.primary else None
        return _Looked(
            run=run,
            results=results,
            diagnosis=diagnosis,
            seconds_evaluate=evaluated - started,
            seconds_diagnose=done - evaluated,
            repair=repair,
        )

    def _evaluate(
        self, app: "Application", sandbox: Sandbox, *, answers: bool
    ) -> tuple[Run, dict[str, CaseResult]]:
        self._upstream.chat_model = Answerer(sandbox.cases)
        run = evaluate(app, sandbox.cases, source="drill", generation=answers)
        with closing(RunStore(connect(sandbox.home))) as store:
            results = store.results(run.id).values()
        return run, {result.case_id: result for result in results}

    def _reference(self, scene: str, answers: bool, seed: int) -> tuple[Run, dict[str, CaseResult]]:
        """The healthy scene over all cases, evaluated once."""
        key = (scene, answers)
        if key not in self._healthy:
            sandbox = self._copy(scene, seed, len(self._cases))
            try:
                with sandbox.application() as app:
                    self._healthy[key] = self._evaluate(app, sandbox, answers=answers)
            finally:
                self._discard(sandbox)
        return self._healthy[key]

    def _outcome(
        self,
        looked: _Looked,
        *,
        faults: Sequence[Fault],
        scene: str,
        severity: float | None,
        seed: int,
        expected: tuple[Named, ...],
        answers: bool,
    ) -> Outcome:
        reference, healthy = self._reference(scene, answers, seed)
        diagnosis = looked.diagnosis
        listed = tuple(Named(stage=one.stage, cause=one.cause) for one in diagnosis.findings)
        primary = diagnosis.primary
        nothing = HEALTHY if diagnosis.healthy else UNKNOWN
        return Outcome(
            faults=tuple(fault.name for fault in faults),
            scene=scene,
            severity=severity,
            seed=seed,
            cases=len(looked.results),
            hurt=sum(_worse(result, healthy[case]) for case, result in looked.results.items()),
            expected=expected,
            found=Named(stage=primary.stage, cause=primary.cause)
            if primary
            else Named(stage=nothing, cause=nothing),
            listed=listed,
            evidence=primary.evidence if primary else "",
            next_command=diagnosis.next_command,
            alerts=tuple(
                name
                for name, metric in looked.run.metrics.items()
                if metric.status == "fail"
                and (name not in reference.metrics or reference.metrics[name].status != "fail")
            ),
            seconds_evaluate=round(looked.seconds_evaluate, 2),
            seconds_diagnose=round(looked.seconds_diagnose, 2),
            model_calls=diagnosis.model_calls,
            repair=looked.repair,
        )

    @staticmethod
    def _discard(sandbox: Sandbox) -> None:
        shutil.rmtree(sandbox.home.parent, ignore_errors=True)


def _repaired(app: "Application", run: Run, results: dict[str, CaseResult], diagnosis: Diagnosis) -> Repaired:
    """What `fix` makes of the first finding."""
    from firstfault.diagnose.diagnosis import open_playbook
    from firstfault.diagnose.fix import fix

    report = fix(app, run, list(results.values()), diagnosis, playbook=open_playbook(app.settings))
    first = next((one for one in report.fixes if one.finding == diagnosis.primary), None)
    if first is None or first.trial is None:
        return "unproven" if first is not None and first.attempts else "no setting repairs it"
    return "verified" if first.trial.verified else "unproven"


def scene_of(faults: Sequence[Fault]) -> str:
    """The scene that all faults can be injected into.

    Raises:
        InputError: they need different ones.
    """
    special = {fault.scene for fault in faults} - {"plain"}
    if len(special) > 1:
        names = " and ".join(fault.name for fault in faults)
        raise InputError(f"{names} need different applications.", hint="Drill them one at a time.")
    return special.pop() if special else "plain"


def _sample(cases: tuple[Case, ...], count: int, seed: int) -> tuple[Case, ...]:
    """That many cases, chosen by the seed, in their order."""
    if count >= len(cases):
        return cases
    kept = set(Random(f"{seed} cases").sample(range(len(cases)), count))
    return tuple(case for position, case in enumerate(cases) if position in kept)


def _worse(result: CaseResult, healthy: CaseResult) -> bool:
    """Whether a case fails, or one of its scores is clearly worse than it was."""
    if result.error is not None:
        return healthy.error is None
    for name in _HURTS:
        now, before = result.scores[name].value, healthy.scores[name].value
        if now is None or before is None:
            continue
        loss = now - before if lower_is_better(name) else before - now
        if loss >= _WORSE:
            return True
    return False


def _skipped(
    faults: Sequence[Fault],
    *,
    scene: str,
    severity: float,
    seed: int,
    expected: tuple[Named, ...],
    reason: str,
) -> Outcome:
    return Outcome(
        faults=tuple(fault.name for fault in faults),
        scene=scene,
        severity=severity,
        seed=seed,
        cases=0,
        hurt=0,
        expected=expected,
        found=Named(stage=UNKNOWN, cause=UNKNOWN),
        listed=(),
        evidence="",
        next_command="",
        alerts=(),
        seconds_evaluate=0.0,
        seconds_diagnose=0.0,
        model_calls=0,
        skipped=reason,
    )
