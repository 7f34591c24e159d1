"""The proof of a fix for an incident: an open application and an incident in, trials with their gain out.

Requests of users have no labels. What was answered well before the incident began has: those questions are
asked again as cases (search only), repairs are chosen on one part of them and proven on the other.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from firstfault.answer.documents import fix_document
from firstfault.diagnose import diagnose_run
from firstfault.diagnose.apply import discard_shadow
from firstfault.diagnose.diagnosis import open_playbook
from firstfault.diagnose.fix import fix
from firstfault.errors import InputError
from firstfault.evaluate import RunStore, evaluate
from firstfault.monitor.explain import answered_well, canary_cases
from firstfault.monitor.incidents import IncidentStore

if TYPE_CHECKING:
    from firstfault.answer import Application

LEAST_CASES = 8
"""Earlier questions that a proof needs."""

Progress = Callable[[int, int], None]


def prove(
    app: "Application", incident_id: str, *, budget: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """The JSON document of `fix --json` for an incident; what came of it is put on the timeline.

    Nothing is applied.

    Raises:
        InputError: there is no such incident, or too little was answered well before it began.
    """
    from firstfault.collection.database import connect

    engine = connect(app.config.home)
    try:
        incidents = IncidentStore(engine)
        incident = incidents.get(incident_id)
        cases = canary_cases(answered_well(app, until=incident.began))
        if len(cases) < LEAST_CASES:
            raise InputError(
                f"Only {len(cases)} questions were answered well before the incident began; "
                f"{LEAST_CASES} are needed to prove a fix.",
                hint="Evaluate cases of your own and prove the fix on their run: firstfault fix --run last",
            )
        run = evaluate(app, cases, source=f"answered well before {incident.id}", generation=False)
        results = list(RunStore(engine).results(run.id).values())
        diagnosis = diagnose_run(app, run, results, progress=progress)
        report = fix(
            app,
            run,
            results,
            diagnosis,
            playbook=open_playbook(app.settings),
            budget=budget,
            progress=(lambda _step, done, total: progress(done, total)) if progress else None,
        )
        discard_shadow(report)
        document = fix_document(report, diagnosis, None)
        incidents.note(incident.id, "fix", told(document))
    finally:
        engine.dispose()
    return document


def told(document: dict[str, Any]) -> str:
    """What came of it, in a line."""
    proven = [trial for trial in document["trials"] if trial["verified"]]
    if not proven:
        return "No fix was proven." if not document["healthy"] else "Nothing to repair: earlier answers hold."
    return "Proven on earlier questions: " + "; ".join(
        f"{trial['metric']} {trial['before']:.3g} → {trial['after']:.3g} with {_made(trial)}"
        for trial in proven
    )


def _made(trial: dict[str, Any]) -> str:
    parts = [f"{name} = {value}" for name, value in trial["patch"].items()]
    return ", ".join([*parts, trial["repair"]] if trial["repair"] else parts)
