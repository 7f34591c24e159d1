"""A scorecard as Markdown."""

from collections.abc import Iterator

from firstfault.advise import telling
from firstfault.advise.scorecard import PER, Scorecard


def markdown(card: Scorecard) -> str:
    """The whole scorecard."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: Scorecard) -> Iterator[str]:
    names = [arm.name for arm in card.arms]
    yield from (f"# Bake-off: {telling.headline(card)}", "", card.conclusion.summary)
    yield from telling.established(card)
    then = telling.until_then(card)
    if then:
        yield then
    yield from ("", *(f"- {_cell(one)}" for one in (*telling.duels(card), *telling.caveats(card))), "")
    yield f"{card.total:,} cases ({card.cases}), {card.at}. Differences below {card.margin:g} do not matter."
    yield from ("", f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}")
    for name, label in telling.ROWS:
        row = telling.cells(name, card.arms)
        if row is not None:
            yield f"| {label} | {' | '.join(row)} |"
    yield f"| tokens for {PER:,} answers | {' | '.join(telling.tokens(arm) for arm in card.arms)} |"
    costs = [telling.money(arm, card.currency) for arm in card.arms]
    yield f"| money for {PER:,} answers | {' | '.join(costs)} |"
    yield f"| on the Pareto front | {' | '.join('yes' if arm.on_front else 'no' for arm in card.arms)} |"
    yield from ("", *(f"- {_cell(one)}" for one in telling.missing(card)))
    for reason in sorted({arm.money_reason for arm in card.arms if arm.money_reason}):
        yield f"- no cost: {reason}"
    yield from ("", "## Arms and their first faults", "")
    for arm in card.arms:
        yield f"- **{arm.name}**: {_cell(arm.summary)}; run `{arm.run_id}`"
        yield from (f"  - {fault}" for fault in telling.faults(arm))
        yield f"  - abilities: {telling.abilities(arm)}"
    for name, differences in card.differences.items():
        yield from ("", f"## {name} against {card.against}", "")
        yield from (
            "| measure | " + f"{card.against} | {name} | difference | p | n | |",
            "|---|---:|---:|---|---:|---:|---|",
        )
        for one in differences:
            interval = (
                ""
                if one.ci_low is None
                else f" ({telling.signed(one.ci_low)} – {telling.signed(one.ci_high or 0)})"
            )
            yield (
                f"| {telling.LABELS.get(one.name, one.name)} | {telling.number(one.before)} | "
                f"{telling.number(one.after)} | {telling.signed(one.delta)}{interval} | {one.p_value:.3f} | "
                f"{one.n} | {one.verdict} |"
            )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
