"""Templates and values in, pages out: every value escaped, every page under the same strict headers."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response

from firstfault.serve.pages.session import Viewer
from firstfault.types import Scalar

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}

TONES = {
    "supported": "ok",
    "uncertain": "warn",
    "unsupported": "fail",
    "unknown": "none",
    "partial": "warn",
    "abstained": "none",
    "unchecked": "none",
    "malformed": "fail",
    "retrieved": "none",
    "error": "fail",
    "ok": "ok",
    "warn": "warn",
    "fail": "fail",
    "better": "ok",
    "worse": "fail",
    "changed": "warn",
    "same": "none",
    "queued": "none",
    "running": "warn",
    "done": "ok",
    "failed": "fail",
    "cancelled": "none",
    "healthy": "ok",
    "resolved": "ok",
    "firing": "fail",
    "pending": "warn",
    "open": "fail",
    "closed": "ok",
    "training": "warn",
    "live": "ok",
}
"""A word of a verdict or state → the colour that it is shown in."""
MARKS = {"ok": "✓", "warn": "~", "fail": "✗", "none": "–"}
"""A colour → the sign beside it: no meaning hangs on colour alone."""


def render(
    request: Request, template: str, *, who: Viewer | None = None, status: int = 200, **values: Any
) -> Response:
    """A page."""
    page = environment().get_template(template)
    text = page.render(who=who, path=request.url.path, **values)
    return Response(text.encode("utf-8", "replace"), status, HEADERS, media_type="text/html; charset=utf-8")


def to(path: str) -> Response:
    """Send the browser to another page, after an action or to sign in."""
    return RedirectResponse(path, 303, {"cache-control": "no-store"})


def static(name: str) -> Response | None:
    """A file that pages refer to; None when there is none. Its address changes with its content."""
    if name not in versions():
        return None
    path = STATIC / name
    headers = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
    return Response(path.read_bytes(), 200, headers, media_type=KINDS[path.suffix])


@cache
def versions() -> Mapping[str, str]:
    """Static file → a short hash of its content."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in sorted(STATIC.iterdir())
        if path.suffix in KINDS
    }


@cache
def environment() -> Environment:
    """The templates: everything is escaped, and a value that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ms": milliseconds,
        "pct": percent,
        "num": number,
        "when": when,
        "tone": lambda word: TONES.get(str(word), "none"),
        "mark": lambda tone: MARKS[tone],
        "setting": setting,
        "toml": toml,
        "query": lambda values: urlencode({k: v for k, v in values.items() if v}),
    }
    made.globals["static"] = lambda name: f"/ui/static/{name}?v={versions()[name]}"
    return made


def milliseconds(value: float | None) -> str:
    """A duration as one reads it: 0.4 ms, 31 ms, 2.40 s."""
    if value is None:
        return "–"
    if value >= 10_000:
        return f"{value / 1000:,.1f} s"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def percent(value: float | None) -> str:
    """A share: 4.8 %, 40 %."""
    if value is None:
        return "–"
    shown = value * 100
    digits = 1 if 0 < abs(shown) < 10 and shown != round(shown) else 0
    return f"{shown:.{digits}f} %"


def number(value: float | None) -> str:
    """A figure with three significant digits, and separators where it is large."""
    if value is None:
        return "–"
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(digits, 4)}f}"


def when(value: str | None) -> str:
    """A time in UTC, to the second: 2026-11-22 01:40:07."""
    if not value:
        return "–"
    try:
        return datetime.fromisoformat(value).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return value


def setting(value: Scalar | None) -> str:
    """A value as it stands in the configuration file."""
    if isinstance(value, bool):
        return str(value).lower()
    return "not set" if value is None else str(value)


def toml(patch: Mapping[str, Scalar]) -> str:
    """Settings as they stand in the configuration file, section by section."""
    sections: dict[str, list[str]] = {}
    for name, value in patch.items():
        section, _, key = name.partition(".")
        shown = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else setting(value)
        sections.setdefault(section, []).append(f"{key} = {shown}")
    return "\n\n".join("\n".join([f"[{section}]", *lines]) for section, lines in sections.items())
