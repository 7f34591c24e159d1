from pathlib import Path

import pytest
from tests.evaluate.conftest import CASES

import firstfault
from firstfault.answer import Application
from firstfault.collection.database import connect
from firstfault.errors import InputError, MissingError, StorageError
from firstfault.evaluate import RunStore, evaluate
from firstfault.evaluate.run import cost
from firstfault.types import Case, CaseResult, Metric, Run


def _numbers(run: Run) -> dict[str, Metric]:
    return {name: metric for name, metric in run.metrics.items() if not name.startswith("latency_")}


def _results(home: Path, run: Run) -> dict[str, CaseResult]:
    store = RunStore(connect(home))
    found = {result.case_id: result for result in store.results(run.id).values()}
    store.close()
    return found


def test_a_run_measures_every_case_and_twice_the_same(app: Application, home: Path) -> None:
    first = evaluate(app, CASES, source="here")
    assert first.finished
    assert first.metrics["context_recall"].value == pytest.approx(2 / 3, abs=1e-6)
    assert first.metrics["context_recall"].n == 3
    assert first.metrics["abstention_accuracy"].n == 4
    assert first.metrics["latency_generate_p50_ms"].n == 5
    results = _results(home, first)
    assert results["lost"].evidence == ("missing_document",)
    assert results["gcd"].scores["answer_correctness"].value == 1.0
    assert results["cup"].abstained
    assert results["plain"].scores["context_recall"].value is None
    trace = app.traces.get(str(results["gcd"].trace_id))
    assert (trace.question, trace.case) == (CASES[0].question, "gcd")
    again = evaluate(app, CASES)
    assert again.id != first.id
    assert _numbers(again) == _numbers(first)
    assert again.fingerprint == first.fingerprint


def test_without_generation_only_contexts_are_measured(app: Application) -> None:
    run = evaluate(app, CASES, generation=False)
    assert run.metrics["context_recall"].value == pytest.approx(2 / 3, abs=1e-6)
    assert run.metrics["faithfulness"].value is None
    assert run.metrics["faithfulness"].reason == "no answer was generated"
    assert "latency_generate_p50_ms" not in run.metrics


def test_an_interrupted_run_goes_on_where_it_stopped(app: Application, home: Path) -> None:
    whole = evaluate(app, CASES[:4])
    seen: list[int] = []

    def interrupt(done: int, _total: int) -> None:
        seen.append(done)
        if done == 2:
            raise StorageError("The disk is full.", hint="Free some space.")

    with pytest.raises(StorageError):
        evaluate(app, CASES[:4], progress=interrupt)
    later: list[int] = []
    continued = evaluate(app, CASES[:4], progress=lambda done, _total: later.append(done))
    assert later == [2, 3, 4]
    assert _numbers(continued) == _numbers(whole)
    assert len(_results(home, continued)) == 4
    assert evaluate(app, CASES[:4]).id != continued.id


def test_a_failing_request_is_a_result_and_the_others_go_on(app: Application, home: Path) -> None:
    bad = Case(id="bad", question="Anything?", where="no_such_field = 1")
    run = evaluate(app, [bad, CASES[0]])
    assert run.metrics["error_rate"].value == 0.5
    assert run.metrics["error_rate"].status == "fail"
    result = _results(home, run)["bad"]
    assert "no_such_field" in str(result.error)
    assert result.scores["context_recall"].reason == "the request failed"


def test_what_is_missing_ends_the_run_before_it_begins(app: Application, home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cases"):
        evaluate(app, [])
    app.close()
    with (
        pytest.raises(MissingError),
        firstfault.open(home, settings={"generator.model": str(tmp_path / "absent.gguf")}) as broken,
    ):
        evaluate(broken, CASES)


def test_the_cost_of_an_endpoint_is_known_before_it_is_asked(app: Application, home: Path) -> None:
    assert cost(app, CASES) is None
    settings = {
        "generator.kind": "openai",
        "generator.base_url": "http://127.0.0.1:9/v1",
        "generator.model": "m",
    }
    with firstfault.open(home.parent / "other", settings=settings) as paid:
        planned = cost(paid, CASES)
        assert planned is not None
        assert (planned.requests, planned.output_tokens) == (5, 5 * 96)
        assert cost(paid, CASES, generation=False) is None
