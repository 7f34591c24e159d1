"""`format` checks: those that jsonschema brings, and those for which it would need further packages.

Sources: RFC 3339 (dates and times, durations: appendix A), RFC 3986 (URI), RFC 3987 (IRI), RFC 6570 (URI
templates), RFC 1123 (host names). Formats not listed here are annotations and never fail.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import FormatChecker

_DATE = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_PCT = r"%[0-9A-Fa-f]{2}"
_URI_CHARACTER = rf"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|{_PCT})"
_IRI_CHARACTER = rf"(?:[^\x00-\x20\x7f-\x9f<>\"{{}}|\\^`%#]|{_PCT})"
_SCHEME_OR_NO_COLON = r"(?:[A-Za-z][A-Za-z0-9+.\-]*:|(?![^/?#]*:))"
"""A reference without a scheme has no colon in its first segment (RFC 3986, 4.2)."""
_EXPRESSION = (
    r"\{[+#./;?&]?(?:[A-Za-z0-9_.]|%[0-9A-Fa-f]{2})+(?:\*|:\d{1,4})?" r"(?:,[\w.%]+(?:\*|:\d{1,4})?)*\}"
)

PATTERNS: dict[str, str] = {
    "time": _TIME,
    "duration": r"P(?:\d+W|(?=.)(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?)",
    "uri": rf"[A-Za-z][A-Za-z0-9+.\-]*:{_URI_CHARACTER}*(?:#{_URI_CHARACTER}*)?",
    "uri-reference": rf"{_SCHEME_OR_NO_COLON}{_URI_CHARACTER}*(?:#{_URI_CHARACTER}*)?",
    "iri": rf"[A-Za-z][A-Za-z0-9+.\-]*:{_IRI_CHARACTER}*(?:#{_IRI_CHARACTER}*)?",
    "iri-reference": rf"{_SCHEME_OR_NO_COLON}{_IRI_CHARACTER}*(?:#{_IRI_CHARACTER}*)?",
    "uri-template": rf"(?:{_EXPRESSION}|[^\x00-\x20\"'%<>\\^`{{|}}\x7f]|{_PCT})*",
    "hostname": r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?)*",
    "json-pointer": r"(?:/(?:[^~/]|~[01])*)*",
    "relative-json-pointer": r"(?:0|[1-9]\d*)(?:#|(?:/(?:[^~/]|~[01])*)*)",
}
"""Format → what the whole text must match."""


@cache
def checker() -> "FormatChecker":
    """The checker that validation asserts formats with."""
    from jsonschema import FormatChecker

    made = FormatChecker()
    for name, pattern in PATTERNS.items():
        made.checks(name)(_matches(re.compile(pattern)))
    made.checks("date-time")(_is_date_time)
    return made


def _matches(pattern: re.Pattern[str]) -> Any:
    return lambda value: not isinstance(value, str) or pattern.fullmatch(value) is not None


_DATE_TIME = re.compile(rf"({_DATE})[Tt]{_TIME}")


def _is_date_time(value: object) -> bool:
    """A day that exists, then a time with its offset (RFC 3339, 5.6)."""
    if not isinstance(value, str):
        return True
    found = _DATE_TIME.fullmatch(value)
    return found is not None and checker().conforms(found[1], "date")
