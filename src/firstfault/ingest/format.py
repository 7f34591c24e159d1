"""What a reader returns: the text of a file, and what the file says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """The outcome of reading one file."""

    text: str
    """Line breaks are `\\n`; pages, where the format has them, are separated by a form feed."""
    title: str | None = None
    """What the file calls itself; None leaves the choice to the caller (the file's name)."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """As found in the file, before it is brought into the form that can be filtered on."""
    notes: tuple[str, ...] = ()
    """What could not be kept, e.g. pages without text; shown in the report, never swallowed."""
