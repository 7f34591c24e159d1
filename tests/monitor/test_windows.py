from datetime import datetime, timedelta

from sqlalchemy import Engine
from tests.monitor.conftest import START, Make

from firstfault.config import Settings
from firstfault.monitor import Readings, Slice, health
from firstfault.monitor.windows import BUCKETS, Health, StageHealth
from firstfault.types import Verdict

WINDOW = timedelta(seconds=100)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def over(engine: Engine, end: int, **options: object) -> Health:
    return health(Readings(engine), Settings(), window=WINDOW, until=at(end), **options)  # type: ignore[arg-type]


def row(found: Health, stage: str) -> StageHealth:
    return next(one for one in found.rows if one.stage == stage)


def test_a_row_a_stage_with_what_it_was_before(engine: Engine, make: Make) -> None:
    Readings(engine).add([*make(200), *make(100, faithfulness=0.5)])
    found = over(engine, 300)
    assert (found.requests, found.baseline_requests) == (100, 200)
    assert [one.stage for one in found.rows][:2] == ["any", "corpus"]
    generate = row(found, "generate")
    leading = generate.measures[0]
    assert (leading.name, leading.value, leading.baseline, leading.n) == ("faithfulness", 0.5, 1.0, 100)
    assert len(leading.trend) == BUCKETS
    assert generate.verdict.status == "fail"
    assert "below the limit of 0.8" in generate.verdict.reason
    assert found.worst == "fail"


def test_latency_has_percentiles_and_a_budget(engine: Engine, make: Make) -> None:
    Readings(engine).add([*make(80), *make(20, times={"embed": 900.0, "total": 1000.0})])
    embed = row(over(engine, 100), "embed")
    (latency,) = embed.latency
    assert (latency.p50, latency.p95, latency.p99, latency.budget) == (5.0, 900.0, 900.0, 500.0)
    assert latency.over == 0.2
    assert embed.verdict.status == "fail"


def test_few_requests_are_not_judged(engine: Engine, make: Make) -> None:
    Readings(engine).add(make(5))
    found = over(engine, 100)
    assert found.worst == "unknown"
    assert "20 are needed" in row(found, "generate").verdict.reason


def test_an_alert_decides_its_stage(engine: Engine, make: Make) -> None:
    Readings(engine).add(make(100))
    assert row(over(engine, 100), "embed").verdict.status == "ok"
    alert = Verdict(name="embed far_passages", status="fail", reason="further away")
    found = over(engine, 100, alerts=[alert])
    assert row(found, "embed").verdict is alert
    assert row(found, "generate").verdict.status == "ok"


def test_a_slice_is_all_that_is_looked_at(engine: Engine, make: Make) -> None:
    Readings(engine).add([*make(30), *make(70, collection="other")])
    assert over(engine, 100, slice_=Slice(collection="other")).requests == 70
    assert over(engine, 100, slice_=Slice(model="large")).requests == 0


def test_readings_are_kept_once(engine: Engine, make: Make) -> None:
    found = make(3)
    Readings(engine).add(found)
    Readings(engine).add(found)
    assert len(Readings(engine).window()) == 3
    assert Readings(engine).drop_before(at(2).isoformat(timespec="milliseconds")) == 2
    assert len(Readings(engine).window()) == 1
