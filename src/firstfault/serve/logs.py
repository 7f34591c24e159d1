"""Structured logs: one JSON object a line on stderr, with the trace id, without secrets or questions."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

_SECRET = re.compile(r"ff_[0-9a-f]{8}_[\w-]+|(?i:bearer)\s+[^\s\"']+|\bsk-[\w-]{8,}")
_FIELDS = ("trace_id", "method", "route", "status", "duration_ms", "key", "client", "degraded")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what looks like a key is blotted out."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in _FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, ensure_ascii=False, default=str))


def redact(text: str) -> str:
    """The text without what looks like a key."""
    return _SECRET.sub("[redacted]", text)


def configure() -> None:
    """Send every log of this process to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("firstfault").setLevel(logging.INFO)
