"""Homes with readings that are made up, so that every stage can break on demand, and no model is needed."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from firstfault.collection.database import connect
from firstfault.monitor.reading import Reading

START = datetime(2026, 1, 1, tzinfo=UTC)
HEALTHY = {"error": 0.0, "dense_best": 0.6, "faithfulness": 1.0, "unfaithful": 0.0, "abstained": 0.0}
FACTS: dict[str, str | int] = {
    "fingerprint": "aaaa",
    "embedder": "mini",
    "verifier": "local",
    "corpus_version": 1,
}

Make = Callable[..., list[Reading]]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = connect(tmp_path / "home")
    yield made
    made.dispose()


@pytest.fixture
def make() -> Make:
    """Readings, one a second, each call after those of the one before."""
    count = 0

    def some(
        number: int,
        *,
        collection: str = "default",
        times: Mapping[str, float] | None = None,
        facts: Mapping[str, str | int] | None = None,
        **values: float,
    ) -> list[Reading]:
        nonlocal count
        found = []
        for _ in range(number):
            at = START + timedelta(seconds=count)
            found.append(
                Reading(
                    trace_id=f"trace-{count:05d}",
                    at=at.isoformat(timespec="milliseconds"),
                    collection=collection,
                    model="small",
                    adapter=None,
                    key=None,
                    times=times if times is not None else {"embed": 5.0, "total": 50.0},
                    values={**HEALTHY, "dense_best": 0.6 + (count % 7) / 100, **values},
                    facts={**FACTS, **(facts or {})},
                )
            )
            count += 1
        return found

    return some
