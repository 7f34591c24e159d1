"""Who looks at the pages: a key at the door, then a signed cookie; a token for every action.

The cookie names the key and when it ends, signed with a secret of the home: the key itself is not in it, it
survives a restart, and it is void at once when the key is revoked. Without keys, on loopback, none is needed.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from firstfault.serve.keys import NOBODY, Key, Scope
from firstfault.serve.problems import DeniedError
from firstfault.serve.state import served

COOKIE = "firstfault_session"
LIFETIME_S = 12 * 3600
SECRET_FILE = "pages.secret"  # noqa: S105 - the name of the file
MOST_FORM_BYTES = 64 * 1024


class SignInError(DeniedError):
    """A page needs a key, and the browser has shown none."""

    def __init__(self) -> None:
        super().__init__("Sign in first.", hint="Give a key at /ui/login.", status=401)


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks at a page."""

    key: Key
    token: str
    """What every form and request of a page sends back: proof that one of our pages sent it."""
    signed_in: bool
    """False where no key is needed."""

    def allows(self, scope: Scope) -> bool:
        """Whether the key has a scope."""
        return self.key.allows(scope)


class Sessions:
    """Signs cookies and tokens with the secret of a home."""

    def __init__(self, home: Path) -> None:
        self._path = home / SECRET_FILE
        self._secret: bytes | None = None

    def begin(self, key: Key) -> str:
        """The cookie of a new session."""
        said = f"{key.id}.{int(time.time()) + LIFETIME_S}.{secrets.token_hex(8)}"
        return f"{said}.{self._sign(said, key.digest)}"

    def key_of(self, cookie: str, known: tuple[Key, ...]) -> Key | None:
        """The key that a session stands for; None when it ended, was forged, or the key was revoked."""
        said, _, signature = cookie.rpartition(".")
        identity, _, rest = said.partition(".")
        ends = rest.partition(".")[0]
        key = next((one for one in known if one.id == identity and one.revoked is None), None)
        if key is None or not ends.isdecimal() or int(ends) < time.time():
            return None
        return key if hmac.compare_digest(signature, self._sign(said, key.digest)) else None

    def token(self, session: str) -> str:
        """The token of a session; the empty session is that of a server without keys."""
        return self._sign("token", session)

    def _sign(self, *said: str) -> str:
        text = "\0".join(said).encode("utf-8", "replace")
        return hmac.new(self._read(), text, hashlib.sha256).hexdigest()

    def _read(self) -> bytes:
        """The secret; made at the first use."""
        if self._secret is None:
            try:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                self._secret = self._path.read_bytes()
            else:
                self._secret = secrets.token_bytes(32)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(self._secret)
        return self._secret


def sessions(request: Request) -> Sessions:
    """Those of the server."""
    found: Sessions = request.app.state.sessions
    return found


def viewer(request: Request) -> Viewer:
    """Who sent a request.

    Raises:
        SignInError: a key is needed.
    """
    server, signing = served(request), sessions(request)
    if not server.keys.required() and not server.keys_demanded:
        return Viewer(key=NOBODY, token=signing.token(""), signed_in=False)
    cookie = request.cookies.get(COOKIE, "")
    key = signing.key_of(cookie, server.keys.all()) if cookie else None
    if key is None:
        raise SignInError
    return Viewer(key=key, token=signing.token(cookie), signed_in=True)


def require(who: Viewer, scope: Scope) -> None:
    """Refuse who lacks a scope.

    Raises:
        DeniedError: the key lacks it.
    """
    if not who.allows(scope):
        raise DeniedError(
            f"The key '{who.key.id}' lacks the scope '{scope}'.",
            hint="Sign in with another key, or create one with that scope.",
            status=403,
        )


def looking(scope: Scope) -> Callable[[Request], Awaitable[Viewer]]:
    """A dependency: who looks at a page, if the key has the scope."""

    async def check(request: Request) -> Viewer:
        who = viewer(request)
        request.scope.setdefault("state", {})["key"] = who.key.id or None
        require(who, scope)
        return who

    return check


Reader = Annotated[Viewer, Depends(looking("traces"))]
Asker = Annotated[Viewer, Depends(looking("ask"))]


async def acting(request: Request, scope: Scope) -> tuple[Viewer, Mapping[str, str]]:
    """Who acts, and the fields of the form that was sent; for every request that changes something.

    Raises:
        DeniedError: the key lacks the scope, or the request does not come from a page of ours.
    """
    who = viewer(request)
    request.scope.setdefault("state", {})["key"] = who.key.id or None
    fields = await form(request)
    check_token(request, who.token, fields.get("token", ""))
    require(who, scope)
    server = served(request)
    server.limits.take(who.key.id, who.key.per_minute or server.engine.settings.serve.requests_per_minute)
    return who, fields


def check_token(request: Request, expected: str, given: str) -> None:
    """Refuse what another site's page sends.

    Raises:
        DeniedError: it does.
    """
    said = request.headers.get("x-firstfault-token", "") or given
    foreign = request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}
    if foreign or not hmac.compare_digest(said.encode(), expected.encode()):
        raise DeniedError(
            "The request does not come from a page of this server, or the page is too old.",
            hint="Go back, reload the page, and try again.",
            status=403,
        )


async def form(request: Request) -> Mapping[str, str]:
    """The fields of a form; the last of those with one name. Empty for a body that is not one.

    Raises:
        DeniedError: it is larger than any of our forms.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    body = await request.body()
    if len(body) > MOST_FORM_BYTES:
        raise DeniedError("The form is too large.", hint="Send less.", status=413)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
