"""API keys: made once, shown once, kept as hashes.

In: a name, scopes and collections. Out: a key for the client; in the home only its SHA-256. A key holds 256
random bits, so a plain hash cannot be searched through. The file is read again when it changes: a revoked key
stops working without a restart.
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from firstfault.errors import InputError, StorageError

FILE = "keys.json"

Scope = Literal["ask", "ingest", "traces", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""`ask`: questions and search; `ingest`: change documents; `traces`: read traces, runs and metrics; `admin`:
all of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is known of a key; never the key itself."""

    id: str
    name: str
    digest: str
    """SHA-256 (hex) of the whole key."""
    scopes: tuple[Scope, ...]
    collections: tuple[str, ...]
    """Those that it may touch; empty = all."""
    per_minute: float | None
    """Requests a minute; None = what serve.requests_per_minute says."""
    created: str
    """ISO 8601 in UTC."""
    revoked: str | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether it has a scope."""
        return scope in self.scopes or "admin" in self.scopes

    def opens(self, collection: str) -> bool:
        """Whether it may touch a collection."""
        return not self.collections or collection in self.collections


NOBODY = Key(
    id="",
    name="no key",
    digest="",
    scopes=("admin",),
    collections=(),
    per_minute=None,
    created="",
)
"""Who asks while there are no keys: allowed everything, on loopback only."""


class KeyStore:
    """The keys of a home."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE
        self._lock = threading.Lock()
        self._read_at: tuple[int, int] | None = None
        self._keys: tuple[Key, ...] = ()

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[str] = ("ask",),
        collections: Sequence[str] = (),
        per_minute: float | None = None,
    ) -> tuple[Key, str]:
        """Make a key. Returns what is kept, and the key itself, which nobody can show again.

        Raises:
            InputError: an unknown scope.
        """
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            raise InputError(
                f"There is no scope '{unknown[0]}'." if unknown else "A key needs a scope.",
                hint=f"Scopes are {', '.join(SCOPES)}.",
            )
        identity = secrets.token_hex(4)
        secret = f"ff_{identity}_{secrets.token_urlsafe(32)}"
        key = Key(
            id=identity,
            name=name,
            digest=_digest(secret),
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            collections=tuple(collections),
            per_minute=per_minute,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._write((*self.all(), key))
        return key, secret

    def revoke(self, identity: str) -> Key:
        """End a key.

        Raises:
            InputError: there is none with this id.
        """
        keys = self.all()
        if identity not in {key.id for key in keys}:
            raise InputError(f"There is no key '{identity}'.", hint="`firstfault keys list` shows their ids.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        changed = tuple(replace(key, revoked=now) if key.id == identity else key for key in keys)
        self._write(changed)
        return next(key for key in changed if key.id == identity)

    def all(self) -> tuple[Key, ...]:
        """Every key, revoked ones included, oldest first.

        Raises:
            StorageError: the file is damaged. No key works then: that is safer than none being needed.
        """
        with self._lock:
            try:
                found = self._path.stat()
            except FileNotFoundError:
                self._keys, self._read_at = (), None
                return self._keys
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._read_at:
                try:
                    rows = json.loads(self._path.read_text(encoding="utf-8"))["keys"]
                    self._keys = tuple(
                        Key(
                            **{
                                **row,
                                "scopes": tuple(row["scopes"]),
                                "collections": tuple(row["collections"]),
                            }
                        )
                        for row in rows
                    )
                except (OSError, ValueError, KeyError, TypeError) as error:
                    raise StorageError(
                        f"{self._path} cannot be read.", hint="Restore it, or remove it and create new keys."
                    ) from error
                self._read_at = stamp
            return self._keys

    def required(self) -> bool:
        """Whether requests need a key: from the first key on, also when all are revoked."""
        return bool(self.all())

    def find(self, secret: str) -> Key | None:
        """The valid key that was given; None when there is none. Takes as long for a wrong secret as for a
        right one: every digest is compared, and each comparison is constant in time."""
        digest = _digest(secret)
        found = None
        for key in self.all():
            same = hmac.compare_digest(key.digest, digest)
            if same and key.revoked is None:
                found = key
        return found

    def _write(self, keys: tuple[Key, ...]) -> None:
        partial = self._path.with_suffix(".partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"keys": [asdict(key) for key in keys]}, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be written: {error.strerror}.", hint="Check the disk and permissions."
            ) from error


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
