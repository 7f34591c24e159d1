from xml.etree import ElementTree

from tests.evaluate.test_aggregate import result
from tests.evaluate.test_gate import run_of

from firstfault.config import EvaluateConfig
from firstfault.evaluate.compare import compare
from firstfault.evaluate.gate import judge
from firstfault.evaluate.report import junit, markdown


def test_junit_counts_what_it_holds_and_survives_any_text() -> None:
    results = [result("a\x00<b>", context_recall=0.0), result("c", error="broken \x07 & <tag>")]
    run = run_of(results)
    suites = ElementTree.fromstring(junit(run, results, judge(run)))
    metrics, cases = suites
    failed = [test.get("name") for test in metrics if test.find("failure") is not None]
    assert failed == ["context_recall", "error_rate"]
    assert metrics.get("failures") == "2"
    assert metrics.get("skipped") == str(len(metrics.findall("testcase/skipped")))
    assert cases.get("errors") == "1"
    assert [test.get("name") for test in cases] == ["a\ufffd<b>", "c"]


def test_markdown_has_a_row_a_metric_and_the_differences() -> None:
    before = [result(str(i), context_recall=1.0) for i in range(10)]
    after = [result(str(i), context_recall=0.0) for i in range(10)]
    run, differences = run_of(after), compare(before, after, EvaluateConfig())
    text = markdown(run, judge(run, differences), differences)
    assert "**failed**" in text
    assert "| ❌ | context_recall | 0.000 |" in text
    assert "| context_recall | 1.000 | 0.000 | -1.000" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {7}
