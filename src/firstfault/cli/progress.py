"""Progress bars, on stderr: downloads and ingestion."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstfault.ingest import Progress


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

    bar = bars.Progress(
        bars.TextColumn("  {task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("documents, {task.fields[rate]}"),
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = bar.add_task("ingesting", total=None, rate="")

    def update(now: "Progress") -> None:
        speed = bar.tasks[0].speed
        rate = f"{speed:,.0f}/s" if speed else ""
        bar.update(task, completed=now.done, total=now.total or None, rate=rate)

    with bar:
        yield update


@contextmanager
def case_progress(
    doing: str = "evaluating", *, unit: str = "cases", at_once: bool = True
) -> Iterator[Callable[[int, int], None]]:
    """A bar over cases; without `at_once` it is shown from the first one that is done."""
    from rich import progress as bars
    from rich.console import Console

    bar = bars.Progress(
        bars.TextColumn("  {task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn(unit),
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = bar.add_task(doing, total=None, visible=at_once)
    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


@contextmanager
def trial_progress(doing: str = "trying repairs") -> Iterator[Callable[[str, int, int], None]]:
    """A bar over what a fix tries, one thing after another."""
    from rich import progress as bars
    from rich.console import Console

    bar = bars.Progress(
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.description}"),
        console=Console(stderr=True),
    )
    task = bar.add_task(doing, total=None)
    with bar:
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
