"""Training in several processes: it is the training of one, and only the main process writes."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.finetune.test_train import KilledError, planned, run

from firstfault.errors import InputError, MissingError
from firstfault.finetune import processes
from firstfault.finetune.recipe import choose


def cores(monkeypatch: pytest.MonkeyPatch, *, gpus: int, cpus: int) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cpus)), raising=False)
    cuda = SimpleNamespace(device_count=lambda: gpus)
    monkeypatch.setattr(processes, "load", lambda _: SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(processes, "find_spec", lambda _: object())


def test_more_processes_than_devices_are_refused_and_all_means_every_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores(monkeypatch, gpus=2, cpus=64)
    assert processes.counted({"processes": "all", "rank": 4}) == {"processes": 2, "rank": 4}
    processes.require(2)
    with pytest.raises(InputError, match="3 processes were asked for, and there are 2 GPUs"):
        processes.require(3)
    cores(monkeypatch, gpus=0, cpus=1)
    processes.require(1)
    with pytest.raises(InputError, match="there is 1 core"):
        processes.require(2)
    with pytest.raises(InputError, match="torch sees none"):
        processes.counted({"processes": "all"})
    monkeypatch.setattr(processes, "find_spec", lambda _: None)
    with pytest.raises(MissingError, match="needs accelerate") as caught:
        processes.require(2)
    assert "firstfault[accelerate]" in caught.value.hint


def test_each_process_needs_a_row_of_every_batch() -> None:
    given = {"processes": "4", "batch_size": "8"}
    recipe = choose(examples=100, parameters=10**9, lengths=[50], given=given)
    assert (recipe.processes, recipe.settings[-1].origin) == (4, "--set processes")
    assert choose(examples=100, parameters=10**9, lengths=[50]).processes == 1
    with pytest.raises(InputError, match="9 processes cannot share batches of 8"):
        choose(examples=100, parameters=10**9, lengths=[50], given={**given, "processes": 9})


def test_a_killed_training_goes_on_in_two_processes_to_the_loss_of_one(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="needs the extra: pip install 'firstfault[accelerate]'")
    if processes._cores() < 2:
        pytest.skip("two processes need two cores")
    from firstfault.finetune import line
    from firstfault.structured.schema import compile_schema

    # 33 rows: in the last batch of an epoch there is nothing for the second process
    made = planned(tiny, tmp_path, training=33, dropout=0.0, checks=5)
    made = replace(made, schema=compile_schema({"type": "object", "required": ["x"]}))
    whole = run(made, tmp_path / "whole")

    def kill(now: Any) -> None:
        if now.step == 7 and now.point is None:
            raise KilledError

    (folder := tmp_path / "two").mkdir()
    with pytest.raises(KilledError):
        run(made, folder, listen=kill)
    two = line.prepare(replace(made, recipe=replace(made.recipe, processes=2)), folder)
    estimate = two.estimate()
    assert [(one.rank, one.device, one.rows) for one in estimate.processes] == [(0, "cpu", 4), (1, "cpu", 4)]
    heard: list[Any] = []
    kept: list[Any] = []
    done = two.run(heard.append, kept.append)
    assert [point.step for point in done.points] == [point.step for point in whole.points]
    assert [one.step for one in heard if one.loss is not None] == list(range(6, 11))
    for ours, theirs in zip(done.points, whole.points, strict=True):
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, abs=1e-4)
        assert ours.valid_share == theirs.valid_share
        assert ours.train_loss == pytest.approx(theirs.train_loss, abs=1e-4)
    assert done.points[-1].validation_loss < 0.9 * done.points[0].validation_loss
    assert [one["points"][-1]["step"] for one in kept] == [10]
    names = {str(file.relative_to(folder)) for file in folder.rglob("*")}
    assert names == {str(file.relative_to(tmp_path / "whole")) for file in (tmp_path / "whole").rglob("*")}


def test_a_plan_says_who_computes_what_where() -> None:
    from io import StringIO

    from rich.console import Console

    from firstfault.cli import render_finetune
    from firstfault.finetune.train import Share

    out = StringIO()
    shares = [
        Share(
            rank=rank,
            device=f"cuda:{rank}",
            device_bytes=24 * 2**30,
            threads=4,
            rows=rows,
            memory_bytes=17 * 2**30,
        )
        for rank, rows in enumerate((2, 1))
    ]
    render_finetune.processes(Console(file=out, width=200), shares, 3)
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert (
        lines[1]
        == "rank 0: cuda:0, 4 threads: 2 of 3 rows a batch, about 17.0 GB of 24.0 GB; measures and saves"
    )
    assert lines[2] == "rank 1: cuda:1, 4 threads: 1 of 3 rows a batch, about 17.0 GB of 24.0 GB"


class Bystander:
    """The group as a rank sees it that is not the main one, with nothing in its share."""

    main, rank, size = False, 1, 2

    def share(self, rows: Any) -> Any:
        return rows[:0]

    def total(self, value: float) -> float:
        return value + 1.0

    def decided(self, said: bool) -> bool:
        return said

    def align(self, parameters: Any) -> None: ...

    def add_gradients(self, parameters: Any) -> None:
        for one in parameters:
            one.grad = one.detach() * 0

    def draw(self, seed: int, step: int) -> None: ...

    def wait(self) -> None: ...


def test_any_but_the_main_process_writes_nothing(tiny: Path, tmp_path: Path) -> None:
    from firstfault.finetune.train import Trainer

    (folder := tmp_path / "run").mkdir()
    stand_in: Any = Bystander()
    done = Trainer(planned(tiny, tmp_path, epochs=1), folder, stand_in).run()
    assert done.points == ()
    assert list(folder.iterdir()) == []
