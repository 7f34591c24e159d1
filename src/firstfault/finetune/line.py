"""The line from data to release: plan, train, resume, measure, gate, release; every step recorded."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.answer.prompt import OWN_INSTRUCTIONS
from firstfault.collection.database import translated
from firstfault.errors import FirstfaultError, InputError, MissingError, RankError
from firstfault.finetune.base import open_base
from firstfault.finetune.card import card
from firstfault.finetune.data import Row, read_dataset, write_dataset
from firstfault.finetune.gates import gate, passed
from firstfault.finetune.recipe import SAVED, restored, shared
from firstfault.finetune.releases import Candidate, Release, publish, require_name
from firstfault.finetune.runs import TrainingRun, TrainingRuns
from firstfault.trace.record import new_trace_id
from firstfault.types import Verdict

if TYPE_CHECKING:
    from firstfault.finetune.diagnose import RunDiagnosis
    from firstfault.finetune.harness import Tasks
    from firstfault.finetune.measure import Told
    from firstfault.finetune.processes import Several
    from firstfault.finetune.train import Listener, Plan, Trainer
    from firstfault.finetune.trials import Intervention

    Training = Trainer | Several

_FILES = ("training", "validation", "replay")


def prepare(made: "Plan", folder: Path | None = None) -> "Training":
    """What trains a plan, here or in several processes, e.g. to estimate; nothing is recorded.

    Raises:
        InputError: the recipe asks for more processes than there are devices.
        MissingError: the extra for several processes is not installed.
    """
    from firstfault.finetune.processes import Several
    from firstfault.finetune.train import Trainer

    kind = Trainer if made.recipe.processes == 1 else Several
    return kind(made, folder or Path())


def begin(home: Path, trainer: "Training") -> TrainingRun:
    """Record a run with its rows, and give its folder to the trainer."""
    runs = TrainingRuns(home, create=True)
    try:
        run = runs.begin(f"ft-{new_trace_id()}", trainer.plan.document())
    finally:
        runs.close()
    for name in _FILES:
        write_dataset(getattr(trainer.plan, name), run.folder / f"{name}.jsonl")
    trainer.folder = run.folder
    return run


def resume(home: Path, run: TrainingRun, *, processes: int | None = None) -> "Training":
    """A run that was interrupted, to go on from its last checkpoint; in so many processes, or as before.

    Raises:
        InputError: it has ended, its rows are gone, or there are fewer devices than processes.
        MissingError: the extra for several processes is not installed.
    """
    if run.status != "training":
        raise InputError(f"{run.id} has ended ({run.status}).", hint="See: firstfault finetune show RUN")
    made = planned(home, run)
    if processes is not None:
        made = replace(made, recipe=shared(made.recipe, processes))
    return prepare(made, run.folder)


def asks_alike(run: TrainingRun) -> bool:
    """Whether an example of a run begins with the instructions that `ask` puts before a question."""
    rows = read_dataset(run.folder / "training.jsonl").rows
    return any(row.messages[0].content.startswith(OWN_INSTRUCTIONS) for row in rows)


def planned(home: Path, run: TrainingRun) -> "Plan":
    """The plan of a recorded run."""
    from firstfault.finetune.train import Plan
    from firstfault.structured.schema import compile_schema

    record = run.record
    rows = {name: _rows(run.folder / f"{name}.jsonl") for name in _FILES}
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


def _rows(file: Path) -> tuple[Row, ...]:
    try:
        return read_dataset(file, plain=True).rows if file.stat().st_size else ()
    except FileNotFoundError as error:
        raise MissingError(
            f"{file} is gone: the rows of this run are needed.", hint="Train again: firstfault finetune train"
        ) from error


def train(
    home: Path, run: TrainingRun, trainer: "Training", *, listen: "Listener | None" = None
) -> TrainingRun:
    """Train to the end, record it, and write the adapter in both formats.

    Raises:
        RankError: one of several processes failed or was killed; the run can be resumed.
        FirstfaultError: it could not go on; the run is marked as failed.
    """
    from firstfault.finetune.export import ARCHITECTURES, export_gguf
    from firstfault.finetune.train import document

    runs = TrainingRuns(home)
    try:
        try:
            done = trainer.run(listen, lambda seen: runs.update(run.id, seen))
        except RankError as error:
            error.hint += f" Then go on: firstfault finetune resume {run.id}"
            raise
        except FirstfaultError:
            runs.update(run.id, {}, "failed")
            raise
        best = done.best.step if done.best else None
        changes: dict[str, Any] = document(done.points, done.alarms, best, done.seconds)
        if done.folder.name == SAVED["lora"] and trainer.config.model_type in ARCHITECTURES:
            export_gguf(done.folder, trainer.config, run.folder / "adapter.gguf")
        status: Any = done.status
        runs.update(run.id, changes, status)
        return runs.get(run.id)
    finally:
        runs.close()


def measure(
    home: Path, run: TrainingRun, *, tasks: "Tasks | None" = None, told: "Told | None" = None
) -> TrainingRun:
    """Measure what a run trained against its base model, and record it. `tasks` are of lm-eval.

    Raises:
        InputError: the run has not ended, or lm-eval has no such task.
        MissingError: an extra, or the data of a task, is missing.
    """
    from firstfault.finetune import doctor
    from firstfault.finetune.measure import Tuned, bench, bench_document

    if run.status == "training":
        raise InputError(f"{run.id} has not ended.", hint=f"Go on: firstfault finetune resume {run.id}")
    made = planned(home, run)
    found = bench(
        made.base,
        Tuned(method=made.recipe.method, folder=saved(run), gguf=run.folder / "adapter.gguf"),
        made.validation,
        schema=made.schema,
        template=made.template,
        shape=doctor.taught(made.training),
        tasks=None if tasks is None else replace(tasks, log=run.folder / "lm-eval"),
        told=told,
    )
    runs = TrainingRuns(home)
    try:
        runs.update(run.id, {"bench": bench_document(found)})
        return runs.get(run.id)
    finally:
        runs.close()


def saved(run: TrainingRun) -> Path:
    """The folder of what a run learnt, as transformers load it."""
    return run.folder / SAVED[run.record["recipe"].get("method", "lora")]


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
    home: Path, run: TrainingRun, *, trial: bool = False, told: "Told | None" = None
) -> "tuple[RunDiagnosis, tuple[Intervention, ...]]":
    """The first fault of a run, and what short trainings showed of its fix.

    With `trial` two are made and recorded now, where they can show something; else those of before count.
    """
    from firstfault.finetune.diagnose import diagnose as examine
    from firstfault.finetune.trials import Intervention, confirmed, intervene, is_triable

    made = examine(run)
    if made.primary is None:
        return made, ()
    if trial and is_triable(made.primary):
        with tempfile.TemporaryDirectory(prefix="firstfault-trial-") as temporary:
            done = intervene(planned(home, run), made.primary, home, Path(temporary), told=told)
        runs = TrainingRuns(home)
        try:
            runs.update(run.id, {"trials": [asdict(done)]})
            run = runs.get(run.id)
        finally:
            runs.close()
    tried = tuple(Intervention(**one) for one in run.record.get("trials", ()))
    of_this = tuple(
        one for one in tried if (one.cause, one.patch) == (made.primary.cause, made.primary.remedy.patch)
    )
    return confirmed(made, of_this), of_this


def releasable(home: Path, run: TrainingRun, name: str) -> tuple[Verdict, ...]:
    """The verdicts of every gate on a run whose adapter may be released under a name.

    Raises:
        InputError: a gate failed, the name cannot be used, or there is no adapter that it could point to.
    """
    require_name(name)
    verdicts = _passed(home, run)
    if not (run.folder / "adapter.gguf").is_file():
        what = "trained every weight" if saved(run).name == SAVED["full"] else "has no adapter in GGUF format"
        raise InputError(
            f"{run.id} {what}: a name can point to a GGUF adapter alone.",
            hint=f"Take it out for your server: firstfault finetune export {run.id} FOLDER",
        )
    return verdicts


def release(home: Path, run: TrainingRun, name: str, *, licence: str) -> Release:
    """Make the adapter of a run the current release of a name, if every gate passes.

    Raises:
        InputError: as `releasable`.
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
            peft=saved(run),
            card=card(name, run.id, run.record, verdicts, licence=licence),
        ),
    )


def export(home: Path, run: TrainingRun, out: Path, *, licence: str) -> Path:
    """Copy what a run learnt and its model card into a new folder for a server of transformers' format.

    Raises:
        InputError: a gate failed, or the folder is there already.
        StorageError: the disk refused.
    """
    verdicts = _passed(home, run)
    if out.exists():
        raise InputError(f"{out} is there already.", hint="Give a folder that does not exist yet.")
    with translated(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=out.parent) as temporary:
            made = Path(temporary, "export")
            shutil.copytree(saved(run), made)
            (made / "README.md").write_text(
                card(out.name, run.id, run.record, verdicts, licence=licence), encoding="utf-8"
            )
            made.rename(out)
    return out


def _passed(home: Path, run: TrainingRun) -> tuple[Verdict, ...]:
    """The verdicts of every gate, if all let it through."""
    verdicts = judge(home, run)
    if not passed(verdicts):
        failed = ", ".join(verdict.name for verdict in verdicts if verdict.status not in {"ok", "warn"})
        raise InputError(
            f"{run.id} is not released: {failed}.", hint=f"See: firstfault finetune diagnose {run.id}"
        )
    return verdicts
