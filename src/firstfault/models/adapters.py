"""A LoRA adapter as the runtimes see it: a name, a file in GGUF format, and what it was trained for."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from firstfault.errors import MissingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What is applied to a base model."""

    name: str
    """As the user named it: a release of the home, a path, or what an endpoint serves."""
    path: Path | None
    """The GGUF file; None for an adapter that an endpoint has."""
    digest: str | None
    """SHA-256 of the file, hex; None where only the endpoint has it."""
    base_digest: str | None = None
    """Digest of the GGUF header of the model that it was trained for; None = not known."""
    release: int | None = None
    """Number of the release; None for a plain file or an endpoint's adapter."""


def adapter_file(path: Path) -> Adapter:
    """An adapter from a GGUF file.

    Raises:
        MissingError: there is no such file.
    """
    if not path.is_file():
        raise MissingError(
            f"There is no adapter file {path}.",
            hint="Check the path: it must be a LoRA adapter in GGUF format.",
        )
    return Adapter(name=str(path), path=path, digest=file_digest(path))


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_path(name: str) -> bool:
    """Whether the name of an adapter is meant as a path."""
    return name.endswith(".gguf") or "/" in name or "\\" in name
