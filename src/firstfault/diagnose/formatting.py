"""Format: the output was to satisfy a schema, and did not, or not at once.

In: a trace of a structured answer. Out: the blame, with the rule that broke and where.
"""

from firstfault.diagnose.wording import count
from firstfault.stages import Stage
from firstfault.types import Blame, Case, FormatAttempt, Trace

NOT_JSON = ("invalid_json", "code_fence", "trailing_comma", "duplicate_key", "prose")
"""Rules of JSON itself; the others are the schema's."""


def formatting(case: Case, trace: Trace) -> Blame | None:
    """Blame the format of the output; what repair or another try put right is blamed as verified."""
    done = trace.format
    if done is None or (done.valid and done.first_try):
        return None
    first = done.attempts[0]
    cause = done.cause if done.cause is not None else _cause(first)
    rules = "; ".join(
        f"{problem.rule} at {problem.path or '/'}: {problem.message}" for problem in first.problems[:2]
    )
    tries = sum(attempt.kind == "retried" for attempt in done.attempts)
    after = "by repair" if not tries else f"after {count(tries, 'further try').replace('trys', 'tries')}"
    ending = f" It was put right {after}." if done.valid else " Neither repair nor another try put it right."
    return Blame(
        case_id=case.id,
        trace_id=trace.id,
        stage=Stage.FORMAT,
        cause=cause,
        verified=done.valid,
        evidence=f"The first output breaks its schema: {rules}.{ending}",
    )


def _cause(attempt: FormatAttempt) -> str:
    rules = {problem.rule for problem in attempt.problems}
    if "truncated_output" in rules:
        return "truncated_output"
    return "invalid_json" if rules & set(NOT_JSON) else "schema_violation"
