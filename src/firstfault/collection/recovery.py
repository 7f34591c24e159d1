"""Opening the index so that it agrees with the catalog: after a crash, a lost folder, a restored copy.

In: the catalog and the folder of the index. Out: an index that holds exactly what the catalog says, and a
`Recovery` that says what had to be done.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from firstfault.collection.catalog import Catalog
from firstfault.collection.changes import parts
from firstfault.collection.index import Index, Span
from firstfault.collection.records import Recovery
from firstfault.collection.writer import Writer
from firstfault.errors import StorageError

REMAKE = -2
"""`indexed` of a collection whose index a migration has made obsolete."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where the index departs from the catalog, as keys."""

    lacking: list[int]
    """Chunks that the index lacks, or holds with another validity."""
    foreign: list[int]
    """Points that the catalog does not have."""


def compare(catalog: Catalog, index: Index) -> Difference:
    """Compare every key and its validity."""
    wanted = catalog.spans()
    present: dict[int, Span] = dict(index.spans())
    return Difference(
        lacking=[key for key, span in wanted.items() if present.get(key) != span],
        foreign=sorted(present.keys() - wanted.keys()),
    )


def open_index(folder: Path, open_folder: Callable[[Path], Index], catalog: Catalog) -> tuple[Index, str]:
    """Open the index, or begin a new one where it cannot be opened; the reason for that is the second part.

    Raises:
        StorageError: a new one cannot be made either.
    """
    indexed = catalog.row().indexed
    if not folder.exists():
        return open_folder(folder), "it was not there" if indexed > 0 else ""
    if indexed == REMAKE:
        shutil.rmtree(folder)
        return open_folder(folder), "an older version had made it, which could not filter by date"
    try:
        return open_folder(folder), ""
    except StorageError as error:
        logger.warning("The index in %s cannot be opened and is made anew: %s", folder, error.message)
        shutil.rmtree(folder)
        return open_folder(folder), error.message


def reconcile(catalog: Catalog, index: Index, writer: Writer) -> Recovery:
    """Bring the index to what the catalog says, when there is a sign that it may differ."""
    row = catalog.row()
    if row.indexed == row.version and index.info().points == row.points:
        return Recovery()
    found = compare(catalog, index)
    index.ensure_fields((name, kind) for name, kinds in catalog.fields().items() for kind in kinds)
    for part in parts(found.lacking):
        writer.restore(part)
    if found.foreign:
        writer.remove(found.foreign)
    writer.settle()
    return Recovery(added=len(found.lacking), removed=len(found.foreign))
