"""The line from data to release: plan, train, resume, measure, gate, release; every step recorded."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.errors import FirstfaultError, InputError, MissingError
from firstfault.finetune.base import open_base
from firstfault.finetune.card import card
from firstfault.finetune.data import read_dataset, write_dataset
from firstfault.finetune.gates import gate, passed
from firstfault.finetune.recipe import restored
from firstfault.finetune.releases import Candidate, Release, publish, require_name
from firstfault.finetune.runs import TrainingRun, TrainingRuns
from firstfault.trace.record import new_trace_id
from firstfault.types import Verdict

if TYPE_CHECKING:
    from firstfault.finetune.diagnose import Intervention, RunDiagnosis
    from firstfault.finetune.measure import Told
    from firstfault.finetune.train import Listener, Plan, Trainer

_FILES = ("training", "validation", "replay")


def begin(home: Path, made: "Plan") -> tuple[TrainingRun, "Trainer"]:
    """Record a run with its rows, and load the model."""
    from firstfault.finetune.train import Trainer

    runs = TrainingRuns(home, create=True)
    try:
        run = runs.begin(f"ft-{new_trace_id()}", made.document())
    finally:
        runs.close()
    for name in _FILES:
        write_dataset(getattr(made, name), run.folder / f"{name}.jsonl")
    return run, Trainer(made, run.folder)


def resume(home: Path, run: TrainingRun) -> "Trainer":
    """A run that was interrupted, with the model at its last checkpoint.

    Raises:
        InputError: it has ended, or its rows are gone.
    """
    from firstfault.finetune.train import Trainer

    if run.status != "training":
        raise InputError(f"{run.id} has ended ({run.status}).", hint="See: firstfault finetune show RUN")
    return Trainer(planned(home, run), run.folder)


def planned(home: Path, run: TrainingRun) -> "Plan":
    """The plan of a recorded run."""
    from firstfault.finetune.train import Plan
    from firstfault.structured.schema import compile_schema

    record = run.record
    rows = {
        name: read_dataset(file, plain=True).rows
        if (file := run.folder / f"{name}.jsonl").stat().st_size
        else ()
        for name in _FILES
    }
    return Plan(
        base=open_base(record["base"]["name"], home),
        recipe=restored(record["recipe"]),
        training=rows["training"],
        validation=rows["validation"],
        replay=rows["replay"],
        dropped=record["data"]["dropped"],
        schema=compile_schema(record["schema"]) if record["schema"] else None,
        template=record["template"],
        check=tuple(Verdict(**one) for one in record.get("check", ())),
    )


def train(
    home: Path, run: TrainingRun, trainer: "Trainer", *, listen: "Listener | None" = None
) -> TrainingRun:
    """Train to the end, record it, and write the adapter in both formats.

    Raises:
        FirstfaultError: it could not go on; the run is marked as failed.
    """
    from firstfault.finetune.export import export_gguf
    from firstfault.finetune.train import document

    runs = TrainingRuns(home)
    try:
        try:
            done = trainer.run(listen, lambda seen: runs.update(run.id, seen))
        except FirstfaultError:
            runs.update(run.id, {}, "failed")
            raise
        best = done.best.step if done.best else None
        changes: dict[str, Any] = document(done.points, done.alarms, best, done.seconds)
        if trainer.plan.base.gguf is not None:
            export_gguf(done.peft, trainer.model.config, run.folder / "adapter.gguf")
        status: Any = done.status
        runs.update(run.id, changes, status)
        return runs.get(run.id)
    finally:
        runs.close()


def measure(home: Path, run: TrainingRun, *, told: "Told | None" = None) -> TrainingRun:
    """Measure the adapter of a run against its base model, and record it.

    Raises:
        InputError: the run has not ended, or there is nothing to serve its base model with.
    """
    from firstfault.finetune import doctor
    from firstfault.finetune.measure import bench, bench_document

    if run.status == "training":
        raise InputError(f"{run.id} has not ended.", hint=f"Go on: firstfault finetune resume {run.id}")
    made = planned(home, run)
    found = bench(
        made.base,
        run.folder / "peft",
        run.folder / "adapter.gguf",
        made.validation,
        schema=made.schema,
        template=made.template,
        shape=doctor.taught(made.training),
        told=told,
    )
    runs = TrainingRuns(home)
    try:
        runs.update(run.id, {"bench": bench_document(found)})
        return runs.get(run.id)
    finally:
        runs.close()


def judge(home: Path, run: TrainingRun) -> tuple[Verdict, ...]:
    """The verdict of every gate on a run, recorded."""
    verdicts = gate(run.record)
    runs = TrainingRuns(home)
    try:
        runs.update(run.id, {"gate": [asdict(verdict) for verdict in verdicts]})
    finally:
        runs.close()
    return verdicts


def diagnose(
    home: Path, run: TrainingRun, *, trial: bool = False
) -> "tuple[RunDiagnosis, tuple[Intervention, ...]]":
    """The first fault of a run; with `trial` confirmed by short trainings where a value would repair it."""
    from firstfault.finetune.diagnose import confirmed, intervene
    from firstfault.finetune.diagnose import diagnose as examine

    made = examine(run)
    if not trial or made.primary is None:
        return made, ()
    with tempfile.TemporaryDirectory() as temporary:
        tried = intervene(planned(home, run), made.primary, Path(temporary))
    done = (tried,) if tried is not None else ()
    runs = TrainingRuns(home)
    try:
        runs.update(run.id, {"trials": [asdict(one) for one in done]})
    finally:
        runs.close()
    return confirmed(made, done), done


def releasable(home: Path, run: TrainingRun, name: str) -> tuple[Verdict, ...]:
    """The verdicts of every gate on a run whose adapter may be released under a name.

    Raises:
        InputError: a gate failed, or the name cannot be used.
        MissingError: there is no adapter file.
    """
    require_name(name)
    verdicts = judge(home, run)
    if not passed(verdicts):
        failed = ", ".join(verdict.name for verdict in verdicts if verdict.status not in {"ok", "warn"})
        raise InputError(
            f"{run.id} is not released: {failed}.", hint=f"See: firstfault finetune diagnose {run.id}"
        )
    if not (run.folder / "adapter.gguf").is_file():
        raise MissingError(f"{run.id} has no adapter file any more.", hint="Train it again.")
    return verdicts


def release(home: Path, run: TrainingRun, name: str, *, licence: str) -> Release:
    """Make the adapter of a run the current release of a name, if every gate passes.

    Raises:
        InputError: a gate failed, or the name cannot be used.
        MissingError: there is no adapter file.
    """
    verdicts = releasable(home, run, name)
    base: Mapping[str, str] = run.record["base"]
    return publish(
        home,
        name,
        Candidate(
            gguf=run.folder / "adapter.gguf",
            base=base["name"],
            base_digest=base["digest"],
            verdicts=verdicts,
            run_id=run.id,
            peft=run.folder / "peft",
            card=card(name, run.id, run.record, verdicts, licence=licence),
        ),
    )
