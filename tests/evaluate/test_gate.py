from tests.evaluate.test_aggregate import result

from firstfault.config import EvaluateConfig
from firstfault.evaluate.aggregate import aggregate
from firstfault.evaluate.compare import compare
from firstfault.evaluate.gate import judge
from firstfault.types import CaseResult, Run


def run_of(results: list[CaseResult]) -> Run:
    return Run(
        id="run-1",
        at="",
        cases="cases.jsonl",
        cases_hash="",
        collection="default",
        corpus_version=1,
        fingerprint="",
        settings={},
        generation=True,
        total=len(results),
        done=len(results),
        finished=True,
        metrics=aggregate(results, EvaluateConfig()),
    )


def test_a_good_run_passes_and_a_bad_one_names_its_metrics() -> None:
    good = judge(run_of([result(str(i), context_recall=1.0) for i in range(9)]))
    assert good.passed
    assert "faithfulness" in good.unmeasured
    bad = judge(run_of([result("1", context_recall=0.0, faithfulness=0.1)]))
    assert not bad.passed
    assert bad.failing == ("context_recall", "faithfulness")


def test_nothing_measured_does_not_pass() -> None:
    assert not judge(run_of([result("1")])).passed
    failed = judge(run_of([result("1", error="unreachable")]))
    assert failed.failing == ("error_rate",)


def test_a_significant_loss_against_the_baseline_fails() -> None:
    before = [result(str(i), context_recall=1.0, answer_correctness=1.0) for i in range(20)]
    after = [result(str(i), context_recall=1.0, answer_correctness=float(i > 10)) for i in range(20)]
    differences = compare(before, after, EvaluateConfig())
    assert judge(run_of(after)).passed
    found = judge(run_of(after), differences)
    assert not found.passed
    assert found.regressed == ("answer_correctness",)
