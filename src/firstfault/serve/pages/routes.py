"""Every page under `/ui`, and the files that they refer to."""

from fastapi import APIRouter
from starlette.responses import Response

from firstfault.serve.pages import (
    asking,
    diagnoses,
    drills,
    evaluations,
    finetunes,
    health,
    incidents,
    reading,
    reviews,
    signing,
    traces,
)
from firstfault.serve.pages.rendering import static, to
from firstfault.serve.problems import UnknownError

router = APIRouter(include_in_schema=False)


@router.get("/")
async def root() -> Response:
    """People who open the address of the server get the pages."""
    return to("/ui")


@router.get("/ui/static/{name}")
async def asset(name: str) -> Response:
    """A style sheet, script or icon; they hold nothing secret."""
    found = static(name)
    if found is None:
        raise UnknownError("There is no such file.", hint="Reload the page.")
    return found


PARTS = (
    signing,
    health,
    incidents,
    traces,
    evaluations,
    finetunes,
    diagnoses,
    asking,
    drills,
    reviews,
    reading,
)

for part in PARTS:
    router.include_router(part.router, prefix="/ui")
