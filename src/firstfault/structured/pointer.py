"""JSON pointers (RFC 6901): a path of keys and positions in, its text out, and back."""

from collections.abc import Iterable, Sequence
from typing import Any


def pointer(path: Iterable[str | int]) -> str:
    """`/items/0/name`; the empty path is the empty text."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def parts(text: str) -> list[str]:
    """The unescaped parts of a pointer; positions stay text."""
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def resolve(document: Any, path: Sequence[str]) -> Any:
    """The value at a path.

    Raises:
        KeyError: there is none.
    """
    found = document
    for part in path:
        if isinstance(found, list):
            if not part.isdigit() or int(part) >= len(found):
                raise KeyError(part)
            found = found[int(part)]
        elif isinstance(found, dict) and part in found:
            found = found[part]
        else:
            raise KeyError(part)
    return found
