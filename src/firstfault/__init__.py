"""Firstfault: run, measure, diagnose and repair LLM applications.

import firstfault

with firstfault.open(".firstfault", create=True) as app:
    app.ingest(["docs/"])
    trace = app.ask("How do I rotate the keys?")
    print(trace.answer.text)
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstfault.answer import Application

__all__ = ["open"]


def open(  # noqa: A001 - reads as `firstfault.open(home)`
    home: str | Path = ".firstfault",
    *,
    config: str | Path | None = None,
    settings: Mapping[str, str] | None = None,
    collection: str = "default",
    create: bool = False,
) -> "Application":
    """Open the application of a home; `create` makes its collection when it is absent.

    `settings` maps `section.key` to a value and wins over the file and the environment.

    Raises:
        ConfigError: a setting is unknown or its value does not fit.
    """
    from firstfault.answer import Application
    from firstfault.config import load

    loaded = load(Path(home), Path(config) if config else None, overrides=settings)
    return Application(loaded, collection=collection, create=create)
