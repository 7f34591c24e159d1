"""What monitoring looks like in a terminal."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from firstfault.cli.render import console
from firstfault.monitor import Alert, Entry, Health, Incident, Summary

_BARS = "▁▂▃▄▅▆▇█"
_MARK = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[bold red]FAIL[/]", "unknown": "[dim]–[/]"}


def sparkline(values: Sequence[float | None]) -> str:
    """A trend in one line; a dot = no request."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    return "".join("·" if v is None else _BARS[round((v - low) / span * (len(_BARS) - 1))] for v in values)


def health(found: Health) -> None:
    """One row a stage."""
    out = console()
    table = Table(
        "stage", "state", "trend", "p50 ms", "p95 ms", "what is seen", box=None, header_style="bold"
    )
    unjudged = Counter(row.verdict.reason for row in found.rows if row.verdict.status == "unknown")
    repeated = {reason: times for reason, times in unjudged.items() if times > 1}
    for row in found.rows:
        leading = next((one for one in row.measures if one.value is not None), None)
        slowest = row.latency[-1] if row.latency else None
        trend = sparkline(leading.trend) if leading else sparkline(slowest.trend) if slowest else ""
        table.add_row(
            "whole request" if row.stage == "any" else row.stage,
            _MARK[row.verdict.status],
            trend,
            f"{slowest.p50:,.0f}" if slowest else "",
            f"{slowest.p95:,.0f}" if slowest else "",
            "" if row.verdict.reason in repeated else escape(row.verdict.reason),
        )
    out.print(table)
    for reason, times in repeated.items():
        out.print(f"[yellow]not judged[/] {times} of {len(found.rows)} rows: {escape(reason)}")
    out.print(
        f"[dim]{found.requests:,} requests since {found.since[:19]} UTC, held against "
        f"{found.baseline_requests:,} before[/]"
    )
    for row in found.rows:
        if row.verdict.status == "fail" and row.verdict.remedy:
            out.print(f"{row.stage}: [bold]{escape(row.verdict.remedy)}[/]")


def watch_line(alerts: Sequence[Alert], learning: Mapping[str, float] | None, *, once: bool) -> None:
    """What fires or is pending; on a terminal that watches, one line that is written over."""
    firing = [one for one in alerts if one.state == "firing"]
    pending = [one for one in alerts if one.state == "pending"]
    parts = [f"{len(firing)} firing", f"{len(pending)} pending"]
    for name, share in (learning or {}).items():
        if share < 1.0:
            parts.append(f"{name}: {share:.0%} of the baseline learnt")
    if learning is None:
        parts.append("the server watches")
    elif not learning:
        parts.append("no request yet")
    text = ", ".join(parts)
    if once or not sys.stderr.isatty():
        if once:
            print(text, file=sys.stderr)
        return
    print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def incident_line(one: Incident) -> None:
    """An incident in two lines."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    out = console()
    style = "bold red" if one.state == "open" else "green"
    out.print(f"[{style}]{one.state}[/] {escape(one.summary or one.title)}")
    out.print(f"  firstfault incident {one.id}")


def incidents(found: Sequence[Incident]) -> None:
    """The list."""
    out = console()
    if not found:
        out.print("no incident so far; `firstfault watch` judges the alert rules, a server does so by itself")
        return
    table = Table(box=None, header_style="bold")
    table.add_column("incident", no_wrap=True)  # an id is there to be copied
    for column in ("state", "opened (UTC)", "first fault", "what"):
        table.add_column(column, overflow="fold")
    for one in found:
        fault = one.stage + (f" / {one.cause}" if one.cause else "")
        table.add_row(one.id, one.state, one.at[:19], fault, escape(one.title))
    out.print(table)


def incident(one: Incident, timeline: Sequence[Entry], alerts: Sequence[Alert]) -> None:
    """One incident: the first fault on top, then how it is known, then what happened."""
    out = console()
    style = "bold red" if one.state == "open" else "green"
    out.print(f"[{style}]{one.state}[/] [bold]{escape(one.title)}[/] [dim]{one.id}[/]")
    fault = one.stage + (f" / {one.cause}" if one.cause else "")
    out.print(
        f"first fault  [bold]{escape(fault)}[/] {'(diagnosed)' if one.proven else '(by the rules that fire)'}"
    )
    out.print(f"evidence     {escape(one.evidence)}")
    out.print(f"             [dim]{escape(one.diagnosis_note)}[/]")
    for change in one.changes:
        out.print(f"changed      {escape(change)}")
    out.print(f"next         [bold]{escape(one.next_command)}[/]")
    if one.traces:
        out.print(f"look at      firstfault trace {one.traces[0]}")
    out.print()
    table = Table("rule", "stage", "state", "what was seen", box=None, header_style="bold")
    for alert in alerts:
        table.add_row(escape(alert.title), alert.stage, alert.state, escape(alert.reason))
    out.print(table)
    out.print()
    for entry in timeline:
        out.print(f"[dim]{entry.at[:19]}[/] {entry.kind:<10} {escape(entry.text)}")


def reviews(found: Summary) -> None:
    """Where the spot checks stand."""
    out = console()
    rate = found.rate
    if rate.value is None:
        out.print(f"hallucination rate  unknown: {escape(rate.reason)}")
    else:
        interval = (
            f" ({rate.low:.1%} to {rate.high:.1%})" if rate.low is not None and rate.high is not None else ""
        )
        by_verifier = (
            f", by the verifier {found.verifier_rate:.1%}" if found.verifier_rate is not None else ""
        )
        out.print(f"hallucination rate  [bold]{rate.value:.1%}[/]{interval}{by_verifier}")
        if rate.reason:
            out.print(f"                    [dim]{escape(rate.reason)}[/]")
    out.print(
        f"reviewed            {found.reviewed}, {found.waiting} wait; about {found.needed:,} reviews make "
        f"the interval {found.width:.0%} wide"
    )
    agreed = found.agreement
    if agreed.kappa is not None:
        assert agreed.reviewers is not None
        out.print(
            f"agreement           kappa {agreed.kappa:.2f} over {agreed.n} ({' and '.join(agreed.reviewers)})"
        )
    else:
        out.print(f"agreement           [dim]{escape(agreed.reason)}[/]")
