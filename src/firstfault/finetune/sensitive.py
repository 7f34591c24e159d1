"""Personal data and secrets in a text: patterns with a check where the form has one (Luhn, IBAN)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitive:
    """Something that a model should not learn by heart."""

    kind: str
    """`e-mail address`, `card number`, `private key`, ..."""
    secret: bool
    """A credential; otherwise it is about a person."""
    start: int
    end: int


def find(text: str) -> Iterator[Sensitive]:
    """Everything sensitive in a text, kind by kind."""
    for kind, secret, pattern, holds in _PATTERNS:
        for match in pattern.finditer(text):
            if holds(match[0]):
                yield Sensitive(kind=kind, secret=secret, start=match.start(), end=match.end())


def _always(_: str) -> bool:
    return True


def _real_address(text: str) -> bool:
    """Addresses under names that are reserved for examples (RFC 2606) are about nobody."""
    domain = text.rpartition("@")[2].lower()
    return not re.search(r"(^|\.)example(\.(com|org|net))?$|\.(test|invalid|localhost)$", domain)


def _luhn(text: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1, annex B)."""
    digits = [int(one) for one in text if one.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """The check digits of an IBAN (ISO 13616): the rearranged number is 1 modulo 97."""
    plain = re.sub(r"\s", "", text)
    return int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1


def _phone(text: str) -> bool:
    return 9 <= sum(one.isdigit() for one in text) <= 15


def _mixed(text: str) -> bool:
    """A value with letters and digits, or long: no word, no placeholder."""
    value = re.split(r"[:=]", text, maxsplit=1)[1].strip(" \"'")
    return (bool(re.search(r"\d", value)) and bool(re.search(r"[A-Za-z]", value))) or len(value) >= 20


_PATTERNS: tuple[tuple[str, bool, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("private key", True, re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), _always),
    ("AWS access key", True, re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), _always),
    ("GitHub token", True, re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})"), _always),
    ("API key", True, re.compile(r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9]{20,}"), _always),
    ("Slack token", True, re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"), _always),
    ("JSON web token", True, re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"), _always),
    (
        "password",
        True,
        re.compile(
            r"(?i)\b(?:password|passwd|secret|api[_-]?key|access[_-]?token)\"?\s*[:=]\s*[\"']?[^\s\"',;]{8,}"
        ),
        _mixed,
    ),
    ("e-mail address", False, re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b"), _real_address),
    ("card number", False, re.compile(r"\b(?:\d[ -]?){12,18}\d\b"), _luhn),
    (
        "bank account",
        False,
        re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"),
        _iban,
    ),
    (
        "social security number",
        False,
        re.compile(r"\b(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}\b"),
        _always,
    ),
    (
        "telephone number",
        False,
        re.compile(
            r"(?<![\w.])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}|\(\d{3}\) ?\d{3}-\d{4})(?!\w)"
        ),
        _phone,
    ),
)
