"""The model card: the records of a training run in, Markdown out. Nothing in it is written by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from firstfault.types import Verdict


def card(
    name: str, run_id: str, record: Mapping[str, Any], verdicts: Sequence[Verdict], *, licence: str
) -> str:
    """The card of a release."""
    base, data = record["base"], record["data"]
    full = record["recipe"].get("method") == "full"
    what = "Every weight of" if full else "A LoRA adapter for"
    parts = [
        f"# {name}",
        f"{what} **{base['name']}**, trained by Firstfault (run `{run_id}`).",
        "## Data",
        f"{data['training']:,} examples, {data['validation']:,} held out, {data['replay']:,} general ones "
        f"for replay. SHA-256 of the conversations: `{data['digest']}`.",
        "## Recipe",
        _table(
            ("setting", "value", "origin", "reason"),
            [(s["name"], s["value"], s["origin"], s["reason"]) for s in record["recipe"]["settings"]],
        ),
        "## Curves",
        _table(
            ("step", "training loss", "validation loss"),
            [
                (p["step"], f"{p['train_loss']:.4f}", f"{p['validation_loss']:.4f}" + _mark(p, record))
                for p in record["points"]
            ],
        ),
        "Nats a token, both in evaluation mode; the marked measurement was kept.",
        "## Measured",
        _measured(record.get("bench")),
        "## Gates",
        _table(("gate", "status", "what was seen"), [(v.name, v.status, v.reason) for v in verdicts]),
        "## Licence",
        licence,
        "The licence of the base model applies as well.",
    ]
    return "\n\n".join(parts) + "\n"


def _mark(point: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    return " ←" if point["step"] == record.get("best") else ""


def _measured(bench: Mapping[str, Any] | None) -> str:
    if not bench:
        return "Not measured."
    rows = [
        (
            one["name"],
            f"{one['before']:.3f}",
            f"{one['after']:.3f}",
            "–" if one["ci_low"] is None else f"{one['ci_low']:+.3f} … {one['ci_high']:+.3f}",
            f"{one['p_value']:.4f}",
            one["n"],
        )
        for one in (*bench["task"], *bench["axes"])
    ]
    return _table(("measure", "base", "tuned", "95 % of the difference", "p", "n"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)
