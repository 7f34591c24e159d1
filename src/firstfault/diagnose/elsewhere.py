"""Cases examined on the workers of a Ray cluster, with the findings that a walk in one process has.

In: an application, cases and the budget for generations. Out: what came of each case.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from firstfault.answer.elsewhere import Passage, opened, passage
from firstfault.bulk import Crew
from firstfault.config import GeneratorConfig
from firstfault.diagnose.examine import Examined, Subject, examine
from firstfault.diagnose.probes import Probes

if TYPE_CHECKING:
    from firstfault.answer import Application

MOST_CALLS = 2
"""Generations that one case may take: its own once more, and one from the gold passages alone."""


def spread(
    app: "Application",
    subjects: Sequence[Subject],
    budget: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Examined], int]:
    """What came of every case, in their order, and how many generations it took.

    Cases go out together as long as the budget surely lasts for each of them, so that none finds it emptied
    by one that comes after it.
    """
    found: dict[int, Examined] = {}
    calls = 0
    recorded = [one.trace.settings["generator"] for one in subjects if one.trace is not None]
    generators = {GeneratorConfig.model_validate(one) for one in recorded}
    with (
        passage(app, generators) as given,
        Crew(app.settings.bulk, partial(_probes, given), _examine_there) as crew,
    ):
        while len(found) < len(subjects):
            left = budget - calls
            first = len(found)
            together = max(1, left // MOST_CALLS) if left > 0 else len(subjects)
            part = subjects[first : first + together]

            def name(at: int, part: Sequence[Subject] = part) -> str:
                return f"Case {part[at].case.id}"

            for at, (examined, asked) in crew.map_unordered([(one, left) for one in part], name):
                found[first + at] = examined
                calls += asked
                if progress:
                    progress(len(found), len(subjects))
    return [found[at] for at in range(len(subjects))], calls


@contextmanager
def _probes(given: Passage) -> Iterator[Probes]:
    with opened(given) as (app, _):
        yield Probes(app, budget=0)


def _examine_there(probes: Probes, task: tuple[Subject, int]) -> tuple[Examined, int]:
    subject, probes.budget = task
    probes.calls = 0
    return examine(probes, subject), probes.calls
