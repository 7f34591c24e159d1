"""A scorecard as one HTML page: no script, no other file, light or dark as the reader's system is."""

from collections.abc import Iterator, Sequence
from html import escape

from firstfault.advise import telling
from firstfault.advise.measures import QUALITY
from firstfault.advise.scorecard import PER, ArmScore, Scorecard

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --dim: #626a73; --line: #d7dbe0; --paper: #ffffff;
  --good: #1a7f4b; --bad: #b3261e; --accent: #2457a6; --soft: #f3f5f8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --dim: #9aa3ad; --line: #3a4048;
  --paper: #16181b; --good: #58c58b; --bad: #f08a80; --accent: #8ab4f8; --soft: #1f2327; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .25rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th:first-child, td:first-child, .left { text-align: left } thead th { border-bottom: 2px solid var(--line) }
.dim { color: var(--dim) } .better { color: var(--good) } .worse { color: var(--bad) }
.verdict { background: var(--soft); border-left: 4px solid var(--accent); padding: .8rem 1rem }
svg text { fill: var(--ink); font-size: 12px } svg .axis { stroke: var(--line) }
svg .bar { stroke: var(--dim); stroke-width: 2 } svg .dot { fill: var(--dim) }
svg .front { fill: var(--accent) }
"""

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 20, 45


def page(card: Scorecard) -> str:
    """The whole scorecard as an HTML document."""
    return "\n".join(_page(card)) + "\n"


def _page(card: Scorecard) -> Iterator[str]:
    headline = escape(telling.headline(card))
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Bake-off: {headline}</title><style>{STYLE}</style></head><body>"
    yield f'<h1>Bake-off</h1><p class="dim">{card.total:,} cases ({escape(card.cases)}), {card.at}</p>'
    told = [card.conclusion.summary, *telling.established(card), telling.until_then(card) or ""]
    yield f'<div class="verdict"><strong>{headline}</strong><br>{escape(" ".join(filter(None, told)))}</div>'
    points = (*telling.duels(card), *telling.caveats(card))
    yield f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in points)}</ul>"
    yield "<h2>Quality against latency</h2>"
    yield _chart(card.arms)
    yield '<p class="dim">Bars are 95 % intervals. Coloured: on the Pareto front of quality, latency and,'
    yield " where every arm has one, cost.</p>"
    yield "<h2>Scorecard</h2>"
    yield _scores(card)
    notes = [*telling.missing(card)]
    notes += [f"no cost: {reason}" for reason in sorted({arm.money_reason for arm in card.arms} - {""})]
    yield f'<p class="dim">{escape("; ".join(notes))}</p>'
    yield "<h2>First faults</h2>"
    rows = [
        [
            escape(arm.name),
            escape(arm.summary),
            "<br>".join(escape(one) for one in telling.faults(arm)),
            escape(telling.abilities(arm)),
        ]
        for arm in card.arms
    ]
    yield _table(["arm", "what it is", "what breaks first", "abilities"], rows, left=True)
    for name, differences in card.differences.items():
        yield f"<h2>{escape(name)} against {escape(card.against)}</h2>"
        rows = [
            [
                escape(telling.LABELS.get(one.name, one.name)),
                telling.number(one.before),
                telling.number(one.after),
                telling.signed(one.delta),
                ""
                if one.ci_low is None
                else f"{telling.signed(one.ci_low)} – {telling.signed(one.ci_high or 0.0)}",
                f"{one.p_value:.3f}",
                str(one.n),
                f'<span class="{one.verdict}">{one.verdict}</span>',
            ]
            for one in differences
        ]
        header = ["measure", card.against, name, "difference", "95 % interval", "p (Holm)", "n", ""]
        yield _table([escape(one) for one in header], rows)
    yield '<p class="dim">p is adjusted over the rows of a table; on top, over the pairs of arms.</p>'
    yield "</body></html>"


def _scores(card: Scorecard) -> str:
    rows = []
    for name, label in telling.ROWS:
        row = telling.cells(name, card.arms)
        if row is not None:
            rows.append([escape(label), *row])
    rows.append([f"tokens for {PER:,} answers", *(telling.tokens(arm) for arm in card.arms)])
    rows.append(
        [f"money for {PER:,} answers", *(escape(telling.money(arm, card.currency)) for arm in card.arms)]
    )
    rows.append(["on the Pareto front", *("yes" if arm.on_front else "no" for arm in card.arms)])
    return _table(["", *(escape(arm.name) for arm in card.arms)], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: bool = False) -> str:
    """Cells are HTML already."""
    mark = ' class="left"' if left else ""
    head = "".join(f"<th{mark}>{one}</th>" for one in header)
    body = "".join(f"<tr>{''.join(f'<td{mark}>{one}</td>' for one in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _chart(arms: Sequence[ArmScore]) -> str:
    """Median total latency (log scale, ms) across, quality upwards, with the interval of the quality."""
    import math

    placed = [
        (arm, metric.value, metric.ci_low, metric.ci_high, latency)
        for arm in arms
        if (metric := arm.metrics[QUALITY]).value is not None
        and (latency := arm.value("latency_total_p50_ms")) is not None
    ]
    if not placed:
        return '<p class="dim">No arm has both.</p>'
    logs = [math.log10(max(latency, 0.1)) for *_, latency in placed]
    low, high = math.floor(min(logs) * 2) / 2, math.ceil(max(logs) * 2) / 2
    high = max(high, low + 0.5)

    def x(latency: float) -> float:
        share = (math.log10(max(latency, 0.1)) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(quality: float) -> float:
        return HEIGHT - BOTTOM - quality * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Quality against latency" width="100%">'
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.2f}</text>')
    for step in range(round((high - low) * 2) + 1):
        value = 10 ** (low + step / 2)
        parts.append(
            f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:,.0f}</text>'
        )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">median total latency, ms (log)</text>')
    for arm, quality, ci_low, ci_high, latency in placed:
        if ci_low is not None and ci_high is not None:
            parts.append(
                f'<line class="bar" x1="{x(latency):.1f}" x2="{x(latency):.1f}" y1="{y(ci_low):.1f}" '
                f'y2="{y(ci_high):.1f}"/>'
            )
        mark = "front" if arm.on_front else "dot"
        parts.append(f'<circle class="{mark}" cx="{x(latency):.1f}" cy="{y(quality):.1f}" r="6"/>')
        parts.append(f'<text x="{x(latency) + 10:.1f}" y="{y(quality) + 4:.1f}">{escape(arm.name)}</text>')
    return "".join((*parts, "</svg>"))
