"""Reports of a run for CI systems: JUnit XML and Markdown."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from firstfault.evaluate.compare import Difference
from firstfault.evaluate.gate import Gate
from firstfault.types import CaseResult, Metric, Run

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKS = {"ok": "✅", "warn": "⚠️", "fail": "❌", "unknown": "–"}


def junit(run: Run, results: Sequence[CaseResult], gate: Gate) -> str:
    """One test a metric that has a limit or a baseline, and one test a case that fails on an error."""
    suites = Xml.Element("testsuites", name=f"firstfault eval {run.id}")
    metrics = Xml.SubElement(suites, "testsuite", name="metrics")
    for name, metric in run.metrics.items():
        if metric.limit is None and name not in gate.regressed:
            continue
        test = Xml.SubElement(metrics, "testcase", classname="firstfault.metrics", name=name)
        if name in gate.failing or name in gate.regressed:
            reason = metric.reason if name in gate.failing else "worse than the baseline"
            Xml.SubElement(test, "failure", message=_clean(f"{_number(metric.value)}: {reason}"))
        elif metric.value is None:
            Xml.SubElement(test, "skipped", message=_clean(metric.reason))
    cases = Xml.SubElement(suites, "testsuite", name="cases")
    for result in results:
        seconds = f"{result.timings_ms.get('total', 0.0) / 1000:.3f}"
        test = Xml.SubElement(
            cases, "testcase", classname="firstfault.cases", name=_clean(result.case_id), time=seconds
        )
        if result.error is not None:
            Xml.SubElement(test, "error", message=_clean(result.error))
    for suite in (metrics, cases):
        suite.set("tests", str(len(suite)))
        for kind in ("failure", "error", "skipped"):
            plural = {"failure": "failures", "error": "errors"}.get(kind, kind)
            suite.set(plural, str(len(suite.findall(f"testcase/{kind}"))))
    Xml.indent(suites)
    return Xml.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def markdown(run: Run, gate: Gate, differences: Sequence[Difference] = ()) -> str:
    """A table of the metrics, then of the differences to the baseline."""
    verdict = "passed" if gate.passed else "**failed**"
    lines = [
        f"### Firstfault: {verdict}",
        "",
        f"{run.total} cases, run `{run.id}`, collection `{run.collection}` at version {run.corpus_version}.",
        "",
        "| | metric | value | 95 % interval | n | limit |",
        "|---|---|---:|---|---:|---:|",
    ]
    for name, metric in run.metrics.items():
        if name.startswith("latency_") and metric.limit is None and not name.startswith("latency_total_"):
            continue
        interval = f"{_number(metric.ci_low)} – {_number(metric.ci_high)}"
        value = _number(metric.value) if metric.value is not None else f"– ({_cell(metric.reason)})"
        lines.append(
            f"| {_MARKS[metric.status]} | {name} | {value} | {interval} | {metric.n} | {_limit(metric)} |"
        )
    if differences:
        lines += [
            "",
            "| against the baseline | before | after | difference | p | |",
            "|---|---:|---:|---|---:|---|",
        ]
    for one in differences:
        interval = f"{_number(one.delta)} ({_number(one.ci_low)} – {_number(one.ci_high)})"
        lines.append(
            f"| {one.name} | {_number(one.before)} | {_number(one.after)} | {interval} "
            f"| {one.p_value:.3f} | {one.verdict} |"
        )
    return "\n".join(lines) + "\n"


def _limit(metric: Metric) -> str:
    return "" if metric.limit is None else f"{metric.limit:g}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _clean(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _FORBIDDEN.sub("\ufffd", text)
