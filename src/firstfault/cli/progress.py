"""Progress bars, on stderr: downloads and ingestion."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstfault.ingest import Progress


@contextmanager
def download_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each model that is downloaded; nothing is shown when nothing is."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    bars: dict[str, TaskID] = {}
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

    def update(name: str, done: int, total: int) -> None:
        if name not in bars:
            progress.start()
            bars[name] = progress.add_task(name, total=total)
        progress.update(bars[name], completed=done, total=total)
        if progress.finished:
            progress.stop()

    try:
        yield update
    finally:
        if bars:
            progress.stop()


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
def case_progress(doing: str = "evaluating") -> Iterator[Callable[[int, int], None]]:
    """A bar over cases."""
    from rich import progress as bars
    from rich.console import Console

    bar = bars.Progress(
        bars.TextColumn("  {task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("cases"),
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = bar.add_task(doing, total=None)
    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total)
