"""The ASGI application: an engine and its companions in, every route out."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from firstfault.errors import FirstfaultError
from firstfault.serve import corpus, health, measuring, native, openai_api, pages, releases, watching
from firstfault.serve.edge import Edge, TooLargeError
from firstfault.serve.examples import problems
from firstfault.serve.problems import TITLES, Problem, problem_of
from firstfault.serve.state import Served

DESCRIPTION = """Answers from your documents, every sentence verified, every stage recorded.

Errors are `application/problem+json` with a hint and the trace id; under `/v1` they have OpenAI's shape.
Answers carry `X-Firstfault-Trace-Id`, and `X-Firstfault-Degraded` when load made them cheaper."""


def create_app(server: Served) -> ASGIApp:
    """The application of a server."""
    app = FastAPI(
        title="Firstfault",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.served = server
    app.state.lately = pages.Lately()
    app.state.sessions = pages.Sessions(server.engine.config.home)
    ours = (native, corpus, measuring, releases, watching, health)
    for part in ours:
        app.include_router(part.router, responses=problems())
    app.include_router(openai_api.router, responses=problems(openai=True))
    app.include_router(pages.router)
    app.add_exception_handler(FirstfaultError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_body)
    app.add_exception_handler(HTTPException, _refuse_path)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return Edge(app, server)


def _call_id(request: Request) -> str | None:
    call = request.scope.get("state", {}).get("call")
    return call.id if call is not None else None


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, FirstfaultError)
    return _told(request, problem_of(error, _call_id(request)), error)


async def _refuse_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = tuple(
        {"loc": [str(part)[:200] for part in one["loc"]], "msg": str(one["msg"])[:500], "type": one["type"]}
        for one in error.errors()[:20]
    )
    first = found[0]
    where, hint = ".".join(first["loc"]), "The schema is at /openapi.json."
    if first["type"] == "json_invalid":  # its place is a position in the text, not a field
        where = f"{first['loc'][0]}, character {first['loc'][-1]}"
    elif first["loc"] == ["body"] and "json" not in request.headers.get("content-type", ""):
        hint = "Send Content-Type: application/json."
    problem = Problem(
        status=422,
        detail=f"{where}: {first['msg']}.",
        hint=hint,
        errors=found,
        trace_id=_call_id(request),
    )
    return _told(request, problem, error)


async def _refuse_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, TooLargeError):
        return error.problem.response(request.url.path)
    problem = Problem(
        status=error.status_code,
        detail=f"{TITLES.get(error.status_code, 'Error')}: {request.method} {request.url.path[:200]}.",
        hint="The paths are at /openapi.json.",
    )
    response = _told(request, problem, error)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def _told(request: Request, problem: Problem, error: Exception) -> Response:
    """What went wrong: a page for whoever looks at pages, a document for programs."""
    path = request.url.path
    is_page = (path == "/ui" or path.startswith("/ui/")) and "text/html" in request.headers.get("accept", "")
    return pages.refused(request, problem, error) if is_page else problem.response(path)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
    return app.openapi_schema
