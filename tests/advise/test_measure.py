"""Measurements, over a real collection whose clock is set back."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.diagnose.conftest import CASES
from tests.made import make_result

import firstfault
from firstfault.advise import Measured, shipped
from firstfault.advise.measure import of_documents, of_examples, of_run, of_traces
from firstfault.collection.database import connect, writing
from firstfault.config import Settings
from firstfault.evaluate.metrics import unmeasured
from firstfault.types import EvidenceState

LIMITS = shipped().measured


def measured(found: list[Measured], key: str) -> Measured:
    return next(one for one in found if one.key == key)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder, home = tmp_path / "documents", tmp_path / "home"
    folder.mkdir()
    for name in ("tariff", "terms", "opening"):
        (folder / f"{name}.txt").write_text(f"The {name} of the shop is on this page.\n", encoding="utf-8")
    with firstfault.open(home, create=True) as app:
        app.ingest([folder])
        (folder / "tariff.txt").write_text("The tariff of the shop is 12 euros now.\n", encoding="utf-8")
        app.ingest([folder])
    return home


def set_back(home: Path, days: float, *, first_only: bool = False) -> None:
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    engine = connect(home)
    with writing(engine) as connection:
        which = "version = (SELECT min(version) FROM versions)" if first_only else "1 = 1"
        connection.execute(text(f"UPDATE versions SET at = :at WHERE {which}"), {"at": at})
    engine.dispose()


def documents(home: Path) -> list[Measured]:
    with firstfault.open(home) as app:
        return list(of_documents(app.collection, LIMITS, keep_days=365))


def test_a_young_home_says_nothing_about_change(home: Path) -> None:
    found = measured(documents(home), "knowledge_changes")
    assert found.value is None
    assert "14 are needed" in found.detail


def test_replaced_documents_are_change(home: Path) -> None:
    set_back(home, 30, first_only=True)
    found = measured(documents(home), "knowledge_changes")
    assert found.value == "weekly"
    assert "1 of 3 documents" in found.detail


def test_what_came_with_the_first_ingest_is_no_change(home: Path) -> None:
    with firstfault.open(home) as app:
        lives = app.collection.lifetimes()
    assert [(life.document_id, life.ended is None) for life in lives].count(("tariff.txt", False)) == 1
    set_back(home, 120)
    found = measured(documents(home), "knowledge_changes")
    assert found.value == "never"
    assert "0 of 3 documents" in found.detail


def test_readable_sources_do_not_make_documents_good(home: Path) -> None:
    found = measured(documents(home), "documents")
    assert found.value is None
    assert "0 of 3 sources could not be read" in found.detail


@pytest.mark.parametrize(("missing", "share"), [(0, 1.0), (5, 0.8)])
def test_share_of_cases_whose_evidence_is_stored(missing: int, share: float) -> None:
    gone: list[EvidenceState] = ["missing_document"] * missing
    there: list[EvidenceState] = ["not_in_context"] * (25 - missing)
    results = [
        make_result(case_id=str(number), evidence=(state,), scores=unmeasured("not asked"))
        for number, state in enumerate(gone + there)
    ]
    assert of_run(results, LIMITS).value == share
    assert of_run(results[:3], LIMITS).value is None


def test_recorded_requests(home: Path) -> None:
    with firstfault.open(home, settings={"generator.kind": "extractive"}) as app:
        traces = [app.ask("What is the tariff of the shop?") for _ in range(LIMITS.least_requests)]
        found = list(of_traces(traces, LIMITS, Settings(), first_token_ms=60_000))
    assert measured(found, "answerable").value == 1.0
    assert measured(found, "latency").value == "fits"
    assert measured(found, "format_failures").value is None
    tight = list(of_traces(traces, LIMITS, Settings(), first_token_ms=0.001))
    assert measured(tight, "latency").value == "over"


def test_examples(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    rows = [{"prompt": case.question, "completion": case.evidence[0].quote} for case in CASES]
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    found = list(of_examples(data, LIMITS, None))
    assert measured(found, "examples").value == len(CASES)
    assert measured(found, "example_quality").value is None
