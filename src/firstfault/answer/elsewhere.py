"""An open application in other processes: what they need of it travels, each opens its own, and only reads.

In: an application. Out: a `Passage` for the workers of `firstfault.bulk`, and applications that they open.
What requests leave behind there is handed back, since only the process that asked writes to the home.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from firstfault.answer.application import Application, find_adapter
from firstfault.config import Config, GeneratorConfig
from firstfault.errors import ConfigError, FirstfaultError, MissingError
from firstfault.types import Trace

if TYPE_CHECKING:
    from firstfault.trace import TraceStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What a worker needs to open the application."""

    config: Config
    collection: str
    copy: Path | None
    """A copy of the home that every worker copies again; None when the home is one that processes share."""
    files: Mapping[str, bytes]
    """Further files of the home that answers depend on, by path in it."""


@dataclass(slots=True)
class Outbox:
    """Takes the traces of a worker's requests, until they are handed back."""

    waiting: list[Trace] = field(default_factory=list)

    def put(self, trace: Trace) -> None:
        """Keep a trace."""
        self.waiting.append(trace)

    def take(self) -> list[Trace]:
        """What came since the last call."""
        taken, self.waiting = self.waiting, []
        return taken

    def close(self) -> None:
        """Nothing is left to write."""


@contextmanager
def passage(app: Application, generators: Iterable[GeneratorConfig] = ()) -> Iterator[Passage]:
    """Make ready what workers need; a copy of the home is gone at the end. `generators` are those that may be
    asked beside the application's own.

    Raises:
        ConfigError: the home is neither one that processes share nor one that can be copied.
    """
    settings = app.settings
    shared = bool(settings.home.database)
    if shared != (settings.index.kind == "qdrant"):
        raise ConfigError(
            "Workers can open this home neither as it is nor as a copy: its database or its index is shared, "
            "the other is not.",
            hint='Move both (docs/scale.md: collection move, home move), or set bulk.kind = "local".',
        )
    files = _files(app, {settings.generator, *generators})
    if shared:
        yield Passage(config=app.config, collection=app.collection.name, copy=None, files=files)
        return
    root = Path(tempfile.mkdtemp(prefix="firstfault-bulk-"))
    try:
        _copy(app, root / "home")
        config = replace(app.config, settings=settings.embedded())
        yield Passage(config=config, collection=app.collection.name, copy=root / "home", files=files)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def opened(passage: Passage) -> "Iterator[tuple[Application, Outbox]]":
    """The application in a worker, in a home of its own that is gone at the end.

    Raises:
        MissingError: the copy of the home is on another machine.
    """
    from firstfault.collection.snapshot import copy_home

    root = Path(tempfile.mkdtemp(prefix="firstfault-worker-"))
    home = root / "home"
    try:
        if passage.copy is None:
            home.mkdir()
        elif passage.copy.is_dir():
            copy_home(passage.copy, home)
        else:
            raise MissingError(
                f"{passage.copy} is not on this machine: an embedded home can be worked on only where it is.",
                hint="For workers on several machines move it to PostgreSQL and Qdrant: docs/scale.md.",
            )
        for name, content in passage.files.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(content)
        outbox = Outbox()
        with Application(replace(passage.config, home=home), collection=passage.collection) as app:
            app.traces = cast("TraceStore", outbox)
            yield app, outbox
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _copy(app: Application, target: Path) -> None:
    """The catalog and the index as they are. Were the index torn, opening it would make it anew."""
    from firstfault.collection.snapshot import copy_home, snapshot

    index = Path("index") / app.collection.name
    home = app.config.home
    snapshot(home, target)
    if (home / index).exists():
        (target / index).parent.mkdir()
        copy_home(home / index, target / index)


def _files(app: Application, generators: Iterable[GeneratorConfig]) -> dict[str, bytes]:
    """The calibration of the verifier, and the adapters that are releases of the home."""
    from firstfault.verify.opening import CALIBRATION

    home = app.config.home
    paths = [home / CALIBRATION]
    for generator in generators:
        with suppress(FirstfaultError):  # who asks that generator there meets the same error, as here
            adapter = find_adapter(generator, home)
            paths += [adapter.path] if adapter is not None and adapter.path is not None else []
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in paths
        if path.is_file() and path.is_relative_to(home)
    }
