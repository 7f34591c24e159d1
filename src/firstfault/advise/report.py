"""Advice in Markdown, and the questionnaire as TOML to be filled in."""

from collections.abc import Iterator

from firstfault.advise.recommend import Advice, Reason
from firstfault.advise.rules import Rules

NAMES = {
    "rag": "Retrieval (RAG)",
    "fine-tune": "Fine-tuning",
    "both": "Both: an adapter over retrieved context",
    "neither yet": "Neither yet",
}


def advice(made: Advice) -> str:
    """The advice as a Markdown document."""
    return "\n".join(_lines(made)) + "\n"


def _lines(made: Advice) -> Iterator[str]:
    yield from (f"# {NAMES[made.recommendation]}", "", made.summary, "")
    yield f"Confidence: **{made.confidence}** ({made.why_confidence}). "
    yield f"Weight of the reasons: retrieval {made.retrieval:+d}, fine-tuning {made.tuning:+d}."
    yield from ("", "## Why", "", "| retrieval | tuning | reason | because |", "|---:|---:|---|---|")
    for reason in made.reasons:
        because = "; ".join(reason.facts) or "the default"
        yield f"| {reason.retrieval:+d} | {reason.tuning:+d} | {_told(reason)} | {_cell(because)} |"
    yield from ("", "## What is known", "", "| question | answer | how it is known |", "|---|---|---|")
    for fact in made.facts:
        overruled = f" (said: {fact.overrules})" if fact.overrules else ""
        yield f"| {fact.key} | {fact.value}{overruled} | {fact.origin}: {_cell(fact.detail)} |"
    for key in made.unanswered:
        why = f"not measured: {made.unmeasured[key]}" if key in made.unmeasured else ""
        yield f"| {key} | – | {_cell(why)} |"
    if made.changes:
        yield from ("", "## What would change this", "")
        for change in made.changes:
            now = f"instead of {change.now}" if change.now else "not answered yet"
            yield f"- {change.key} = **{change.then}** ({now}): {NAMES[change.recommendation]}"
    if made.risks:
        yield from ("", "## What to watch", "")
        for risk in made.risks:
            yield f"- {risk.text} `firstfault playbook show {risk.causes[0]}`: {', '.join(risk.causes)}"
    yield from ("", "## What to run first", "", "```")
    yield from made.commands
    yield "```"


def questionnaire(rules: Rules) -> str:
    """Every question with its possible answers, as TOML with each line commented out."""
    lines = ["# Take away the # before what you know; what is left open is measured or stays open."]
    for question in rules.questions.values():
        lines += ["", f"# {question.ask}"]
        lines += [f"#   {name}: {meaning}" for name, meaning in question.options.items()]
        first = f'"{next(iter(question.options))}"' if question.options else "0"
        lines.append(f"# {question.key} = {first}")
    return "\n".join(lines) + "\n"


def _told(reason: Reason) -> str:
    rules_out = {"retrieval": "**Rules out retrieval for now.** ", "tuning": "**Rules out tuning for now.** "}
    return _cell((rules_out[reason.blocks] if reason.blocks else "") + reason.text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
