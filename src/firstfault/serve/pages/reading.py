"""*Playbook*: every cause with its symptom, check, explanation and remedy."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from firstfault.diagnose.diagnosis import open_playbook
from firstfault.diagnose.playbook import STAGES, Entry
from firstfault.serve.pages.rendering import render
from firstfault.serve.pages.session import Reader
from firstfault.serve.state import served

router = APIRouter()


@router.get("/playbook")
async def playbook(request: Request, who: Reader) -> Response:
    """All causes by stage; each has an address of its own: `#cause`."""
    server = served(request)
    book = await server.engine.read(lambda: open_playbook(server.engine.settings))
    stages: list[tuple[str, list[Entry]]] = [
        (stage, [entry for entry in book if entry.stage == stage]) for stage in STAGES
    ]
    return render(request, "playbook.html", who=who, stages=[one for one in stages if one[1]])
