"""Progress on stderr: bars on a terminal; in a log a line now and then, and the last state of the bar."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from firstfault.ingest import Progress

SAID_EVERY_S = 30.0
"""Seconds between two lines in a log."""


class _Log:
    """What a bar would show, as lines, where nobody sees bars."""

    def __init__(self, console: "Console") -> None:
        self._silent = console.is_terminal
        self._due = time.monotonic() + SAID_EVERY_S

    def tell(self, what: str, done: int, total: int | None, unit: str = "") -> None:
        """Write a line, if it is time for one."""
        if self._silent or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + SAID_EVERY_S
        of = f" of {total:,}" if total else ""
        typer.echo(f"  {time.strftime('%H:%M:%S')} {what}: {done:,}{of} {unit}".rstrip(), err=True)


@contextmanager
def download_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each model that is downloaded; nothing is shown, or imported, when nothing is."""
    started: list[_Downloads] = []

    def update(name: str, done: int, total: int) -> None:
        if not started:
            started.append(_Downloads())
        started[0].update(name, done, total)

    try:
        yield update
    finally:
        for downloads in started:
            downloads.progress.stop()


class _Downloads:
    """The bars."""

    def __init__(self) -> None:
        from rich import progress as bars
        from rich.console import Console

        self.tasks: dict[str, bars.TaskID] = {}
        self.progress = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.DownloadColumn(),
            bars.TransferSpeedColumn(),
            bars.TimeRemainingColumn(),
            console=Console(stderr=True),
        )

    def update(self, name: str, done: int, total: int) -> None:
        """Show how far a download is."""
        if name not in self.tasks:
            self.progress.start()
            self.tasks[name] = self.progress.add_task(name, total=total)
        self.progress.update(self.tasks[name], completed=done, total=total)
        if self.progress.finished:
            self.progress.stop()


@contextmanager
def ingest_progress() -> Iterator["Callable[[Progress], None]"]:
    """A bar over documents, with rate and remaining time."""
    from rich import progress as bars
    from rich.console import Console

    console = Console(stderr=True)
    bar = bars.Progress(
        bars.TextColumn("  {task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("documents, {task.fields[rate]}"),
        bars.TimeRemainingColumn(),
        console=console,
    )
    task = bar.add_task("ingesting", total=None, rate="")
    log = _Log(console)

    def update(now: "Progress") -> None:
        speed = bar.tasks[0].speed
        rate = f"{speed:,.0f}/s" if speed else ""
        bar.update(task, completed=now.done, total=now.total or None, rate=rate)
        log.tell("ingesting", now.done, now.total or None, "documents")

    with bar:
        yield update


@contextmanager
def case_progress(
    doing: str = "evaluating", *, unit: str = "cases", at_once: bool = True
) -> Iterator[Callable[[int, int], None]]:
    """A bar over cases; without `at_once` it is shown from the first one that is done."""
    from rich import progress as bars
    from rich.console import Console

    console = Console(stderr=True)
    bar = bars.Progress(
        bars.TextColumn("  {task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn(unit),
        bars.TimeRemainingColumn(),
        console=console,
    )
    task = bar.add_task(doing, total=None, visible=at_once)
    log = _Log(console)

    def update(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total, visible=True)
        log.tell(doing, done, total, unit)

    with bar:
        yield update


@contextmanager
def trial_progress(doing: str = "trying repairs") -> Iterator[Callable[[str, int, int], None]]:
    """A bar over what a fix tries, one thing after another."""
    from rich import progress as bars
    from rich.console import Console

    console = Console(stderr=True)
    bar = bars.Progress(
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.description}"),
        console=console,
    )
    task = bar.add_task(doing, total=None)
    log = _Log(console)

    def update(what: str, done: int, total: int) -> None:
        bar.update(task, description=what, completed=done, total=total)
        log.tell(what, done, total)

    with bar:
        yield update
        bar.update(task, visible=bar.tasks[0].total is not None)  # nothing was tried: no "0/?" stays
