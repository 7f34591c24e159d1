"""Format: the output was to satisfy a schema, and did not, or not at once.

In: a trace of a structured answer. Out: the blame, with the rule that broke and where.
"""

from firstfault.answer.format import cause
from firstfault.diagnose.blaming import blame
from firstfault.diagnose.wording import count
from firstfault.stages import Stage
from firstfault.types import Blame, Case, Trace


def formatting(case: Case, trace: Trace) -> Blame | None:
    """Blame the format of the output; what repair or another try put right is blamed as verified."""
    done = trace.format
    if done is None or (done.valid and done.first_try):
        return None
    first = done.attempts[0]
    rules = "; ".join(
        f"{problem.rule} at {problem.path or '/'}: {problem.message}" for problem in first.problems[:2]
    )
    tries = sum(attempt.kind == "retried" for attempt in done.attempts)
    after = "by repair" if not tries else f"after {count(tries, 'further try').replace('trys', 'tries')}"
    ending = f" It was put right {after}." if done.valid else " Neither repair nor another try put it right."
    evidence = f"The first output breaks its schema: {rules}.{ending}"
    return blame(case, trace, Stage.FORMAT, cause(first.problems), evidence, verified=done.valid)
