"""Warnings of libraries and of Firstfault itself, as one plain line each on stderr.

In: log records. Out: `note: …`; a retry says why, and how long is waited.
"""

import logging
import sys


class Plain(logging.Handler):
    """Prints warnings without the form of a log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        try:
            print(f"note: {_line(record)}", file=sys.stderr)
        except OSError:
            self.handleError(record)


def _line(record: logging.LogRecord) -> str:
    cause = getattr(record, "stamina.caused_by", None)
    if cause is None:
        return record.getMessage()
    wait = float(getattr(record, "stamina.wait_for", 0.0))
    number = getattr(record, "stamina.retry_num", "?")
    return f"the endpoint failed ({str(cause)[:200]}); attempt {number} failed, trying again in {wait:.1f} s"


def set_up() -> None:
    """Send warnings through `Plain`, unless the process has set up logging itself."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(Plain(logging.WARNING))
