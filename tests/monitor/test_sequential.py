import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.monitor.sequential import Stream, learn
from firstfault.monitor.signals import signal_of


def stream(signal: str, *, baseline: int = 300, false_alarm: float = 0.001) -> Stream:
    return Stream(signal=signal, baseline=baseline, false_alarm=false_alarm, horizon=20_000)


def run(watched: Stream, values: list[float]) -> int | None:
    """The position of the alarm, from 1; None = quiet."""
    for number, value in enumerate(values, start=1):
        watched.step(value, f"t{number}", f"2026-01-01T00:00:{number % 60:02d}")
        if watched.raised:
            return number
    return None


def test_a_rate_is_learnt_as_its_upper_confidence_limit() -> None:
    rest = learn(signal_of("abstained"), [1.0] * 30 + [0.0] * 270)
    assert rest is not None
    assert rest.usual == pytest.approx(0.1)
    assert rest.failures == 0.15  # the 99 % limit of 30 in 300 is 14.7 %, rounded up to the grid


def test_what_fails_more_often_than_not_cannot_be_told_to_get_worse() -> None:
    assert learn(signal_of("abstained"), [1.0] * 200 + [0.0] * 100) is None


def test_a_score_is_held_against_an_order_statistic_that_surely_few_are_below() -> None:
    values = [i / 300 for i in range(300)]
    rest = learn(signal_of("dense_best"), values)
    assert rest is not None
    assert rest.bad == "below"
    assert rest.failures == 0.05
    assert sum(value < rest.limit for value in values) <= 0.05 * 300


def test_a_score_that_is_often_as_bad_as_can_be_takes_a_higher_share() -> None:
    rest = learn(signal_of("arms_agree"), [0.0] * 60 + [0.5] * 120 + [1.0] * 120)
    assert rest is not None
    assert rest.failures == 0.3
    assert rest.limit > 0.0
    assert learn(signal_of("arms_agree"), [0.0] * 200 + [1.0] * 100) is None


def test_a_time_must_be_clearly_longer_than_usual() -> None:
    rest = learn(signal_of("latency_embed"), [5.0 + i / 1000 for i in range(300)])
    assert rest is not None
    assert rest.limit == pytest.approx(25.15, abs=0.1)  # the median and 20 ms
    slow = learn(signal_of("latency_embed"), [100.0] * 300)
    assert slow is not None
    assert slow.limit == pytest.approx(150.0)  # half as long again


@given(st.lists(st.floats(0, 1), min_size=100, max_size=400))
def test_at_most_the_assumed_share_of_the_baseline_fails(values: list[float]) -> None:
    rest = learn(signal_of("dense_best"), values)
    if rest is not None:
        assert sum(value < rest.limit for value in values) <= rest.failures * len(values)


@given(st.lists(st.booleans(), min_size=60, max_size=400))
def test_the_assumed_rate_is_never_below_the_seen_one(failed: list[bool]) -> None:
    rest = learn(signal_of("error"), [float(one) for one in failed])
    if rest is not None:
        assert rest.failures >= sum(failed) / len(failed)


def test_no_alarm_while_nothing_changes_and_one_soon_after_it_does() -> None:
    draw = random.Random(0)
    watched = stream("dense_best")
    assert run(watched, [draw.gauss(0.6, 0.1) for _ in range(5000)]) is None
    after = run(watched, [draw.gauss(0.35, 0.1) for _ in range(200)])
    assert after is not None
    assert after < 60
    failing, requests = watched.failing
    assert failing > requests / 2
    assert watched.examples()[0].startswith("t")


def test_a_change_of_latency_is_seen_whatever_its_distribution() -> None:
    draw = random.Random(1)
    watched = stream("latency_generate")
    assert run(watched, [draw.lognormvariate(4, 0.5) for _ in range(5000)]) is None
    assert run(watched, [2.5 * draw.lognormvariate(4, 0.5) for _ in range(200)]) is not None


def test_false_alarms_are_as_rare_as_promised() -> None:
    alarms = 0
    for seed in range(40):
        draw = random.Random(seed)
        watched = stream("abstained", false_alarm=0.05)
        alarms += run(watched, [float(draw.random() < 0.1) for _ in range(5300)]) is not None
    assert alarms <= 2  # at most 0.05 within 20,000 requests is at most 0.0125 within 5,000


def test_an_alarm_ends_when_the_way_back_is_found() -> None:
    watched = stream("error")
    assert run(watched, [0.0] * 300 + [1.0] * 30) is not None
    for number in range(500):
        watched.step(0.0, f"late{number}", "2026-01-01T00:01:00")
    assert not watched.raised
    assert watched.level == 0.0


def test_a_stream_goes_on_from_its_record() -> None:
    draw = random.Random(2)
    values = [float(draw.random() < 0.05) for _ in range(350)] + [
        float(draw.random() < 0.6) for _ in range(40)
    ]
    whole, parted = stream("unfaithful"), stream("unfaithful")
    at = run(whole, values)
    assert run(parted, values[:340]) is None
    again = Stream.from_record(parted.record())
    rest = run(again, values[340:])
    assert rest is not None
    assert at == 340 + rest
