"""Which file a released adapter is now: a name in, the adapter that its pointer points to out.

Releases are made by `firstfault.finetune.releases`; answering only follows the pointer.
"""

from pathlib import Path

from sqlalchemy import RowMapping, select

from firstfault.collection.database import connect, reading
from firstfault.collection.schema import release_log, releases
from firstfault.errors import MissingError, StorageError
from firstfault.models.adapters import Adapter, adapter_file, file_digest, is_path

FOLDER = "finetune"
"""Of the home: training runs and the files of releases."""


def find_adapter(home: Path, name: str) -> Adapter:
    """The adapter of a path, or of the release that a name points to now.

    Raises:
        MissingError: there is no such release or file.
        StorageError: the file of the release is not the one that was released.
    """
    if is_path(name):
        return adapter_file(Path(name))
    row = _pointed(home, name)
    if row is None:
        raise MissingError(
            f"No adapter '{name}' has been released in {home}.",
            hint="`firstfault finetune releases` lists what is there; a path to a GGUF file works as well.",
        )
    path = home / FOLDER / row["file"]
    if not path.is_file():
        raise MissingError(
            f"The file of release {name}-{row['number']} is gone: {path}.",
            hint=f"Go back: firstfault finetune rollback {name}. Or restore it from a copy of the home.",
        )
    if file_digest(path) != row["digest"]:
        raise StorageError(
            f"{path} is not the file that was released as {name}-{row['number']}.",
            hint=f"Go back: firstfault finetune rollback {name}. Or restore it from a copy of the home.",
        )
    return Adapter(
        name=name,
        path=path,
        digest=row["digest"],
        base_digest=row["base_digest"] or None,
        release=row["number"],
    )


def _pointed(home: Path, name: str) -> RowMapping | None:
    """The newest entry of the log decides which release a name means."""
    try:
        engine = connect(home, create=False)
    except MissingError:
        return None
    newest = select(release_log.c.number).where(release_log.c.name == name)
    newest = newest.order_by(release_log.c.id.desc()).limit(1)
    query = select(releases.c.number, releases.c.file, releases.c.digest, releases.c.base_digest).where(
        releases.c.name == name, releases.c.number == newest.scalar_subquery()
    )
    try:
        with reading(engine) as connection:
            return connection.execute(query).mappings().first()
    finally:
        engine.dispose()
