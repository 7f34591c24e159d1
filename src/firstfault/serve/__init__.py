"""The HTTP server: an application over the network, that bends under load instead of breaking.

Needs the extra `serve`. `run` is the door; it is imported when it is used, so that nobody else pays for it.
"""

from importlib.util import find_spec

from firstfault.errors import MissingError

_NEEDED = ("fastapi", "uvicorn", "prometheus_client", "opentelemetry", "mcp", "jinja2")


def require_extra() -> None:
    """Say how to install what the server needs.

    Raises:
        MissingError: it is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingError(
            f"The server needs {', '.join(missing)}.", hint="Install it: pip install 'firstfault[serve]'"
        )
