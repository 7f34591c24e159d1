"""A home that cannot be written (a snapshot, a read-only mount, another user's) can be searched all the same.

In: a home. Out: whether it is one, and a copy of its index, since the engine writes to the files it opens.
"""

import os
import shutil
import tempfile
from pathlib import Path


def is_read_only(home: Path) -> bool:
    """Whether the home is there and this process may not write to it."""
    return home.is_dir() and not os.access(home, os.W_OK)


def borrow(folder: Path) -> Path:
    """Copy the folder of an index to a temporary place; `give_back` removes it."""
    place = Path(tempfile.mkdtemp(prefix="firstfault-")) / folder.name
    if folder.exists():
        shutil.copytree(folder, place)
    return place


def give_back(place: Path) -> None:
    """Remove what `borrow` copied."""
    shutil.rmtree(place.parent, ignore_errors=True)
