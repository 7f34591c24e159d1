"""What the global options say, and how commands open what they need."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer

from firstfault.errors import InputError

if TYPE_CHECKING:
    from firstfault.answer import Application
    from firstfault.collection import Collection, Recovery
    from firstfault.config import Config
    from firstfault.serve.client import Client
    from firstfault.trace import TraceStore

left_open: list[Callable[[], None]] = []
"""What closes the things that a command only looked at; see `cli.process`."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def pairs(entries: Iterable[str], option: str) -> dict[str, str]:
    """`key=value` texts as a dict.

    Raises:
        InputError: an entry has no `=`.
    """
    found = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or not key.strip():
            raise InputError(f"{option} {entry!r} is not key=value.", hint=f"Write {option} key=value.")
        found[key.strip()] = value.strip()
    return found


@dataclass(frozen=True)
class State:
    """The global options."""

    home: Path | None
    file: Path | None
    overrides: tuple[str, ...]
    collection: str
    url: str | None = None
    """Of a server to go through, as given."""

    def server(self) -> "Client | None":
        """The server that has the home, or that was named; None when this process may open the home itself.

        Raises:
            InputError: settings were given with --set, which the server would not see.
        """
        from firstfault.collection.lock import server_url

        url = self.url or server_url(self.config.home)
        if url is None:
            return None
        if self.overrides:
            raise InputError(
                f"--set changes nothing at the server on {url}, which has the home.",
                hint="Leave --set out, change the server's configuration and reload it, or stop the server.",
            )
        from firstfault.serve.client import Client

        own = None if self.url else self.config.settings.serve.tls_cert  # found through the lock: this home's
        return Client(url, self.collection, certificate=own)

    def at_url(self) -> "Client":
        """The server that --url names."""
        from firstfault.serve.client import Client

        return Client(self.url or "", self.collection)

    @cached_property
    def config(self) -> "Config":
        """The settings in force."""
        from firstfault.config import load

        config = load(self.home, self.file, overrides=pairs(self.overrides, "--set"))
        if config.settings.home.database:
            from firstfault.collection.database import bind

            bind(config.home, config.settings)
        return config

    @contextmanager
    def application(self, *, create: bool = False, looks: bool = False) -> Iterator["Application"]:
        """An open application, closed at the end. Models are pulled on first use.

        With `looks` nothing will be written, and closing is left to the end of the process.
        """
        from firstfault.answer.application import Application
        from firstfault.cli.progress import download_progress

        with (
            download_progress() as progress,
            _closing(
                Application(self.config, collection=self.collection, create=create, progress=progress),
                self.config.home,
                looks=looks,
            ) as application,
        ):
            yield application
            if "collection" in application.__dict__:
                _tell(application.collection.recovery)

    @contextmanager
    def stored(self) -> Iterator["Collection"]:
        """The collection without its embedder, for commands that only look at what is stored."""
        from firstfault.collection import Collection

        with _closing(
            Collection.open(
                self.config.home, name=self.collection, settings=self.config.settings, write=False
            ),
            self.config.home,
            looks=True,
        ) as collection:
            _tell(collection.recovery)
            yield collection

    @contextmanager
    def traces(self) -> Iterator["TraceStore"]:
        """The traces of the home, without locking it.

        Raises:
            MissingError: there is no home yet.
        """
        from firstfault.collection.database import connect
        from firstfault.trace import TraceStore

        home = self.config.home
        store = TraceStore(home, connect(home, create=False))
        try:
            yield store
        finally:
            store.close()


def _tell(recovery: "Recovery") -> None:
    """Say what had to be put right in the index when the collection was opened."""
    if not (recovery.added or recovery.removed or recovery.rebuilt):
        return
    why = f": {recovery.rebuilt}" if recovery.rebuilt else ", after a crash or from a copy"
    what = "made anew" if recovery.rebuilt else "behind the catalog"
    print(
        f"note: the index was {what}{why}; {recovery.added:,} points were put in, {recovery.removed:,} taken "
        "out. No document was lost.",
        file=sys.stderr,
    )


class _Closeable(Protocol):
    def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closeable)


@contextmanager
def _closing(opened: _Opened, home: Path, *, looks: bool) -> Iterator[_Opened]:
    from firstfault.collection.readonly import is_read_only

    done = False
    try:
        yield opened
        done = True
    finally:
        if looks and done and not is_read_only(home):
            left_open.append(opened.close)
        else:
            opened.close()


def state(context: typer.Context) -> State:
    """The global options of a command that works on the home of this machine.

    Raises:
        InputError: --url names a server, which the command would pass over.
    """
    given = anywhere(context)
    if given.url is not None:
        raise InputError(
            f"`{context.command_path}` works on the home of this machine, and --url names {given.url}.",
            hint="Leave --url out, or run it on the machine of that server.",
        )
    return given


def anywhere(context: typer.Context) -> State:
    """The global options of a command that a server can answer as well: see `State.server` and `at_url`."""
    assert isinstance(context.obj, State)
    return context.obj


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    import json

    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))
