"""A Markdown file in, its text without front matter out, with title and metadata.

Front matter is YAML between `---` lines or TOML between `+++` lines, at the very start of the file.
"""

import re
import tomllib
from typing import Any

from firstfault.errors import InputError
from firstfault.ingest.decoding import decode
from firstfault.ingest.format import Extracted
from firstfault.ingest.units import headings

_YAML = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


def read_markdown(data: bytes) -> Extracted:
    """Take the front matter off; the title is its `title`, else the first heading.

    Raises:
        InputError: the bytes do not decode, or the front matter is malformed.
    """
    text = decode(data)
    metadata, start = _front_matter(text)
    body = text[start:]
    title = metadata.pop("title", None)
    if title is None:
        title = next((heading.title for heading in headings(body)), None)
    return Extracted(text=body, title=None if title is None else str(title), metadata=metadata)


def _front_matter(text: str) -> tuple[dict[str, Any], int]:
    """Return the metadata and where the body starts; text that only looks like front matter is body."""
    if found := _YAML.match(text):
        metadata = _yaml(found[1])
    elif found := _TOML.match(text):
        try:
            metadata = tomllib.loads(found[1])
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"Its front matter is not valid TOML: {error}.", hint="Correct it.") from None
    if found is None or not isinstance(metadata, dict):
        return {}, 0
    return {str(key): value for key, value in metadata.items()}, found.end()


def _yaml(block: str) -> Any:
    import yaml

    try:
        return yaml.load(block, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-13-40
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f", line {line + 2}"
        problem = getattr(error, "problem", None) or error
        raise InputError(
            f"Its front matter is not valid YAML{where}: {problem}.", hint="Correct it, or quote the value."
        ) from None
