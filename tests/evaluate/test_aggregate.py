from typing import Any

from tests.made import make_result

from firstfault.config import EvaluateConfig
from firstfault.evaluate.aggregate import aggregate, failing
from firstfault.evaluate.metrics import NAMES
from firstfault.types import CaseResult, Score


def result(case_id: str, *, error: str | None = None, ms: float = 10.0, **values: float | None) -> CaseResult:
    scores = {name: Score(value=values.get(name), reason="" if name in values else "none") for name in NAMES}
    return make_result(
        case_id=case_id,
        question=f"question {case_id}",
        scores=scores,
        timings_ms={} if error else {"embed": 1.0, "total": ms},
        error=error,
    )


def test_every_metric_is_there_and_what_was_not_measured_says_why() -> None:
    metrics = aggregate([result("1", context_recall=1.0)], EvaluateConfig())
    assert set(NAMES) <= set(metrics)
    assert metrics["faithfulness"].value is None
    assert metrics["faithfulness"].status == "unknown"
    assert metrics["faithfulness"].reason == "none"
    assert metrics["latency_embed_p95_ms"].value == 1.0
    assert metrics["latency_total_p99_ms"].n == 1


def test_the_status_compares_value_and_interval_with_the_limit() -> None:
    limits = EvaluateConfig(context_recall=0.5, hallucination_rate=0.5)

    def status(name: str, ones: int, n: int) -> str:
        values: list[dict[str, Any]] = [{name: float(i < ones)} for i in range(n)]
        rows = [result(str(i), **value) for i, value in enumerate(values)]
        return aggregate(rows, limits)[name].status

    assert [status("context_recall", ones, 20) for ones in (20, 12, 8)] == ["ok", "warn", "fail"]
    assert [status("hallucination_rate", ones, 20) for ones in (0, 9, 12)] == ["ok", "warn", "fail"]
    assert status("answer_correctness", 3, 20) == "unknown"


def test_a_limit_at_the_end_of_the_scale_can_be_met() -> None:
    limits = EvaluateConfig(format_validity=1.0, error_rate=0.0)
    good = aggregate([result("1", format_validity=1.0)], limits)
    assert good["format_validity"].status == good["error_rate"].status == "ok"
    bad = aggregate([result("1"), result("2", error="endpoint unreachable")], limits)
    assert failing(bad) == ["error_rate"]
    assert bad["error_rate"].value == 0.5


def test_the_latency_budget_is_a_limit() -> None:
    rows = [result(str(i), ms=float(i)) for i in range(1, 201)]
    assert failing(aggregate(rows, EvaluateConfig(latency_p95_ms=150))) == ["latency_total_p95_ms"]
    assert aggregate(rows, EvaluateConfig(latency_p95_ms=199))["latency_total_p95_ms"].status == "ok"
    none = aggregate([result("1", error="x")], EvaluateConfig(latency_p95_ms=90))
    assert none["latency_total_p95_ms"].status == "unknown"
