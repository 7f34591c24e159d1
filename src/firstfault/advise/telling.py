"""A scorecard in words: what the terminal, Markdown and the page all say in the same way."""

from collections.abc import Sequence

from firstfault.advise.measures import FIRST_TRY, QUALITY, STYLE
from firstfault.advise.scorecard import PER, ArmScore, Fault, Scorecard
from firstfault.evaluate.compare import Difference

ROWS: tuple[tuple[str, str], ...] = (
    (QUALITY, "quality"),
    ("answer_correctness", "answer correctness"),
    ("faithfulness", "faithfulness"),
    ("hallucination_rate", "hallucination rate"),
    ("citation_recall", "citation recall"),
    ("citation_precision", "citation precision"),
    ("abstention_accuracy", "abstention accuracy"),
    ("format_validity", "format validity"),
    (FIRST_TRY, "format valid at first try"),
    (STYLE, "style similarity"),
    ("error_rate", "error rate"),
    ("latency_time_to_first_token_p50_ms", "first token, p50 ms"),
    ("latency_time_to_first_token_p95_ms", "first token, p95 ms"),
    ("latency_total_p50_ms", "total, p50 ms"),
    ("latency_total_p95_ms", "total, p95 ms"),
)
"""Metric → how it is called, in the order in which it is shown."""

MOST_FAULTS = 3
HALF = 0.5
LABELS = dict(ROWS) | {"latency_first_token": "first token, ms", "latency_total": "total, ms"}


def headline(card: Scorecard) -> str:
    """The recommendation in one line."""
    found = card.conclusion
    if found.recommended is not None:
        return f"Recommended: {found.recommended} (confidence {found.confidence})"
    return "Not enough evidence for a recommendation"


def established(card: Scorecard) -> list[str]:
    """What holds whichever of the arms in question is the best."""
    found = card.conclusion
    if found.recommended is not None or not found.duels:
        return []
    known = [
        text
        for what, text in (
            (found.retrieval, "retrieval belongs to it"),
            (found.tuning, "an adapter belongs to it"),
        )
        if what == "yes"
    ]
    if known:
        return [f"What is established: {' and '.join(known)}."]
    return []


def until_then(card: Scorecard) -> str | None:
    """What to do while the evidence is not enough."""
    found = card.conclusion
    if found.recommended is not None or not found.duels:
        return None
    if card.against in found.open:
        return f"Until then start with {card.against}, the default: nothing shows that another arm is better."
    return f"Until then keep to the simplest of them, {found.open[0]}: nothing shows that more is worth it."


def caveats(card: Scorecard) -> list[str]:
    """In what the recommended arm is surely worse than the one that all are compared with."""
    name = card.conclusion.recommended
    if name is None:
        return []
    chosen = next(one for one in card.arms if one.name == name)
    value = chosen.value(QUALITY)
    low = (
        [f"{name} gets less than half of what is asked for: quality {number(value)}"]
        if value is not None and value < HALF
        else []
    )
    worse = [one for one in card.differences.get(name, ()) if one.verdict == "worse"]
    told = low + [f"{name} is worse than {card.against} in {difference(one)}" for one in worse]
    if not chosen.retrieves:
        told.append(f"{name} cites nothing: no answer can be checked against a source")
    return told


def difference(one: Difference) -> str:
    """A paired difference with its interval."""
    interval = "" if one.ci_low is None else f" [{signed(one.ci_low)}, {signed(one.ci_high or 0.0)}]"
    label = LABELS.get(one.name, one.name)
    return f"{label}: {signed(one.delta)}{interval}, p {one.p_value:.3f}, n {one.n}"


def cells(name: str, arms: Sequence[ArmScore]) -> list[str] | None:
    """A row of the table: the value of a metric in every arm; None when no arm has one."""
    if all(arm.value(name) is None for arm in arms):
        return None
    return [cell(arm, name) for arm in arms]


def cell(arm: ArmScore, name: str) -> str:
    """The value of a metric with its interval."""
    metric = arm.metrics.get(name)
    if metric is None or metric.value is None:
        return "–"
    if metric.ci_low is None or metric.ci_high is None:
        return number(metric.value)
    return f"{number(metric.value)} ({number(metric.ci_low)} – {number(metric.ci_high)})"


def missing(card: Scorecard) -> list[str]:
    """Measures that no arm has, with the reason."""
    reasons: dict[str, list[str]] = {}
    for name, label in ROWS:
        found = [arm.metrics[name].reason for arm in card.arms if name in arm.metrics]
        if found and all(arm.value(name) is None for arm in card.arms):
            reasons.setdefault(found[0], []).append(label)
    return [f"not measured: {', '.join(labels)} ({reason})" for reason, labels in reasons.items()]


def tokens(arm: ArmScore) -> str:
    """Tokens for 1,000 answers."""
    if arm.prompt_tokens is None or arm.completion_tokens is None:
        return "not counted"
    return f"{PER * arm.prompt_tokens:,.0f} in, {PER * arm.completion_tokens:,.0f} out"


def money(arm: ArmScore, currency: str) -> str:
    """Money for 1,000 answers."""
    return "–" if arm.money is None else f"{arm.money:,.4g} {currency}"


def faults(arm: ArmScore) -> list[str]:
    """The first faults of an arm, the largest ones."""
    shown = sorted(arm.faults, key=lambda one: (one.tolerated, -one.share))[:MOST_FAULTS]
    return [fault(one) for one in shown] or ["none found"]


def abilities(arm: ArmScore) -> str:
    """What became of the abilities of the base model."""
    if not arm.abilities:
        return arm.abilities_reason
    return "; ".join(f"{one.name.partition(':')[2]} {one.reason} ({one.status})" for one in arm.abilities)


def fault(one: Fault) -> str:
    """One fault with its share."""
    return (
        f"{one.stage} / {one.cause} {one.share:.0%} [{one.ci_low:.0%}, {one.ci_high:.0%}]"
        f"{', scatter' if one.tolerated else ''}, {one.verified} of {one.cases} verified"
    )


def duels(card: Scorecard) -> list[str]:
    """The best arm against each other one."""
    found = card.conclusion
    told = []
    for duel in found.duels:
        interval = "" if duel.ci_low is None else f" [{signed(duel.ci_low)}, {signed(duel.ci_high or 0.0)}]"
        verdict = "surely better" if duel.worse else "not told apart"
        told.append(
            f"{found.best} against {duel.arm}: quality {signed(duel.delta)}{interval}, p {duel.p_value:.3f}, "
            f"n {duel.n}: {verdict}"
        )
    return told


def number(value: float) -> str:
    """A share with three decimals, a larger number with none."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


def signed(value: float) -> str:
    """A difference."""
    return f"{value:+.3f}" if abs(value) < 10 else f"{value:+,.0f}"
