"""Who may do what: a request in, the key that it carries out, or a refusal."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from firstfault.errors import InputError
from firstfault.serve.keys import NOBODY, Key, Scope
from firstfault.serve.problems import DeniedError, UnknownError
from firstfault.serve.state import Served, served

_bearer = HTTPBearer(auto_error=False, description="A key made with `firstfault keys create`.")


def authenticate(request: Request, server: Served) -> Key:
    """The key of a request.

    Raises:
        DeniedError: there are keys, and it carries none of them.
    """
    if not server.keys.required() and not server.keys_demanded:
        return NOBODY
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    key = server.keys.find(secret.strip()) if kind.lower() == "bearer" else None
    if key is None:
        raise DeniedError(
            "The request carries no valid key.",
            hint="Send 'Authorization: Bearer KEY'; `firstfault keys create` makes one.",
            status=401,
        )
    return key


def allowed(scope: Scope) -> Callable[..., Awaitable[Key]]:
    """A dependency: the key of the request, if it has the scope and has not asked too often."""

    async def check(
        request: Request,
        _credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None,
    ) -> Key:
        server = served(request)
        key = authenticate(request, server)
        request.scope.setdefault("state", {})["key"] = key.id or None
        if not key.allows(scope):
            raise DeniedError(
                f"The key '{key.id}' lacks the scope '{scope}'.",
                hint="Use another key, or create one with that scope.",
                status=403,
            )
        server.limits.take(key.id, key.per_minute or server.engine.settings.serve.requests_per_minute)
        return key

    return check


Asking = Annotated[Key, Depends(allowed("ask"))]
Ingesting = Annotated[Key, Depends(allowed("ingest"))]
Reading = Annotated[Key, Depends(allowed("traces"))]
Administering = Annotated[Key, Depends(allowed("admin"))]


class _InCollection(Protocol):
    @property
    def collection(self) -> str: ...


Found = TypeVar("Found", bound=_InCollection)


def visible(find: Callable[[], Found], key: Key, unknown: UnknownError) -> Found:
    """What `find` finds, if the key may see it; what it may not see answers like what is not there.

    Raises:
        UnknownError: as given.
    """
    try:
        found = find()
    except InputError:
        raise unknown from None
    if not key.opens(found.collection):
        raise unknown
    return found


def open_to(key: Key, collection: str) -> str:
    """The collection, if the key may touch it.

    Raises:
        DeniedError: it may not.
    """
    if not key.opens(collection):
        raise DeniedError(
            f"The key '{key.id}' does not open the collection '{collection}'.",
            hint=f"It opens: {', '.join(key.collections)}.",
            status=403,
        )
    return collection
