"""The pytest fixture `firstfault_eval`: cases in, a report whose metrics read as attributes out.

def test_answers_stay_faithful(firstfault_eval):
    assert firstfault_eval("cases.jsonl", home=".firstfault").faithfulness >= 0.8

Everything heavy is imported when the fixture is called: pytest loads this module at every start.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from firstfault.types import Case, Run


@dataclass(frozen=True, slots=True)
class Report:
    """A run whose metrics can be asserted on: `report.faithfulness >= 0.8`."""

    run: "Run"
    """Intervals, numbers of cases and statuses: `report.run.metrics["faithfulness"].ci_low`."""

    def __getattr__(self, name: str) -> float:
        """The value of a metric. One that was not measured fails the test with the reason."""
        metric = self.run.metrics.get(name)
        if metric is None:
            raise AttributeError(f"There is no metric '{name}'. Metrics: {', '.join(self.run.metrics)}.")
        if metric.value is None:
            pytest.fail(f"{name} was not measured: {metric.reason}.", pytrace=False)
        return metric.value


@pytest.fixture(scope="session")
def firstfault_eval() -> Callable[..., Report]:
    """Run an application over cases; the same arguments as `firstfault eval`, the result a `Report`."""

    def run(
        cases: "str | Path | Sequence[Case]",
        *,
        home: str | Path = ".firstfault",
        config: str | Path | None = None,
        settings: Mapping[str, str] | None = None,
        collection: str = "default",
        generation: bool = True,
        limit: int | None = None,
    ) -> Report:
        import firstfault
        from firstfault.evaluate import evaluate, read_cases

        found = read_cases(Path(cases)) if isinstance(cases, str | Path) else cases
        source = str(cases) if isinstance(cases, str | Path) else "pytest"
        with firstfault.open(home, config=config, settings=settings, collection=collection) as app:
            return Report(evaluate(app, found[:limit], source=source, generation=generation))

    return run
