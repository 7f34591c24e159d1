"""Format drift: answers under a schema, in the order in which they were asked, in; what changed out.

One group a schema, model and adapter. First-try validity and final validity are watched apart: the first
shows drift before callers see it, the second is what they see.

The alarm is a CUSUM of the log-likelihood ratio for Bernoulli outcomes (Page 1954; Reynolds and Stoumbos
1999), scaled to whole steps, so that its run lengths are exact: the threshold is the least at which the
probability of an alarm within `HORIZON` responses, while validity stays at the reference rate, is at most
`FALSE_ALARM`.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from firstfault.intervals import Estimate, proportion
from firstfault.types import Formatted, Trace

HORIZON = 10_000
"""Responses over which false alarms are counted."""

FALSE_ALARM = 0.05
"""Probability of an alarm within `HORIZON` responses when nothing has changed."""

WORSE = 5.0
"""The change that the alarm is tuned to: the odds of a failure times this (99 % → 95.2 % valid)."""

FINENESS = 8
"""A failure weighs at least so many steps: what makes the scaling to whole steps harmless."""

SETTLED = 1e-13
"""Change of a probability below which it has settled."""

LEAST_FAILURES = 2e-3
"""No reference rate of failures is taken to be lower: nobody has seen enough responses to know."""

MOST_FAILURES = 0.5
"""Nor a higher one: an application that fails more often than not has not drifted."""

Series = Literal["first_try", "final"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer under a schema, as drift sees it."""

    trace_id: str
    at: str
    first_try: bool
    valid: bool
    repaired: bool
    """Valid without another call, thanks to repair."""
    rules: tuple[str, ...]
    """What the first output broke: `rule at /path`, positions in lists as `*`; each once."""
    cause: str | None
    extra_calls: int
    extra_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Answers that can be compared."""

    schema: str
    """First 12 hex digits of the SHA-256 of the schema, and its title."""
    model: str
    adapter: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What the sequential test says about one series."""

    series: Series
    reference: float
    """The validity that was held against."""
    raised: bool
    at_response: int | None
    """How many responses after its start the alarm came, from 1."""
    trace_id: str | None
    began: str | None
    """The trace at which the evidence that raised it began to pile up: where to look for what changed."""
    level: float
    """How far the test is from its alarm at the end, 0 to 1; 1 = alarm."""
    median_delay: int | None
    """Responses until the alarm for the change that it is tuned to, in half of the cases; exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One group over a window."""

    group: Group
    n: int
    first_try: Estimate
    after_repair: Estimate
    """Valid without another call to the generator."""
    final: Estimate
    """Valid in the end, retries included."""
    extra_calls: float
    """Retries an answer, on average."""
    extra_ms: float
    """Milliseconds for repair and retries an answer, on average."""
    rules: Mapping[str, int]
    """Rules that first outputs broke → in how many, the most frequent first."""
    causes: Mapping[str, int]
    """Causes of what failed at last → how many."""
    alarms: tuple[Alarm, ...]


def response(trace: Trace) -> Response | None:
    """What drift needs of a trace; None for free text and abstentions."""
    made = trace.format
    if made is None:
        return None
    later = made.attempts[1:]
    retried = sum(attempt.kind == "retried" for attempt in later)
    broken = (f"{one.rule} at {_anywhere(one.path)}" for one in made.attempts[0].problems)
    return Response(
        trace_id=trace.id,
        at=trace.at,
        first_try=made.first_try,
        valid=made.valid,
        repaired=made.valid and not retried,
        rules=tuple(dict.fromkeys(broken)),
        cause=made.cause,
        extra_calls=retried,
        extra_ms=sum(attempt.duration_ms for attempt in later),
    )


def grouped(traces: Iterable[Trace], *, cases: bool = False) -> dict[Group, list[Response]]:
    """Responses by group, the oldest first. Replays are left out, and evaluations unless `cases` is set."""
    found: dict[Group, list[Response]] = {}
    for trace in sorted(traces, key=lambda one: (one.at, one.id)):
        seen = response(trace)
        if seen is None or trace.replay_of is not None or (trace.case is not None and not cases):
            continue
        assert trace.format is not None
        assert trace.generation is not None
        made = trace.generation
        group = Group(schema=schema_name(trace.format), model=made.model, adapter=made.adapter)
        found.setdefault(group, []).append(seen)
    return found


def schema_name(made: Formatted) -> str:
    """A short name for a schema: digits of its hash, and its title when it has one."""
    digest = hashlib.sha256(json.dumps(made.schema, sort_keys=True).encode()).hexdigest()[:12]
    title = made.schema.get("title")
    return f"{digest} {title}" if isinstance(title, str) and title else digest


def drift(group: Group, responses: Sequence[Response], *, reference: float, baseline: int = 0) -> Drift:
    """Rates, rules and alarms of one group of at least one response.

    The reference rate is given, or with a `baseline` estimated from the first so many responses, which then
    do not count for the alarm; an estimate from few responses raises more false alarms than promised.
    """
    n = len(responses)
    rules = Counter(rule for one in responses for rule in one.rules)
    causes = Counter(one.cause for one in responses if one.cause is not None)
    series: dict[Series, list[bool]] = {
        "first_try": [one.first_try for one in responses],
        "final": [one.valid for one in responses],
    }
    return Drift(
        group=group,
        n=n,
        first_try=proportion(sum(series["first_try"]), n),
        after_repair=proportion(sum(one.repaired for one in responses), n),
        final=proportion(sum(series["final"]), n),
        extra_calls=sum(one.extra_calls for one in responses) / n,
        extra_ms=sum(one.extra_ms for one in responses) / n,
        rules=dict(sorted(rules.items(), key=lambda pair: (-pair[1], pair[0]))),
        causes=dict(sorted(causes.items(), key=lambda pair: (-pair[1], pair[0]))),
        alarms=tuple(
            _alarm(name, outcomes, responses, reference, baseline) for name, outcomes in series.items()
        ),
    )


def _alarm(
    name: Series, outcomes: Sequence[bool], responses: Sequence[Response], reference: float, baseline: int
) -> Alarm:
    if baseline:
        seen = outcomes[:baseline]
        reference = (sum(seen) + 0.5) / (len(seen) + 1)
    test = design(_failures(reference))
    state, began, alarm, start = 0, len(outcomes[:baseline]), None, len(outcomes[:baseline])
    for position in range(start, len(outcomes)):
        before = state
        state = test.step(state, valid=outcomes[position])
        if before == 0 and state > 0:
            began = position
        if state >= test.threshold:
            alarm = position
            break
    return Alarm(
        series=name,
        reference=reference,
        raised=alarm is not None,
        at_response=None if alarm is None else alarm - start + 1,
        trace_id=None if alarm is None else responses[alarm].trace_id,
        began=None if alarm is None else responses[began].trace_id,
        level=min(1.0, state / test.threshold),
        median_delay=test.median_delay,
    )


def _failures(reference: float) -> float:
    return min(max(1.0 - reference, LEAST_FAILURES), MOST_FAILURES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A sequential test: a failure adds `up` steps, a valid response takes `down` away, never below 0."""

    failures: float
    """The rate of failures at which nothing has changed."""
    up: int
    down: int
    threshold: int
    """The alarm is raised at this many steps."""
    median_delay: int | None
    """For failures with the odds that it is tuned to; None when it is longer than the horizon."""

    def step(self, state: int, *, valid: bool) -> int:
        """The state after one more response."""
        return max(0, state - self.down) if valid else state + self.up


@cache
def design(
    failures: float, *, odds: float = WORSE, false_alarm: float = FALSE_ALARM, horizon: int = HORIZON
) -> Watch:
    """The test for a rate of failures at rest, with the least threshold that keeps the promise: an alarm
    within `horizon` responses has at most the probability `false_alarm`. Tuned to `odds` times the odds.
    """
    changed = worse(failures, odds)
    gain = math.log(changed / failures)
    loss = math.log((1 - failures) / (1 - changed))
    down = max(1, math.ceil(FINENESS * loss / gain))
    up = round(down * gain / loss)
    low, high = up, 2 * up
    while alarmed(failures, up, down, high, responses=horizon) > false_alarm:
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        if alarmed(failures, up, down, middle, responses=horizon) <= false_alarm:
            high = middle
        else:
            low = middle + 1
    delay = _median_delay(changed, up, down, low, horizon)
    return Watch(failures=failures, up=up, down=down, threshold=low, median_delay=delay)


def worse(failures: float, times: float = WORSE) -> float:
    """The rate of failures whose odds are so many times those of the given one."""
    odds = times * failures / (1 - failures)
    return odds / (1 + odds)


def alarmed(failures: float, up: int, down: int, threshold: int, *, responses: int = HORIZON) -> float:
    """Probability of an alarm within so many responses: a Markov chain (Brook and Evans 1972).

    Exact to 1e-6: once the share that stays quiet from one response to the next has settled, it is raised to
    the power of the responses that are left.
    """
    before, settled = 1.0, 0.0
    for number, quiet in enumerate(_quiet(failures, up, down, threshold), start=1):
        share = quiet / before
        if number == responses:
            return 1.0 - quiet
        if abs(share - settled) < SETTLED and number > 4 * threshold:
            return 1.0 - quiet * share ** (responses - number)
        before, settled = quiet, share
    raise AssertionError("the chain has no end")


def _quiet(failures: float, up: int, down: int, threshold: int) -> Iterator[float]:
    """Probability of no alarm after 1, 2, ... responses."""
    state = np.zeros(threshold)
    state[0] = 1.0
    while True:
        after = np.zeros(threshold)
        after[:-down] = (1 - failures) * state[down:]
        after[0] += (1 - failures) * state[:down].sum()
        if up < threshold:
            after[up:] += failures * state[:-up]
        state = after
        yield float(state.sum())


def _median_delay(failures: float, up: int, down: int, threshold: int, horizon: int) -> int | None:
    for number, quiet in enumerate(_quiet(failures, up, down, threshold), start=1):
        if quiet <= 0.5:
            return number
        if number == horizon:
            break
    return None


def _anywhere(path: str) -> str:
    """A pointer with positions in lists left open."""
    return "/".join("*" if part.isdigit() else part for part in path.split("/")) or "the whole output"
