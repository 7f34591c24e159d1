"""Errors on the wire: an exception in, a status and a body out.

`application/problem+json` (RFC 9457) for our own paths, OpenAI's shape under `/v1`; both carry the trace id.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from firstfault.errors import (
    ConfigError,
    DeadlineError,
    FirstfaultError,
    InputError,
    LockedError,
    MismatchError,
    MissingError,
    OutOfTimeError,
    RemoteError,
    StorageError,
)
from firstfault.serve.admission import RefusedError

TITLES = {
    400: "Bad request",
    401: "No valid key",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    421: "Wrong host",
    422: "Invalid request",
    429: "Too many requests",
    500: "Internal error",
    502: "Model unreachable",
    503: "Not available now",
    504: "Deadline passed",
    507: "Storage failed",
}

_STATUS: tuple[tuple[type[FirstfaultError], int], ...] = (
    (InputError, 400),
    (ConfigError, 400),
    (MissingError, 404),
    (MismatchError, 409),
    (LockedError, 409),
    (StorageError, 507),
    (OutOfTimeError, 504),
    (DeadlineError, 504),
    (RemoteError, 502),
)
_OPENAI_TYPE = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class DeniedError(FirstfaultError):
    """The request carries no valid key, or the key does not allow it."""

    def __init__(self, message: str, *, hint: str, status: int) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class UnknownError(InputError):
    """What the address names does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a client is told about a failure."""

    status: int
    detail: str
    hint: str
    trace_id: str | None = None
    retry_after_s: int | None = None
    errors: tuple[dict[str, Any], ...] = ()
    """Of a request that does not fit its schema: where and what."""

    def document(self) -> dict[str, Any]:
        """As `application/problem+json`."""
        found: dict[str, Any] = {
            "type": "about:blank",
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            "hint": self.hint,
            "trace_id": self.trace_id,
        }
        return found | ({"errors": list(self.errors)} if self.errors else {})

    def openai(self) -> dict[str, Any]:
        """In OpenAI's shape."""
        default = "invalid_request_error" if self.status < 500 else "server_error"
        error = {
            "message": f"{self.detail} {self.hint}".strip(),
            "type": _OPENAI_TYPE.get(self.status, default),
            "param": ".".join(map(str, self.errors[0]["loc"])) if self.errors else None,
            "code": TITLES.get(self.status, "error").lower().replace(" ", "_"),
            "trace_id": self.trace_id,
        }
        return {"error": error}

    def response(self, path: str) -> Response:
        """As an HTTP response, in the shape that the path promises."""
        headers = {} if self.trace_id is None else {"x-firstfault-trace-id": self.trace_id}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(self.retry_after_s)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        is_openai = path.startswith("/v1/")
        body = json.dumps(self.openai() if is_openai else self.document(), ensure_ascii=False)
        kind = "application/json" if is_openai else "application/problem+json"
        return Response(body.encode("utf-8", "replace"), self.status, headers, media_type=kind)


def problem_of(error: FirstfaultError, trace_id: str | None = None) -> Problem:
    """What a client is told about an error of ours."""
    notes = getattr(error, "__notes__", [])
    recorded = next((note.removeprefix("trace ") for note in notes if note.startswith("trace ")), None)
    if isinstance(error, RefusedError | DeniedError):
        status = error.status
    elif isinstance(error, UnknownError):
        status = 404
    else:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    retry = error.retry_after_s if isinstance(error, RefusedError) else None
    if isinstance(error, RemoteError) and error.transient and status != 504:
        status, retry = 503, 5
    return Problem(
        status=status,
        detail=_CONTROL.sub(" ", error.message),
        hint=error.hint,
        trace_id=recorded or trace_id,
        retry_after_s=retry,
    )
