"""What counts as proven: the gain, its interval, its p-value, and no harm elsewhere."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.made import make_result

from firstfault.config import LatencyConfig, Settings
from firstfault.diagnose.candidates import Candidate
from firstfault.diagnose.playbook import Playbook
from firstfault.diagnose.proof import Question, over_budget, prove
from firstfault.evaluate.metrics import NAMES
from firstfault.types import CaseResult, Finding, Remedy, Score, Trial


def result(case: int, error: str | None = None, total: float = 10.0, **values: float | None) -> CaseResult:
    scores = {name: Score(value=values.get(name), reason="") for name in NAMES}
    return make_result(case_id=str(case), scores=scores, timings_ms={"total": total}, error=error)


def question(cause: str = "context_truncated", stage: str = "pack", trials: int = 1) -> Question:
    entry = Playbook.load().entry(cause)
    finding = Finding(
        stage=stage, cause=cause, cases=("0",), share=0.5, ci_low=0.4, ci_high=0.6, verified=0, evidence="",
        example=None, remedy=Remedy(summary=""),
    )  # fmt: skip
    return Question(
        finding=finding,
        entry=entry,
        metric=entry.metrics[0],
        settings=Settings(),
        trials=trials,
        earlier=(),
        failing=frozenset("0"),
    )


def judged(before: Sequence[CaseResult], after: Sequence[CaseResult], asked: Question | None = None) -> Trial:
    old, new = ({one.case_id: one for one in results} for results in (before, after))
    candidate = Candidate(patch={"search.top_k": 5})
    trial = prove(asked or question(), candidate, old, new, side=(old, new), timed=(old, new))
    assert trial is not None
    return trial


def recall(values: Sequence[float], **other: float) -> list[CaseResult]:
    return [result(case, None, 10.0, context_recall=value, **other) for case, value in enumerate(values)]


def test_a_clear_gain_is_verified() -> None:
    trial = judged(recall([0.0] * 8 + [1.0] * 8), recall([1.0] * 16))
    assert trial.verified
    assert (trial.before, trial.after, trial.delta, trial.n) == (0.5, 1.0, 0.5, 16)
    assert trial.ci_low is not None
    assert trial.ci_low > 0
    assert trial.p_value == pytest.approx(2 / 2**8, abs=1e-6)
    assert trial.latency_before_ms == 10.0


def test_too_few_differing_cases_prove_nothing_and_it_says_how_many_would() -> None:
    trial = judged(recall([0.0] * 5 + [1.0] * 50), recall([1.0] * 55))
    assert not trial.verified
    assert "only 5 of 55" in trial.reason
    assert "at least 12 cases" in trial.reason


def test_several_trials_raise_the_bar() -> None:
    before, after = recall([0.0] * 6), recall([1.0] * 6)
    assert judged(before, after).verified
    assert not judged(before, after, question(trials=2)).verified


def test_a_gain_that_chance_could_explain_is_not_verified() -> None:
    trial = judged(recall([0.0] * 9 + [1.0] * 6), recall([1.0] * 9 + [0.0] * 6))
    assert trial.delta > 0
    assert not trial.verified
    assert "chance" in trial.reason


def test_no_gain_is_not_verified() -> None:
    assert "no gain" in judged(recall([1.0] * 9), recall([0.0] * 9)).reason


def test_harm_elsewhere_forbids_it() -> None:
    before = recall([0.0] * 10, faithfulness=1.0)
    after = recall([1.0] * 10, faithfulness=0.0)
    trial = judged(before, after)
    assert not trial.verified
    assert trial.reason == "it makes faithfulness worse"
    assert [effect.metric for effect in trial.side_effects] == ["faithfulness"]


def test_what_the_playbook_accepts_forbids_it_only_beyond_its_limit() -> None:
    before = recall([0.0] * 10, context_precision=1.0)
    after = recall([1.0] * 10, context_precision=0.2)
    assert judged(before, after).verified
    asked = question()
    strict = Settings().override({"evaluate.context_precision": "0.5"})
    limited = Question(
        finding=asked.finding, entry=asked.entry, metric=asked.metric, settings=strict, trials=1, earlier=(),
        failing=asked.failing,
    )  # fmt: skip
    assert "context_precision" in judged(before, after, limited).reason


def test_a_request_that_fails_under_the_patch_has_the_worst_value() -> None:
    before = recall([0.0] * 8 + [1.0] * 8)
    after = [*recall([1.0] * 8), *(result(case, error="it broke") for case in range(8, 16))]
    trial = judged(before, after)
    assert trial.after == 0.5
    assert not trial.verified


def test_fewer_requests_over_budget_is_a_gain() -> None:
    asked = question("over_budget", "rerank")
    old = [result(case) for case in range(8)]
    slow = [replace(one, timings_ms={"rerank": 2000.0, "total": 2100.0}) for one in old]
    fast = [replace(one, timings_ms={"rerank": 20.0, "total": 120.0}) for one in old]
    trial = judged(slow, fast, asked)
    assert trial.verified
    assert (trial.metric, trial.before, trial.after, trial.delta) == ("over_budget", 1.0, 0.0, 1.0)


def test_the_first_token_is_counted_from_the_end_of_packing() -> None:
    timings = {"index": 4000.0, "generate": 3000.0, "time_to_first_token": 6000.0, "total": 7000.0}
    assert over_budget(timings, "generate", LatencyConfig(first_token_ms=2500)) == 0.0
    assert over_budget(timings, "generate", LatencyConfig(first_token_ms=1500)) == 1.0
    assert over_budget(timings, "generate", LatencyConfig(first_token_ms=None)) is None
