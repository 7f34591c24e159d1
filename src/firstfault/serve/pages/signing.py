"""The door: a key in, a session out; and what is shown when something is refused."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from firstfault.serve.pages.rendering import render, to
from firstfault.serve.pages.session import (
    COOKIE,
    LIFETIME_S,
    SignInError,
    Viewer,
    check_token,
    form,
    sessions,
    viewer,
)
from firstfault.serve.problems import TITLES, Problem
from firstfault.serve.state import served

router = APIRouter()
HOME = "/ui"
Next = Annotated[str, Query(max_length=1000)]


@router.get("/login")
async def sign_in(request: Request, next: Next = HOME) -> Response:  # noqa: A002 - the name in the address
    """The form that takes a key."""
    return _form(request, next)


@router.post("/login")
async def signed_in(request: Request) -> Response:
    """Begin a session."""
    fields = await form(request)
    check_token(request, sessions(request).token("login"), fields.get("token", ""))
    server = served(request)
    secret, wanted = fields.get("key", "").strip(), _inside(fields.get("next", ""))
    server.limits.take(f"login {request.client.host if request.client else ''}", 30)
    key = server.keys.find(secret)
    if key is None:
        return _form(request, wanted, "This is no valid key. `firstfault keys list` shows which there are.")
    response = to(wanted)
    response.set_cookie(
        COOKIE,
        sessions(request).begin(key),
        max_age=LIFETIME_S,
        path=HOME,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


@router.post("/logout")
async def signed_out(request: Request) -> Response:
    """End the session."""
    fields = await form(request)
    check_token(request, viewer(request).token, fields.get("token", ""))
    response = to(f"{HOME}/login")
    response.delete_cookie(COOKIE, path=HOME, httponly=True, samesite="strict")
    return response


def refused(request: Request, problem: Problem, error: Exception | None = None) -> Response:
    """An error as a page; who must sign in first is sent there and comes back."""
    if isinstance(error, SignInError) and request.method == "GET":
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return to(f"{HOME}/login?next={quote(wanted, safe='')}")
    title = TITLES.get(problem.status, "Error")
    response = render(
        request, "error.html", who=_known(request), status=problem.status, problem=problem, title=title
    )
    if problem.retry_after_s is not None:
        response.headers["retry-after"] = str(problem.retry_after_s)
    return response


def _form(request: Request, wanted: str, said: str = "") -> Response:
    return render(
        request,
        "login.html",
        status=401 if said else 200,
        next=_inside(wanted),
        said=said,
        token=sessions(request).token("login"),
    )


def _inside(path: str) -> str:
    """A path of ours; whatever else is asked for becomes the home page."""
    plain = path.startswith(f"{HOME}/") and "\\" not in path and "//" not in path.partition("?")[0]
    return path if plain and path.isprintable() else HOME


def _known(request: Request) -> Viewer | None:
    try:
        return viewer(request)
    except SignInError:
        return None
