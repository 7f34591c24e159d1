"""The fixture comes from the installed entry point: reinstall the package when it is not found."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.evaluate.conftest import CASES
from tests.evaluate.test_aggregate import result
from tests.evaluate.test_gate import run_of

from firstfault.pytest_plugin import Report


def test_metrics_read_as_attributes() -> None:
    report = Report(run_of([result("1", faithfulness=0.9)]))
    assert report.faithfulness >= 0.8
    with pytest.raises(pytest.fail.Exception, match="answer_correctness was not measured: none"):
        _ = report.answer_correctness
    with pytest.raises(AttributeError, match="no metric 'faithfullness'"):
        _ = report.faithfullness


def test_the_fixture_runs_the_application(firstfault_eval: Callable[..., Report], home: Path) -> None:
    report = firstfault_eval(CASES, home=home, generation=False, limit=2)
    assert report.context_recall == 1.0
    assert report.run.metrics["context_recall"].n == 2
