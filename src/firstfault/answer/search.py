"""Search alone: a question in, ranked candidates with their place in every arm out. No trace is kept."""

from typing import TYPE_CHECKING

from firstfault.answer.request import Request, validate_question
from firstfault.answer.retrieve import retrieve
from firstfault.trace import Recording
from firstfault.types import Hit

if TYPE_CHECKING:
    from firstfault.answer.application import Application


def search(
    app: "Application", question: str, *, where: str | None = None, exact: bool = False
) -> tuple[Hit, ...]:
    """Every candidate for a question, in final order; `exact` searches all vectors instead of the index.

    Raises:
        InputError: the question or the filter cannot be used.
    """
    request = Request(
        question=validate_question(question),
        where=where,
        settings=app.settings,
        recording=Recording(),
        version=app.collection.version,
    )
    return retrieve(app, request, exact=exact).hits
