"""Drills of fine-tuning: a training spoilt on purpose, in a temporary home, and what became of it.

In: rows, a model, a fault of `drill.library.tuning`. Out: where it was stopped, and what it was called.
"""

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from firstfault.collection.adapters import FOLDER
from firstfault.drill.outcome import HEALTHY, UNKNOWN, Judged, Named
from firstfault.drill.tuning import Material, TuningFault
from firstfault.errors import FirstfaultError, InputError
from firstfault.finetune import line
from firstfault.finetune.data import Row
from firstfault.finetune.diagnose import diagnose
from firstfault.finetune.extra import load
from firstfault.finetune.recipe import Value
from firstfault.finetune.runs import TrainingRun
from firstfault.types import Verdict

if TYPE_CHECKING:
    from firstfault.finetune.train import Plan, Progress
    from firstfault.structured.schema import Schema

Stopped = Literal["refused", "guard", "gate", ""]
"""`refused`: the data would fail the gate, so nothing was trained; `guard`: the training was ended; `gate`:
what was trained failed it; empty: it would have been released."""
Told = Callable[[str, int, int], None]
"""What is being done, how far, of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningOutcome(Judged):
    """One drill of fine-tuning."""

    faults: tuple[str, ...]
    """Name of the fault; none for the control."""
    severity: float | None
    """None for the control."""
    examples: int
    """Training rows, as they were spoilt."""
    expected: tuple[Named, ...]
    found: Named
    """What was named first: a cause, `healthy`, or `unknown`."""
    listed: tuple[Named, ...]
    """Every cause that was found, the first one first."""
    evidence: str
    stopped: Stopped
    gates: tuple[Verdict, ...]
    seconds: float
    """From the plan to the diagnosis; the training of the control is not counted again for a fault that only
    damages what it exported."""
    skipped: str = ""
    """Why it could not be drilled."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the gates that failed."""
        return tuple(gate.name for gate in self.gates if gate.status == "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a series will cost."""

    trainings: int
    seconds: float
    """Of all trainings to their last step, from one real step; guards end some of them early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The training that is drilled, as `finetune train` is given it."""

    training: tuple[Row, ...]
    validation: tuple[Row, ...]
    model: str
    values: Mapping[str, Value] = field(default_factory=dict)
    schema: "Schema | None" = None
    anyway: bool = False
    """Train on data that would fail the gate, too."""
    seed: int = 0
    """Chooses the rows that are spoilt."""


class TuningWorkshop:
    """Runs drills of one training. Use it as a context manager: everything it wrote goes with it."""

    def __init__(self, given: Training, home: Path) -> None:
        """Of `home` only base models and replay are read, to save making them again."""
        self._given, self._owner = given, home
        self._plans: dict[str, Plan] = {}
        self._sound: TrainingRun | None = None

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="firstfault-drill-"))
        self._home = self._root / "home"
        try:
            _borrow(self._owner, self._home)
        except BaseException:
            shutil.rmtree(self._root, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def forecast(
        self, faults: Sequence[TuningFault], *, severity: float | None = None, control: bool = True
    ) -> Forecast:
        """Time one real step, and count those of every training that the drills need.

        Raises:
            InputError: the training is refused as it is.
        """
        from firstfault.finetune.train import Trainer

        sound = self._plan(None, 0.0)
        if self._refused(sound):
            names = ", ".join(one.name for one in sound.check if one.status == "fail")
            raise InputError(
                f"The data would fail the gate as they are ({names}); nothing was drilled.",
                hint="Clean them (firstfault finetune clean), or drill --anyway.",
            )
        needed = [sound] if control or any(fault.damage for fault in faults) else []
        for fault in faults:
            if fault.spoil is not None:
                try:
                    planned = self._plan(fault, severity or fault.severity)
                except InputError:
                    continue  # the drill says why it is skipped
                needed += [] if self._refused(planned) else [planned]
        if not needed:
            return Forecast(trainings=0, seconds=0.0)
        estimate = Trainer(sound, self._root).estimate()
        a_row = estimate.seconds / (estimate.steps * sound.recipe.batch_size)
        rows = sum(_steps(one) * one.recipe.batch_size for one in needed)
        return Forecast(trainings=len(needed), seconds=round(a_row * rows, 1))

    def control(self, *, told: Told | None = None) -> TuningOutcome:
        """The training as it is: nothing is spoilt."""
        began = time.perf_counter()
        try:
            run = self._measured(self._soundly(told), told)
        except FirstfaultError as error:
            return _skipped(None, None, str(error))
        return self._outcome(None, None, run, time.perf_counter() - began)

    def drill(
        self, fault: TuningFault, *, severity: float | None = None, told: Told | None = None
    ) -> TuningOutcome:
        """Spoil a copy of the training, take it as far as it comes, and diagnose it."""
        given = fault.severity if severity is None else severity
        began = time.perf_counter()
        try:
            if fault.damage is not None:
                run = self._damaged(fault, given, self._soundly(told), told)
            else:
                planned = self._plan(fault, given)
                if self._refused(planned):
                    run = _unbegun(planned, self._root)
                else:
                    run = self._measured(self._trained(planned, told), told)
        except FirstfaultError as error:
            return _skipped(fault, given, str(error))
        finally:
            self._clear()
        return self._outcome(fault, given, run, time.perf_counter() - began)

    def _plan(self, fault: TuningFault | None, severity: float) -> "Plan":
        """The plan of the training as it is, or as a fault spoils it; made once."""
        from firstfault.finetune.train import plan

        key = f"{fault.name} {severity}" if fault else ""
        if key not in self._plans:
            given = self._given
            material = Material(
                training=given.training, validation=given.validation, values=given.values, usual_rate=0.0
            )
            if fault is not None and fault.spoil is not None:
                sound = self._plan(None, 0.0)
                usual = next(one.usual for one in sound.recipe.settings if one.name == "learning_rate")
                material = replace(material, usual_rate=float(usual))
                material = fault.spoil(material, severity, Random(f"{given.seed} {fault.name}"))
            self._plans[key] = plan(
                material.training,
                material.validation,
                model=given.model,
                home=self._home,
                given=material.values,
                schema=given.schema,
                template=material.template,
            )
        return self._plans[key]

    def _refused(self, planned: "Plan") -> bool:
        return not self._given.anyway and any(verdict.status == "fail" for verdict in planned.check)

    def _soundly(self, told: Told | None) -> TrainingRun:
        """The training as it is, made once."""
        if self._sound is None:
            self._sound = self._trained(self._plan(None, 0.0), told)
        return self._sound

    def _trained(self, planned: "Plan", told: Told | None) -> TrainingRun:
        trainer = line.prepare(planned)
        run = line.begin(self._home, trainer)

        def listen(now: "Progress") -> None:
            if told:
                told("training", now.step, now.steps)

        return line.train(self._home, run, trainer, listen=listen)

    def _measured(self, run: TrainingRun, told: Told | None) -> TrainingRun:
        """The run, measured unless a guard ended it: then there is nothing to release."""
        return run if run.status == "stopped" else line.measure(self._home, run, told=told)

    def _damaged(
        self, fault: TuningFault, severity: float, run: TrainingRun, told: Told | None
    ) -> TrainingRun:
        if run.status == "stopped":
            raise InputError("The training as it is was stopped.", hint="See what the control found.")
        with damaged(run.folder / "adapter.gguf", fault, severity):
            return line.measure(self._home, run, told=told)

    def _clear(self) -> None:
        """Delete the files of every run but the sound one."""
        for folder in (self._home / FOLDER / "runs").glob("*"):
            if self._sound is None or folder != self._sound.folder:
                shutil.rmtree(folder, ignore_errors=True)

    def _outcome(
        self, fault: TuningFault | None, severity: float | None, run: TrainingRun, seconds: float
    ) -> TuningOutcome:
        made = diagnose(run)
        listed = tuple(Named(stage=one.stage, cause=one.cause) for one in made.findings)
        nothing = HEALTHY if made.healthy else UNKNOWN
        stopped: Stopped = "" if made.healthy else "gate"
        if run.status != "trained":
            stopped = "refused" if run.status == "training" else "guard"
        return TuningOutcome(
            faults=(fault.name,) if fault else (),
            severity=severity,
            examples=run.record["data"]["training"],
            expected=_expected(fault),
            found=listed[0] if listed else Named(stage=nothing, cause=nothing),
            listed=listed,
            evidence=made.primary.evidence if made.primary else made.unknown,
            stopped=stopped,
            gates=made.gates,
            seconds=round(seconds, 1),
        )


def _expected(fault: TuningFault | None) -> tuple[Named, ...]:
    return (Named(stage=fault.stage, cause=fault.cause),) if fault else ()


def _skipped(fault: TuningFault | None, severity: float | None, reason: str) -> TuningOutcome:
    return TuningOutcome(
        faults=(fault.name,) if fault else (),
        severity=severity,
        examples=0,
        expected=_expected(fault),
        found=Named(stage=UNKNOWN, cause=UNKNOWN),
        listed=(),
        evidence="",
        stopped="",
        gates=(),
        seconds=0.0,
        skipped=reason,
    )


def _unbegun(planned: "Plan", folder: Path) -> TrainingRun:
    """The record of a training that was refused: its data, its recipe, and what the doctor said."""
    return TrainingRun(
        id="(refused)", at="", status="training", folder=folder / "unbegun", record=planned.document()
    )


def _steps(planned: "Plan") -> int:
    rows = len(planned.training) + len(planned.replay)
    return math.ceil(rows / planned.recipe.batch_size) * planned.recipe.epochs


@contextmanager
def damaged(file: Path, fault: TuningFault, severity: float) -> Iterator[None]:
    """An exported adapter with a fault in it; afterwards it is as it was.

    Raises:
        InputError: there is none.
    """
    if not file.exists():
        raise InputError(
            "No GGUF adapter is written for this base model, so there is nothing to damage.",
            hint="Drill with a GGUF file or a known model: --model.",
        )
    assert fault.damage is not None
    sound = file.read_bytes()
    try:
        adapter = load("gguf").GGUFReader(str(file), "r+")
        fault.damage(adapter, severity)
        adapter.data.flush()
        yield
    finally:
        file.write_bytes(sound)


def _borrow(owner: Path, home: Path) -> None:
    """Base models that are dequantised are linked, replay is copied; neither is written through."""
    (home / FOLDER / "bases").mkdir(parents=True)
    for done in sorted((owner / FOLDER / "bases").glob("*/done")):
        place = home / FOLDER / "bases" / done.parent.name
        place.symlink_to(done.parent.resolve(), target_is_directory=True)
    replay = owner / FOLDER / "replay"
    if replay.is_dir():
        shutil.copytree(replay, home / FOLDER / "replay")
