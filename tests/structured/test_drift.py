import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made import make_trace

from firstfault.structured.drift import (
    FALSE_ALARM,
    HORIZON,
    Response,
    alarmed,
    design,
    drift,
    grouped,
    worse,
)
from firstfault.types import FormatAttempt, FormatProblem, Formatted, Generation, Trace

SCHEMA = {"title": "Pump", "type": "object"}


def attempt(kind: Any, *rules: tuple[str, str]) -> FormatAttempt:
    return FormatAttempt(
        kind=kind,
        raw="",
        problems=tuple(FormatProblem(rule=rule, path=path, message="") for rule, path in rules),
        finish_reason="stop",
        duration_ms=10.0,
        prompt_tokens=1,
        completion_tokens=1,
    )


def trace(number: int, *attempts: FormatAttempt, schema: Any = SCHEMA, **changes: Any) -> Trace:
    valid = not attempts[-1].problems
    made = Formatted(
        schema=schema,
        valid=valid,
        first_try=not attempts[0].problems,
        value=None,
        attempts=attempts,
        constrained=False,
        cause=None if valid else "schema_violation",
    )
    generation = Generation(
        model=changes.pop("model", "m"),
        fingerprint="",
        adapter=changes.pop("adapter", None),
        prompt=(),
        rendered=None,
        grammar=None,
        raw="",
        finish_reason="stop",
        prompt_tokens=None,
        completion_tokens=None,
    )
    at = f"2026-01-01T00:00:00.{number:06d}+00:00"
    return make_trace(
        **{"id": f"t{number:06d}", "at": at, "generation": generation, "format": made, **changes}
    )


GOOD = attempt("generated")
BAD = attempt("generated", ("required", ""), ("type", "/items/3/price"))


def test_first_try_repair_and_retry_are_counted_apart() -> None:
    found = grouped(
        [
            trace(1, GOOD),
            trace(2, attempt("generated", ("trailing_comma", "")), attempt("repaired")),
            trace(3, BAD, attempt("retried")),
            trace(4, BAD, attempt("retried", ("type", "/items/7/price"))),
        ]
    )
    ((group, responses),) = found.items()
    assert group.schema.endswith(" Pump")
    made = drift(group, responses, reference=0.99)
    assert [made.first_try.value, made.after_repair.value, made.final.value] == [0.25, 0.5, 0.75]
    assert made.final.low is not None
    assert 0.25 < made.final.low < 0.75
    assert made.extra_calls == 0.5
    assert made.extra_ms == 7.5
    assert next(iter(made.rules.items())) == ("required at the whole output", 2)
    assert made.rules["type at /items/*/price"] == 2
    assert made.causes == {"schema_violation": 1}


def test_groups_differ_by_schema_model_and_adapter_and_leave_out_what_nobody_asked() -> None:
    traces = [
        trace(1, GOOD),
        trace(2, GOOD, model="other"),
        trace(3, GOOD, adapter="a"),
        trace(4, GOOD, schema={"type": "array"}),
        trace(5, GOOD, replay_of="t1"),
        trace(6, GOOD, case="c"),
        replace(trace(7, GOOD), format=None),
    ]
    assert [len(found) for found in grouped(traces).values()] == [1, 1, 1, 1]
    assert sum(len(found) for found in grouped(traces, cases=True).values()) == 5


def outcomes(seed: int, *stretches: tuple[int, float]) -> list[Response]:
    rng = random.Random(seed)
    marks = [rng.random() < rate for n, rate in stretches for _ in range(n)]
    return [
        Response(
            trace_id=f"t{i}",
            at="",
            first_try=mark,
            valid=True,
            repaired=True,
            rules=(),
            cause=None,
            extra_calls=0,
            extra_ms=0.0,
        )
        for i, mark in enumerate(marks)
    ]


GROUP = next(iter(grouped([trace(1, GOOD)])))


def test_a_fall_is_noticed_and_dated_and_rest_is_not() -> None:
    changed = drift(GROUP, outcomes(1, (2000, 0.99), (600, 0.9)), reference=0.99)
    first, final = changed.alarms
    assert first.raised
    assert first.at_response is not None
    assert 2000 < first.at_response <= 2200
    assert first.began is not None
    assert abs(int(first.began[1:]) - 2000) < 60
    assert (final.raised, final.level) == (False, 0.0)
    resting = drift(GROUP, outcomes(2, (HORIZON, 0.99)), reference=0.99)
    assert not any(alarm.raised for alarm in resting.alarms)


def test_a_baseline_gives_the_reference() -> None:
    made = drift(GROUP, outcomes(3, (2000, 0.9), (300, 0.6)), reference=0.99, baseline=2000)
    first, _ = made.alarms
    assert first.reference == pytest.approx(0.9, abs=0.02)
    assert first.raised
    assert first.at_response is not None
    assert first.at_response < 100
    same = drift(GROUP, outcomes(3, (4000, 0.9)), reference=0.99, baseline=2000)
    assert not same.alarms[0].raised


@settings(deadline=None, max_examples=8)
@given(st.floats(min_value=0.01, max_value=0.4))
def test_the_threshold_keeps_the_promise_and_is_the_least_that_does(failures: float) -> None:
    watch = design(failures)
    assert alarmed(failures, watch.up, watch.down, watch.threshold) <= FALSE_ALARM
    assert (
        watch.threshold == watch.up
        or alarmed(failures, watch.up, watch.down, watch.threshold - 1) > FALSE_ALARM
    )


def test_the_chain_agrees_with_a_plain_simulation() -> None:
    watch = design(0.05)
    rng = np.random.default_rng(0)
    runs = 2000
    state, raised = np.zeros(runs, dtype=int), np.zeros(runs, dtype=bool)
    for _ in range(60):
        failed = rng.random(runs) < worse(0.05)
        state = np.where(failed, state + watch.up, np.maximum(state - watch.down, 0))
        raised |= state >= watch.threshold
    exact = alarmed(worse(0.05), watch.up, watch.down, watch.threshold, responses=60)
    assert raised.mean() == pytest.approx(exact, abs=0.04)


def test_the_alarm_for_99_to_95_comes_within_200_responses_more_often_than_not() -> None:
    watch = design(0.01)
    assert watch.median_delay is not None
    assert watch.median_delay <= 200
    assert alarmed(0.05, watch.up, watch.down, watch.threshold, responses=200) > 0.6
    assert alarmed(0.01, watch.up, watch.down, watch.threshold) <= FALSE_ALARM
