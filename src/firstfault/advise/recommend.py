"""Advice: facts in; retrieval, tuning, both or neither yet out, with reasons that name their facts.

Every rule that holds adds its weight to either side. Retrieval needs little to be wanted, tuning needs a
reason that retrieval cannot serve. What would change the advice is found by changing each answer in turn.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from firstfault.advise.requirements import Fact
from firstfault.advise.rules import Risk, Rule, Rules, holds

Recommendation = Literal["rag", "fine-tune", "both", "neither yet"]

Confidence = Literal["high", "medium", "low"]

LEAST_ANSWERED = 0.5
"""Share of the questions below which advice is a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A rule that held."""

    text: str
    retrieval: int
    tuning: int
    """Weights for either side; negative speaks against it."""
    blocks: str | None
    """The side that it rules out for now."""
    facts: tuple[str, ...]
    """`key = value (answer or measured)` for each fact it rests on; empty for the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One answer that would change the advice."""

    key: str
    ask: str
    now: str | None
    """None = not answered."""
    then: str
    recommendation: Recommendation


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A risk and the causes of the playbook that cover it."""

    text: str
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do, and why."""

    recommendation: Recommendation
    summary: str
    confidence: Confidence
    why_confidence: str
    retrieval: int
    tuning: int
    """Sums of the weights."""
    reasons: tuple[Reason, ...]
    """The heaviest first."""
    changes: tuple[Change, ...]
    """What is answered first, then what is not."""
    risks: tuple[Watch, ...]
    facts: tuple[Fact, ...]
    unanswered: tuple[str, ...]
    unmeasured: Mapping[str, str]
    """Question → why it could not be measured."""
    commands: tuple[str, ...]
    """The first three to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Balance:
    retrieval: int
    tuning: int
    wants_retrieval: bool
    wants_tuning: bool
    blocked: frozenset[str]

    @property
    def recommendation(self) -> Recommendation:
        retrieval = self.wants_retrieval and "retrieval" not in self.blocked
        tuning = self.wants_tuning and "tuning" not in self.blocked
        if retrieval and tuning:
            return "both"
        return "rag" if retrieval else "fine-tune" if tuning and not self.wants_retrieval else "neither yet"


def advise(
    rules: Rules,
    facts: Mapping[str, Fact],
    *,
    unmeasured: Mapping[str, str] | None = None,
    has_home: bool = False,
) -> Advice:
    """Weigh the facts. `has_home` says whether documents are ingested already, for the commands."""
    options = {key: fact.option for key, fact in facts.items()}
    balance = _weigh(rules, options)
    changes = tuple(_changes(rules, options, balance.recommendation))
    unanswered = tuple(key for key in rules.questions if key not in facts)
    confidence, why = _confidence(rules, changes, unanswered)
    held = [rule for rule in rules.rules if holds(rule.when, options)]
    held.sort(key=lambda rule: -max(abs(rule.retrieval), abs(rule.tuning), 3 if rule.blocks else 0))
    return Advice(
        recommendation=balance.recommendation,
        summary=_summary(balance),
        confidence=confidence,
        why_confidence=why,
        retrieval=balance.retrieval,
        tuning=balance.tuning,
        reasons=tuple(_reason(rule, facts) for rule in held),
        changes=changes,
        risks=tuple(
            Watch(text=risk.text, causes=risk.causes)
            for risk in rules.risks
            if _concerns(risk, balance.recommendation) and holds(risk.when, options)
        ),
        facts=tuple(facts.values()),
        unanswered=unanswered,
        unmeasured=dict(unmeasured or {}),
        commands=_commands(balance, options, has_home=has_home),
    )


def _weigh(rules: Rules, options: Mapping[str, str]) -> _Balance:
    held = [rule for rule in rules.rules if holds(rule.when, options)]
    retrieval, tuning = sum(rule.retrieval for rule in held), sum(rule.tuning for rule in held)
    return _Balance(
        retrieval=retrieval,
        tuning=tuning,
        wants_retrieval=retrieval >= rules.needed["retrieval"],
        wants_tuning=tuning >= rules.needed["tuning"],
        blocked=frozenset(rule.blocks for rule in held if rule.blocks),
    )


def _reason(rule: Rule, facts: Mapping[str, Fact]) -> Reason:
    return Reason(
        text=rule.text,
        retrieval=rule.retrieval,
        tuning=rule.tuning,
        blocks=rule.blocks,
        facts=tuple(f"{key} = {_shown(facts[key])} ({facts[key].origin})" for key in rule.when),
    )


def _shown(fact: Fact) -> str:
    if isinstance(fact.value, str):
        return fact.value
    return f"{fact.value:,.0f}" if fact.value >= 10 else f"{fact.value:.3g}"


def _changes(rules: Rules, options: Mapping[str, str], now: Recommendation) -> Iterator[Change]:
    """For each question the nearest other answer that changes the advice; given answers first."""
    for key in (*options, *(key for key in rules.questions if key not in options)):
        question = rules.questions[key]
        values = question.values()
        at = values.index(options[key]) if key in options else 0
        others = [value for value in values if value != options.get(key)]
        others.sort(key=lambda value: (abs(values.index(value) - at), values.index(value)))
        for value in others:
            then = _weigh(rules, {**options, key: value}).recommendation
            if then != now:
                given = options.get(key)
                yield Change(key=key, ask=question.ask, now=given, then=value, recommendation=then)
                break


def _confidence(
    rules: Rules, changes: tuple[Change, ...], unanswered: tuple[str, ...]
) -> tuple[Confidence, str]:
    answered = len(rules.questions) - len(unanswered)
    if answered < LEAST_ANSWERED * len(rules.questions):
        return "low", f"only {answered} of {len(rules.questions)} questions are answered"
    open_ = [change.key for change in changes if change.now is None]
    if open_:
        return "medium", f"an answer to {', '.join(open_)} could change it"
    if unanswered:
        return "high", "no answer to what is still open would change it by itself"
    return "high", "every question is answered"


SUMMARIES: Mapping[Recommendation, str] = {
    "both": "Retrieval for what changes and must be shown, an adapter for form and tone: start with "
    "retrieval, add the adapter, and let a bake-off show that it is worth it.",
    "rag": "Retrieval. Nothing here asks for what only a tuned model can do.",
    "fine-tune": "An adapter for form and behaviour, without retrieval: there is no knowledge to look up.",
    "neither yet": "Neither yet: nothing here shows that a prompt to the base model is not enough.",
}


def _summary(balance: _Balance) -> str:
    needs_tuning = balance.wants_tuning and "tuning" in balance.blocked
    recommendation = balance.recommendation
    if recommendation == "rag" and needs_tuning:
        return "Retrieval now. Form or tone ask for an adapter as well, and what it needs is not there yet."
    if recommendation == "neither yet" and balance.wants_retrieval:
        return "Neither yet: knowledge is what is missing, and the documents cannot supply it as they are."
    if recommendation == "neither yet" and needs_tuning:
        return "Neither yet: behaviour is what is missing, and it cannot be trained yet."
    return SUMMARIES[recommendation]


def _concerns(risk: Risk, recommendation: Recommendation) -> bool:
    sides = {
        "rag": {"retrieval", "any"},
        "fine-tune": {"tuning", "any"},
        "both": {"retrieval", "tuning", "both", "any"},
        "neither yet": {"any"},
    }
    return risk.side in sides[recommendation]


GENERATE = "firstfault cases generate -n 50 -o cases.jsonl"
EVALUATE = "firstfault eval cases.jsonl"
INGEST = "firstfault ingest DOCUMENTS"
CHECK = "firstfault finetune check examples.jsonl"


def _commands(balance: _Balance, options: Mapping[str, str], *, has_home: bool) -> tuple[str, ...]:
    formed = options.get("format") in ("strict", "loose") and options.get("format_failures") != "no"
    prompt = 'firstfault --set search.enabled=false ask "QUESTION"'
    if balance.recommendation == "rag":
        found = (GENERATE, EVALUATE, "firstfault diagnose --run last")
        return found if has_home else (INGEST, GENERATE, EVALUATE)
    if balance.recommendation == "fine-tune":
        train = "firstfault finetune train examples.jsonl"
        return CHECK, train, "firstfault bakeoff cases.jsonl --adapter ADAPTER"
    if balance.recommendation == "both":
        return EVALUATE if has_home else INGEST, CHECK, "firstfault bakeoff cases.jsonl --adapter ADAPTER"
    if balance.wants_retrieval:
        return INGEST, "firstfault status", GENERATE
    if formed:
        traces = "firstfault finetune data from-traces -o examples.jsonl"
        return f"{prompt} --schema schema.json", "firstfault format drift --cases", traces
    return prompt, "firstfault cases from-traces -o cases.jsonl", "firstfault bakeoff cases.jsonl"
