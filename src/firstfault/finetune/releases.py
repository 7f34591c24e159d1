"""Releases of adapters: a candidate that passed its gates in, a numbered release and a moved pointer out.

The database is the truth: rows of `releases` are never changed, and the newest row of `release_log` for a
name says which release the name means. One insert moves it, so nobody sees half a release.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select

from firstfault.collection.adapters import FOLDER
from firstfault.collection.database import connect, reading, translated, writing
from firstfault.collection.schema import release_log, releases
from firstfault.errors import InputError, MissingError, StorageError
from firstfault.models.adapters import file_digest
from firstfault.types import Verdict

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
RESERVED = ("base", "hybrid", "rag")
"""Models of the OpenAI-compatible API that are no adapters."""
ADAPTER_FILE = "adapter.gguf"
PEFT_FOLDER = "peft"
CARD_FILE = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An adapter that may become a release."""

    gguf: Path
    """The adapter in GGUF format."""
    base: str
    """The model that it was trained for, as the user names it."""
    base_digest: str
    """Of that model's GGUF header; empty = not known, then serving cannot tell a wrong base model."""
    verdicts: tuple[Verdict, ...]
    """Of every gate."""
    run_id: str = ""
    """The training run; empty for an adapter from outside."""
    peft: Path | None = None
    """Folder of the same adapter for PEFT and vLLM-style servers."""
    card: str = ""
    """The model card, Markdown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An adapter that passed its gates."""

    name: str
    number: int
    """From 1, for each name."""
    at: str
    """When it was released, ISO 8601 in UTC."""
    run_id: str
    folder: Path
    """Holds adapter.gguf, and where the candidate had them peft/ and README.md."""
    digest: str
    """SHA-256 of adapter.gguf."""
    base: str
    base_digest: str
    verdicts: tuple[Verdict, ...]
    current: bool
    """Whether the name points to this release now."""

    @property
    def gguf(self) -> Path:
        """The adapter in GGUF format."""
        return self.folder / ADAPTER_FILE

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "folder": str(self.folder)}


def require_name(name: str) -> None:
    """Refuse what cannot name an adapter.

    Raises:
        InputError: it has other characters, or the server calls something else by it.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"'{name}' cannot name an adapter.",
            hint="Use letters, digits, - and _, at most 63, e.g. tickets.",
        )
    if name in RESERVED:
        raise InputError(
            f"'{name}' cannot name an adapter: the server answers to it without one.",
            hint=f"Take another than {', '.join(RESERVED)}, e.g. tickets.",
        )


def publish(home: Path, name: str, candidate: Candidate) -> Release:
    """Make a candidate the current release of a name. Its files are copied into the home first.

    Raises:
        InputError: the name cannot be used, a gate failed, or no gate was run.
        MissingError: the candidate's adapter file is not there.
        StorageError: the disk refused; the name points to what it pointed to before.
    """
    require_name(name)
    failed = [verdict.name for verdict in candidate.verdicts if verdict.status == "fail"]
    if failed or not candidate.verdicts:
        what = f"Gates failed: {', '.join(failed)}." if failed else "No gate was run on this candidate."
        raise InputError(f"{what} '{name}' stays as it is.", hint="See: firstfault finetune gate RUN")
    if not candidate.gguf.is_file():
        raise MissingError(f"There is no adapter at {candidate.gguf}.", hint="Train it again.")
    with _database(home) as engine, translated(home):
        root = home / FOLDER / "releases"
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=root) as temporary:
            made = Path(temporary, "release")
            made.mkdir()
            shutil.copyfile(candidate.gguf, made / ADAPTER_FILE)
            if candidate.peft is not None:
                shutil.copytree(candidate.peft, made / PEFT_FOLDER)
            if candidate.card:
                (made / CARD_FILE).write_text(candidate.card, encoding="utf-8")
            row = {
                "name": name,
                "at": _now(),
                "run_id": candidate.run_id,
                "digest": file_digest(made / ADAPTER_FILE),
                "base": candidate.base,
                "base_digest": candidate.base_digest,
                "record": {"verdicts": [asdict(verdict) for verdict in candidate.verdicts]},
            }
            with writing(engine) as connection:
                highest = connection.scalar(
                    select(func.max(releases.c.number)).where(releases.c.name == name)
                )
                number = (highest or 0) + 1
                folder = root / f"{name}-{number}"
                shutil.rmtree(folder, ignore_errors=True)  # left by a crash: no row speaks of it
                made.rename(folder)
                placed = {**row, "number": number, "file": f"releases/{folder.name}/{ADAPTER_FILE}"}
                connection.execute(insert(releases).values(placed))
                _point(connection, name, number, "release")
        return _open(engine, home, name, number)


def rollback(home: Path, name: str) -> Release:
    """Point a name to the release before its current one.

    Raises:
        MissingError: nothing of this name was released.
        InputError: the current release is the first.
        StorageError: the file of the release before it is gone or was changed.
    """
    with _database(home, create=False) as engine:
        earlier = _before(engine, home, name)
        with writing(engine) as connection:
            _point(connection, name, earlier.number, "rollback")
        return _open(engine, home, name, earlier.number)


def before(home: Path, name: str) -> Release:
    """The release that a rollback would go back to.

    Raises:
        MissingError: nothing of this name was released.
        InputError: the current release is the first.
        StorageError: the file of the release before it is gone or was changed.
    """
    with _database(home, create=False) as engine:
        return _before(engine, home, name)


def open_release(home: Path, name: str, number: int | None = None) -> Release:
    """A release by its number; without one, the release that the name points to.

    Raises:
        MissingError: there is no such release.
    """
    with _database(home, create=False) as engine:
        return _open(engine, home, name, number)


def list_releases(home: Path, name: str | None = None) -> tuple[Release, ...]:
    """Every release by name, newest first; a home without any has none."""
    try:
        with _database(home, create=False) as engine, reading(engine) as connection:
            query = select(releases).order_by(releases.c.name, releases.c.number.desc())
            if name is not None:
                query = query.where(releases.c.name == name)
            pointers = _pointers(connection)
            return tuple(_release(row, home, pointers) for row in connection.execute(query))
    except MissingError:
        return ()


@contextmanager
def _database(home: Path, *, create: bool = True) -> Iterator[Engine]:
    engine = connect(home, create=create)
    try:
        yield engine
    finally:
        engine.dispose()


def _open(engine: Engine, home: Path, name: str, number: int | None = None) -> Release:
    with reading(engine) as connection:
        pointers = _pointers(connection)
        wanted = pointers.get(name) if number is None else number
        row = connection.execute(
            select(releases).where(releases.c.name == name, releases.c.number == wanted)
        ).first()
    if row is None:
        what = f"'{name}'" if number is None else f"{name}-{number}"
        raise MissingError(f"There is no release {what}.", hint="List them: firstfault finetune releases")
    return _release(row, home, pointers)


def _before(engine: Engine, home: Path, name: str) -> Release:
    current = _open(engine, home, name)
    with reading(engine) as connection:
        number = connection.scalar(
            select(func.max(releases.c.number)).where(
                releases.c.name == name, releases.c.number < current.number
            )
        )
    if number is None:
        raise InputError(
            f"{name}-{current.number} is the first release of '{name}': there is none before it.",
            hint="To serve the base model, leave generator.adapter out.",
        )
    earlier = _open(engine, home, name, number)
    if not earlier.gguf.is_file() or file_digest(earlier.gguf) != earlier.digest:
        raise StorageError(
            f"{earlier.gguf} is gone or was changed since; '{name}' stays {name}-{current.number}.",
            hint="Restore it from a copy of the home.",
        )
    return earlier


def _pointers(connection: Connection) -> dict[str, int]:
    rows = connection.execute(select(release_log.c.name, release_log.c.number).order_by(release_log.c.id))
    return {row.name: row.number for row in rows}


def _point(connection: Connection, name: str, number: int, action: str) -> None:
    row = {"name": name, "number": number, "at": _now(), "action": action}
    connection.execute(insert(release_log).values(row))


def _release(row: Row[Any], home: Path, pointers: dict[str, int]) -> Release:
    return Release(
        name=row.name,
        number=row.number,
        at=row.at,
        run_id=row.run_id,
        folder=(home / FOLDER / row.file).parent,
        digest=row.digest,
        base=row.base,
        base_digest=row.base_digest,
        verdicts=tuple(Verdict(**one) for one in row.record["verdicts"]),
        current=pointers.get(row.name) == row.number,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
