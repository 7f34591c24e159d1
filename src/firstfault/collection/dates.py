"""Dates in metadata: which texts are dates, and where they stand in time.

In: a text. Out: seconds, or nothing when it is no date.
"""

import re
from datetime import UTC, datetime

_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{3}(?:\d{3})?)?)?(?:Z|[+-]\d{2}:\d{2})?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(text: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 date or time; None when the text is neither.

    A date stands for its midnight, and a time without a zone is taken as UTC: only so do `2024-01-31` and
    `2024-01-31T10:00+02:00` have an order.
    """
    if not _DATE.fullmatch(text):
        return None
    try:
        read = datetime.fromisoformat(text)
        return ((read if read.tzinfo else read.replace(tzinfo=UTC)) - _EPOCH).total_seconds()
    except (ValueError, OverflowError):
        return None
