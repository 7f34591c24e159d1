"""Where a collection's index is: a folder of the home, or a collection of a Qdrant cluster.

In: settings and the collection's row. Out: a `Place` that can be looked at, opened and cleared.
"""

import shutil
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from firstfault.collection.index import Index
from firstfault.config import IndexConfig
from firstfault.errors import StorageError

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


class Place(Protocol):
    """Where the index of one collection is."""

    @property
    def name(self) -> str:
        """Tells it from every other place; kept in the catalog beside the mark of agreement."""

    @property
    def remedy(self) -> str:
        """How to have the index made anew."""

    @property
    def disposable(self) -> bool:
        """Whether an index that cannot be opened may be thrown away: it is only this process's."""

    def exists(self) -> bool:
        """Whether there is an index."""

    def open(self) -> Index:
        """Open it, or begin an empty one."""

    def clear(self) -> None:
        """Delete it; it is not open."""

    def size(self) -> int:
        """Bytes on the disk of this machine."""


class EdgePlace:
    """A folder that the embedded engine keeps. Implements `Place`."""

    disposable = True

    def __init__(self, folder: Path, dimension: int, settings: IndexConfig, *, name: str = "edge") -> None:
        self._folder = folder
        self._dimension = dimension
        self._settings = settings
        self.name = name

    @property
    def remedy(self) -> str:
        """See `Place.remedy`."""
        return f"Delete the folder {self._folder}: the next command makes the index anew from the catalog."

    def exists(self) -> bool:
        """See `Place.exists`."""
        return self._folder.exists()

    def open(self) -> Index:
        """See `Place.open`."""
        from firstfault.collection.index_edge import EdgeIndex

        return EdgeIndex(self._folder, self._dimension, self._settings)

    def clear(self) -> None:
        """See `Place.clear`."""
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def size(self) -> int:
        """See `Place.size`."""
        return sum(file.stat().st_blocks * 512 for file in self._folder.rglob("*"))


class QdrantPlace:
    """A collection of a Qdrant cluster. Implements `Place`."""

    disposable = False

    def __init__(self, identity: str, dimension: int, settings: IndexConfig) -> None:
        self._settings = settings
        self._dimension = dimension
        self._collection = f"{settings.prefix}-{identity}"
        if settings.shard_key:  # sharded by another field, it is another collection, made from the catalog
            self._collection += f"-by-{sha256(settings.shard_key.encode()).hexdigest()[:8]}"
        self.name = f"{settings.url}/{self._collection}"

    @property
    def remedy(self) -> str:
        """See `Place.remedy`."""
        return (
            f"Delete the collection {self._collection} at {self._settings.url}: the next command makes the "
            "index anew from the catalog."
        )

    def exists(self) -> bool:
        """See `Place.exists`."""
        from firstfault.collection.index_qdrant import explained

        with explained(str(self._settings.url)):
            return self._client.collection_exists(self._collection)

    def open(self) -> Index:
        """See `Place.open`."""
        from firstfault.collection.index_qdrant import QdrantIndex

        return QdrantIndex(self._client, self._collection, self._dimension, self._settings)

    def clear(self) -> None:
        """See `Place.clear`."""
        from firstfault.collection.index_qdrant import explained

        with explained(str(self._settings.url)):
            if not self._client.delete_collection(self._collection) and self.exists():
                raise StorageError(
                    f"The cluster did not delete {self._collection}.", hint="Delete it by hand and try again."
                )

    def size(self) -> int:
        """See `Place.size`: the cluster's disks are not this machine's."""
        return 0

    @cached_property
    def _client(self) -> "QdrantClient":
        from firstfault.collection.index_qdrant import connect_cluster

        return connect_cluster(self._settings)
