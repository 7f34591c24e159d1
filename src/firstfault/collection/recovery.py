"""Opening the index so that it agrees with the catalog: after a crash, a lost folder, a restored copy.

In: the catalog and the place of the index. Out: an index that holds exactly what the catalog says, and a
`Recovery` that says what had to be done.
"""

import logging
from dataclasses import dataclass

from firstfault.collection.catalog import Catalog
from firstfault.collection.changes import parts
from firstfault.collection.index import Index, Span
from firstfault.collection.place import Place
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


def open_index(place: Place, catalog: Catalog) -> tuple[Index, str]:
    """Open the index, or begin a new one where it cannot be opened; the reason for that is the second part.

    Raises:
        StorageError: a new one cannot be made either.
        RemoteError: the cluster that has it cannot be reached.
    """
    indexed = catalog.row().indexed
    if not place.exists():
        return place.open(), "it was not there" if indexed > 0 else ""
    if indexed == REMAKE:
        place.clear()
        return place.open(), "an older version had made it, which could not filter by date"
    try:
        return place.open(), ""
    except StorageError as error:
        if not place.disposable:
            raise
        logger.warning("The index %s cannot be opened and is made anew: %s", place.name, error.message)
        place.clear()
        return place.open(), error.message


def agrees(catalog: Catalog, index: Index, place: Place) -> bool:
    """Whether nothing says that the index may differ from the catalog."""
    row = catalog.row()
    known: bool = row.indexed == row.version and row.placed == place.name
    return known and index.info().points == row.points


def reconcile(catalog: Catalog, index: Index, writer: Writer, place: Place) -> Recovery:
    """Bring the index to what the catalog says, when there is a sign that it may differ."""
    if agrees(catalog, index, place):
        return Recovery()
    found = compare(catalog, index)
    index.ensure_fields((name, kind) for name, kinds in catalog.fields().items() for kind in kinds)
    for part in parts(found.lacking):
        writer.restore(part)
    if found.foreign:
        writer.remove(found.foreign)
    writer.settle()
    return Recovery(added=len(found.lacking), removed=len(found.foreign))
