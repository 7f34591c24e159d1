import json
from dataclasses import replace

import pytest

from firstfault.drill.outcome import HEALTHY, UNKNOWN, Named, Outcome
from firstfault.drill.report import columns_of, document, markdown, readiness, summarize

REMOVED = Named(stage="corpus", cause="missing_document")
ABSTAINS = Named(stage="generate", cause="wrong_abstention")
NOTHING = Named(stage=HEALTHY, cause=HEALTHY)

RIGHT = Outcome(
    faults=("documents_removed",),
    scene="plain",
    severity=0.5,
    seed=0,
    cases=40,
    hurt=5,
    expected=(REMOVED,),
    found=REMOVED,
    listed=(REMOVED,),
    evidence="a.md is not there",
    next_command="firstfault ingest",
    alerts=("context_recall",),
    seconds_evaluate=1.0,
    seconds_diagnose=0.5,
    model_calls=0,
)
SILENT = replace(
    RIGHT, faults=("always_abstains",), expected=(ABSTAINS,), found=NOTHING, listed=(), alerts=(), evidence=""
)
HARMLESS = replace(SILENT, hurt=0, faults=("near_nothing",))
TAKEN = replace(SILENT, found=REMOVED, listed=(REMOVED,))
DOUBLE = replace(
    RIGHT, faults=("documents_removed", "always_abstains"), expected=(REMOVED, ABSTAINS), listed=(REMOVED,)
)
CONTROL = replace(SILENT, faults=(), expected=(), severity=None, hurt=0)
SKIPPED = replace(SILENT, skipped="No case quotes its evidence.", cases=0)
ALL = (RIGHT, SILENT, HARMLESS, TAKEN, DOUBLE, CONTROL, SKIPPED)


def test_rates_count_what_was_run() -> None:
    found = summarize(ALL)
    assert (found.stage_named.hits, found.stage_named.of) == (1, 3)
    assert (found.cause_named.hits, found.cause_named.of) == (1, 3)
    assert (found.first_first.hits, found.both_listed.hits, found.first_first.of) == (1, 0, 1)
    assert (found.false_alarms.hits, found.false_alarms.of) == (0, 1)
    assert found.harmless == ("near_nothing",)
    assert found.skipped == (SKIPPED,)
    assert found.seconds == {"to_diagnosis": 1.5, "diagnosis": 0.5}


def test_a_control_that_is_not_healthy_is_a_false_alarm() -> None:
    found = summarize([CONTROL, replace(CONTROL, found=REMOVED)])
    assert (found.false_alarms.hits, found.false_alarms.of) == (1, 2)
    assert found.confusion == {HEALTHY: {HEALTHY: 1, "corpus": 1}}


def test_the_matrix_has_every_stage_that_was_broken_or_named_in_order() -> None:
    matrix = summarize(ALL).confusion
    assert matrix["generate"] == {HEALTHY: 2, "corpus": 1}
    assert columns_of(matrix) == ["corpus", "generate", HEALTHY]


def test_nothing_to_count_has_no_value() -> None:
    found = summarize([])
    assert found.stage_named.value is None
    assert str(found.stage_named) == "–"
    assert found.seconds["diagnosis"] is None


def test_reports_name_what_was_missed() -> None:
    found = summarize(ALL)
    text = markdown(ALL, found)
    assert "| always_abstains | 0.5 | 5 of 40 | generate: wrong_abstention | healthy | – | – | 1.5 |" in text
    assert "| **generate** |" in text
    written = json.loads(json.dumps(document(ALL, found), allow_nan=False))
    assert written["rates"]["stage_named"]["value"] == pytest.approx(1 / 3)
    assert written["blind_spots"] == ["always_abstains", "always_abstains"]
    assert written["harmless"] == ["near_nothing"]
    assert len(written["drills"]) == len(ALL)


def test_readiness_says_what_to_add() -> None:
    never = Named(stage="generate", cause="should_have_abstained")
    slow = Named(stage="generate", cause="over_budget")
    rows = readiness(
        [
            RIGHT,
            SILENT,
            TAKEN,
            replace(SILENT, alerts=("faithfulness",)),
            replace(SILENT, faults=("never_abstains",), expected=(never,)),
            replace(SILENT, faults=("slow_stream",), expected=(slow,)),
            replace(SILENT, cases=4),
            replace(SILENT, found=Named(stage=UNKNOWN, cause=UNKNOWN)),
            DOUBLE,
        ],
        0,
        ["latency.generate_ms", "latency.cite_ms"],
    )
    assert [row.caught for row in rows] == [True] + [False] * 7
    assert rows[0].advice == ""
    assert "limits under [evaluate]" in rows[1].advice
    assert "taken for corpus: missing_document" in rows[2].advice
    assert "faithfulness" in rows[3].advice
    assert '"answerable": false' in rows[4].advice
    assert "4 are too few" in rows[6].advice
    assert "not named" in rows[7].advice
    assert rows[5].advice == "set a budget: latency.generate_ms"
