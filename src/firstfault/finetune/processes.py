"""A training in several processes, one a device: a plan in; what a `Trainer` gives, by all of them, out.

This process loads no model. It starts the others, hands on what the main one of them tells, and records it.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.errors import InputError, MissingError
from firstfault.finetune.crew import Crew, Desk
from firstfault.finetune.extra import load
from firstfault.finetune.group import EXTRA
from firstfault.models.threads import default_threads

if TYPE_CHECKING:
    from firstfault.finetune.recipe import Value
    from firstfault.finetune.train import Estimate, Listener, Plan, Trained

JOINING_S = 900.0
"""For all to start, import what they need and add up a number: long, for cores that are busy."""
ALL = "all"
"""`processes=all`: one for each GPU."""


def counted(given: "Mapping[str, Value]") -> "Mapping[str, Value]":
    """Values of a recipe with `processes=all` as a number.

    Raises:
        InputError: there is no GPU to count.
    """
    if given.get("processes") != ALL:
        return given
    gpus = int(load("torch").cuda.device_count())
    if not gpus:
        raise InputError(
            "processes=all means one for each GPU, and torch sees none.",
            hint="Give a number: --set processes=2.",
        )
    return {**given, "processes": gpus}


def require(number: int) -> None:
    """Check that so many processes can be started here.

    Raises:
        InputError: there are fewer devices.
        MissingError: the extra is not installed.
    """
    if number == 1:
        return
    if find_spec("accelerate") is None:
        raise MissingError(
            f"Training in {number} processes needs accelerate, which is not installed.",
            hint=f"pip install 'firstfault[{EXTRA}]', or train in one: --set processes=1.",
        )
    gpus = int(load("torch").cuda.device_count())
    there, what = (gpus, "GPU") if gpus else (_cores(), "core")
    if number > there:
        raise InputError(
            f"{number} processes were asked for, and there {'is' if there == 1 else 'are'} {there} {what}"
            f"{'' if there == 1 else 's'}: each needs one of its own.",
            hint=f"Give --set processes={there}."
            + (" CUDA_VISIBLE_DEVICES says which GPUs can be used." if gpus else ""),
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Several:
    """A training in as many processes as its recipe says; asked as a `Trainer` is."""

    def __init__(self, made: "Plan", folder: Path) -> None:
        """Nothing is started yet.

        Raises:
            InputError: there are fewer devices.
            MissingError: the extra is not installed.
        """
        require(made.recipe.processes)
        self.plan, self.folder = made, folder
        self._crew: Crew | None = None
        self._meeting: tempfile.TemporaryDirectory[str] | None = None

    @cached_property
    def config(self) -> Any:
        """Of the base model, as transformers have it."""
        return load("transformers").AutoConfig.from_pretrained(self.plan.base.folder)

    def _start(self) -> None:
        """Start the processes, which find each other and add up a number, unless that is done."""
        if self._crew is None:
            size = self.plan.recipe.processes
            torch = load("torch")
            if torch.cuda.is_initialized():  # replay was made here: the memory is for the first of them
                torch.cuda.empty_cache()
            self._meeting = tempfile.TemporaryDirectory(prefix="firstfault-ranks-")
            threads = max(1, default_threads() // size)
            schema = dict(self.plan.schema.document) if self.plan.schema else None
            travels = replace(self.plan, schema=None)  # a compiled schema does not
            self._crew = Crew(_work, size, travels, schema, Path(self._meeting.name, "meeting"), threads)
            self._ask("join", within=JOINING_S)

    def _ask(
        self, order: Any, heard: Callable[[Any], None] | None = None, *, within: float | None = None
    ) -> Any:
        assert self._crew is not None
        try:
            return self._crew.ask(order, heard, within=within)
        except BaseException:
            self.close()
            raise

    def estimate(self) -> "Estimate":
        """What it will cost, from one step of all together; nothing is learnt from it.

        Raises:
            RankError: a process cannot start or reach the others, or failed, e.g. for want of memory.
        """
        self._start()
        found: list[Estimate] = self._ask("estimate")
        slowest = max(found, key=lambda one: one.seconds)
        return replace(
            slowest,
            memory_bytes=max(one.memory_bytes for one in found),
            device=found[0].device,
            processes=tuple(share for one in found for share in one.processes),
        )

    def run(
        self,
        listen: "Listener | None" = None,
        keep: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> "Trained":
        """Train to the end, or on from the last checkpoint, as `Trainer.run`; the processes end with it.

        Raises:
            RankError: a process failed or was killed; what was measured last is kept, and can be resumed.
        """

        def heard(told: tuple[str, Any]) -> None:
            name, value = told
            if name == "progress" and listen is not None:
                listen(value)
            elif name == "keep" and keep is not None:
                keep(value)

        self._start()
        trained: Trained = self._ask(self.folder, heard)[0]
        assert self._crew is not None
        self._crew.part()
        self.close()
        return trained

    def close(self) -> None:
        """End the processes."""
        if self._crew is not None:
            self._crew.end()
            self._crew = None
        if self._meeting is not None:
            self._meeting.cleanup()
            self._meeting = None


def _work(desk: Desk, made: "Plan", schema: dict[str, Any] | None, meeting: Path, threads: int) -> None:
    """What each process does: join the others, load the model, then estimate and train when told to."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # before torch is imported
    from firstfault.finetune.group import Group
    from firstfault.finetune.train import Trainer
    from firstfault.structured.schema import compile_schema

    load("torch").set_num_threads(threads)
    desk.order()
    group = Group(desk.rank, desk.size, meeting)
    desk.answer(group.device)
    if schema is not None:
        made = replace(made, schema=compile_schema(schema))
    trainer = Trainer(made, Path(), group)
    while (order := desk.order()) is not None:
        if order == "estimate":
            desk.answer(trainer.estimate())
            continue
        trainer.folder = order
        if group.main:
            done = trainer.run(
                lambda now: desk.tell(("progress", now)), lambda seen: desk.tell(("keep", seen))
            )
        else:
            done = trainer.run()
        desk.answer(done)
    group.leave()
