"""Tasks of lm-eval: their names and a model in; a score for every sample, so that two models pair, out.

Any task of lm-eval works, and any YAML of the user's own; the data must be here or reachable. lm-eval is the
extra `lm-eval`: nothing else needs it.
"""

import difflib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from firstfault.errors import InputError, MissingError
from firstfault.finetune.extra import load

EXTRA = "lm-eval"
BATCH = 8
"""Sequences of one forward pass."""
NATS = {"perplexity": 0, "word_perplexity": 1, "byte_perplexity": 1, "bits_per_byte": 1}
"""Measure of lm-eval → 0: a sample is a log-likelihood, 1: a log-likelihood and a count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """What lm-eval is to measure."""

    names: tuple[str, ...]
    """Tasks, groups or tags, e.g. `mmlu`; each becomes one axis."""
    folder: Path | None = None
    """YAML files of the user's own."""
    limit: int | None = None
    """Samples of each task, at most; None = all."""
    log: Path | None = None
    """Folder for a JSONL file a name, with both models' answer to every sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One model on one name."""

    metric: str
    higher_is_better: bool
    values: list[float]
    """Of each sample; nats (a token, a word or a byte, as the measure counts) for perplexities."""
    ids: list[str]
    said: list[str]
    expected: list[str]


def require(tasks: Tasks) -> None:
    """Find out before anything long begins whether every task can be run here.

    Raises:
        InputError: lm-eval has no such task, or the folder is missing.
        MissingError: lm-eval is not installed, or the data of a task cannot be had.
    """
    with _quiet():
        manager = _manager(tasks)
        for name in tasks.names:
            _load(manager, name)


def version() -> str:
    """Of lm-eval."""
    from importlib.metadata import version as of

    return of("lm_eval")


def score(model: Any, tokenizer: Any, tasks: Tasks) -> dict[str, Scored]:
    """Each name → what the model scored on its samples, without a chat template, as lm-eval's tables have it.

    Raises:
        InputError: a task has no measure that is a number for each sample.
        MissingError: as `require`.
    """
    found = {}
    with _quiet():
        lm = load("lm_eval.models.huggingface", EXTRA).HFLM(
            pretrained=model, tokenizer=tokenizer, batch_size=BATCH
        )
        manager = _manager(tasks)
        for name in tasks.names:
            made = load("lm_eval", EXTRA).simple_evaluate(
                model=lm,
                tasks=_load(manager, name),
                task_manager=manager,
                limit=tasks.limit,
                bootstrap_iters=0,
                log_samples=True,
            )
            found[name] = _scored(name, made["samples"], made["higher_is_better"])
    return found


def write_log(folder: Path, name: str, base: Scored, tuned: Scored) -> None:
    """A line a sample: its id, what was expected, and what both models said and scored."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        for i, sample in enumerate(base.ids):
            line = {
                "id": sample,
                "expected": base.expected[i],
                "base": {"said": base.said[i], base.metric: base.values[i]},
                "tuned": {"said": tuned.said[i], tuned.metric: tuned.values[i]},
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


@contextmanager
def _quiet() -> Iterator[None]:
    """lm-eval tells every step to the log; what is wrong comes as an error."""
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    log = logging.getLogger("lm_eval")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _manager(tasks: Tasks) -> Any:
    """What knows every task, once all the names are among them."""
    if tasks.folder is not None and not tasks.folder.is_dir():
        raise InputError(
            f"There is no folder {tasks.folder}.", hint="Give --tasks-path a folder of YAML files."
        )
    load("accelerate", EXTRA)
    made = _index(tasks.folder, all_of_them=tasks.folder is None)
    if any(name not in made.all_tasks for name in tasks.names):
        made = _index(tasks.folder, all_of_them=True)
    unknown = [name for name in tasks.names if name not in made.all_tasks]
    if unknown:
        near = difflib.get_close_matches(unknown[0], made.all_tasks, n=3)
        raise InputError(
            f"lm-eval {version()} has no task '{unknown[0]}'.",
            hint=(f"Near it: {', '.join(near)}. " if near else "")
            + "List them: python -m lm_eval ls tasks. Your own: --tasks-path DIR.",
        )
    return made


@lru_cache(maxsize=2)
def _index(folder: Path | None, *, all_of_them: bool) -> Any:
    """The tasks of a folder, and all of lm-eval's: reading those thousands of files takes many seconds."""
    return load("lm_eval.tasks", EXTRA).TaskManager(
        include_path=None if folder is None else str(folder), include_defaults=all_of_them
    )


def _load(manager: Any, name: str) -> list[Any]:
    """The tasks of a name, with their data."""
    try:
        return list(manager.load([name])["tasks"].values())
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingError(
            f"Task {name} cannot be loaded: {said}",
            hint=f"It needs {_source(manager, name)}. Fetch it where there is a network (its cache "
            "can be copied), or write a YAML over a local file, and give --tasks-path.",
        ) from error


def _source(manager: Any, name: str) -> str:
    """The data of a task, as its YAML names them."""
    entry = manager.task_index.get(name)
    config: Mapping[str, Any] = getattr(entry, "cfg", None) or {}
    path, part = config.get("dataset_path"), config.get("dataset_name")
    files = (config.get("dataset_kwargs") or {}).get("data_files")
    if files is not None:
        return f"the files {files}, as seen from the folder where this command runs"
    if path is None:
        return f"the data set that its YAML names ({getattr(entry, 'yaml_path', None) or name})"
    return f"the data set {path}" + (f", part {part}" if part else "")


def _scored(
    name: str, samples: Mapping[str, Sequence[Mapping[str, Any]]], higher: Mapping[str, Mapping[str, Any]]
) -> Scored:
    """One measure for all tasks of a name: the first of which every sample has a number."""
    flat = [(task, one) for task, several in samples.items() for one in _one_filter(several)]
    for metric in flat[0][1]["metrics"]:
        up = bool(higher[flat[0][0]].get(metric, True))
        values = [_value(metric, one.get(metric), up=up) for _, one in flat]
        if all(value is not None for value in values):
            return Scored(
                metric=metric,
                higher_is_better=up,
                values=[float(value) for value in values if value is not None],
                ids=[f"{task}:{one['doc_id']}" for task, one in flat],
                said=[str(one["filtered_resps"]) for _, one in flat],
                expected=[str(one["target"]) for _, one in flat],
            )
    raise InputError(
        f"No measure of task {name} is a number for each sample, so the two models cannot be paired.",
        hint=f"It has {', '.join(flat[0][1]['metrics'])}. Take a task with acc or exact_match.",
    )


def _one_filter(samples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The samples as the first filter of the task reads the answers."""
    return sorted(
        (one for one in samples if one["filter"] == samples[0]["filter"]), key=lambda one: int(one["doc_id"])
    )


def _value(metric: str, raw: Any, *, up: bool) -> float | None:
    """A sample's value; None where it is no number, or less of it is better and it is no perplexity."""
    import numpy as np

    if NATS.get(metric) == 1 and isinstance(raw, tuple | list) and len(raw) == 2 and raw[1]:
        return -float(raw[0]) / float(raw[1])
    if not isinstance(raw, int | float | np.generic):
        return None
    if NATS.get(metric) == 0:
        return -float(raw)
    return float(raw) if up else None
