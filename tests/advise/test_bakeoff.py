"""Bake-offs over a real collection, with an endpoint that is two models."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.advise.conftest import TUNED, Models, oracle, told
from tests.diagnose.conftest import CASES, UNANSWERABLE

from firstfault.advise import telling
from firstfault.advise.arms import arms
from firstfault.advise.bakeoff import abilities_of, bakeoff, plan
from firstfault.advise.page import page
from firstfault.advise.scorecard import Scorecard
from firstfault.advise.scorecard_markdown import markdown
from firstfault.config import Settings, load
from firstfault.finetune import Candidate, publish
from firstfault.types import Case, Verdict

FORM = {
    "type": "object",
    "properties": {"rule": {"type": "string"}},
    "required": ["rule"],
    "additionalProperties": False,
}
FORMS = tuple(replace(case, schema=FORM) for case in CASES)


def baked(
    home: Path,
    models: Models,
    cases: tuple[Case, ...],
    *,
    budget: int = 0,
    again: bool = False,
    **changes: str,
) -> Scorecard:
    settings = models.settings() | {name.replace("__", "."): value for name, value in changes.items()}
    config = load(home, environment={}, overrides=settings)
    chosen = arms(config.settings, adapter=TUNED)
    return bakeoff(config, cases, chosen, source="laws.jsonl", budget=budget, again=again)


def form(model: str, question: str, passages: str) -> str:
    """The tuned model writes JSON, the base model prose; either knows only what it reads."""
    said = oracle(model, question, passages).split(" [")[0]
    return json.dumps({"rule": said}) if model == TUNED else f"Sure! {said}"


def test_changing_knowledge_recommends_retrieval(home: Path, models: Models) -> None:
    models.speak = lambda model, question, passages: (
        told(question, passages) or "That was changed some time ago, I believe."
    )
    card = baked(home, models, CASES)
    found = card.conclusion
    assert found.retrieval == "yes"
    quality = {arm.name: arm.value("quality") for arm in card.arms}
    assert quality["rag"] == quality["hybrid"] == 1.0
    for duel in found.duels:
        if duel.arm in ("base", "tuned"):
            assert duel.worse
            assert duel.ci_low is not None
            assert duel.ci_low > 0
    assert found.recommended is None  # rag and hybrid answer alike, and twelve cases cannot prove that
    assert found.open == ("rag", "hybrid")
    assert found.cases_needed is not None
    assert found.cases_needed > 12
    assert "retrieval belongs to it" in telling.established(card)[0]


def test_form_and_knowledge_recommend_the_hybrid(home: Path, models: Models) -> None:
    models.speak = form
    card = baked(home, models, FORMS, format__retries="0")
    assert card.conclusion.recommended == "hybrid"
    assert card.conclusion.decision == "surely best"
    hybrid = next(arm for arm in card.arms if arm.name == "hybrid")
    assert hybrid.on_front
    assert hybrid.value("format_validity") == 1.0
    assert {fault.cause for arm in card.arms if arm.name == "rag" for fault in arm.faults} == {"invalid_json"}
    assert {fault.cause for arm in card.arms if arm.name == "tuned" for fault in arm.faults} == {
        "retrieval_off"
    }


def test_few_cases_never_make_a_recommendation(home: Path, models: Models) -> None:
    models.speak = form
    card = baked(home, models, FORMS[:4], format__retries="0")
    assert card.conclusion.recommended is None
    assert "not enough" in card.conclusion.summary
    assert telling.until_then(card) is not None


def test_it_goes_on_where_it_stopped_and_again_runs_anew(home: Path, models: Models) -> None:
    first = baked(home, models, CASES[:3])
    asked = len(models.asked)
    assert asked == 12
    second = baked(home, models, CASES[:3])
    assert len(models.asked) == asked
    assert [arm.run_id for arm in second.arms] == [arm.run_id for arm in first.arms]
    assert all(arm.reused for arm in second.arms)
    third = baked(home, models, CASES[:3], again=True)
    assert len(models.asked) == 2 * asked
    assert not any(arm.reused for arm in third.arms)


def test_the_adapter_is_asked_for_by_its_arms_only(home: Path, models: Models) -> None:
    baked(home, models, CASES[:2])
    assert [model for model, _ in models.asked] == ["base-model"] * 4 + [TUNED] * 4


def test_what_cannot_be_answered_counts_as_quality(home: Path, models: Models) -> None:
    models.speak = lambda model, question, passages: (
        "The mayor, in 1850." if model == TUNED else "The sources do not say."
    )
    card = baked(home, models, UNANSWERABLE)
    quality = {arm.name: arm.value("quality") for arm in card.arms}
    assert quality == {"base": 1.0, "rag": 1.0, "tuned": 0.0, "hybrid": quality["hybrid"]}


def test_reports_say_the_same(home: Path, models: Models) -> None:
    models.speak = form
    card = baked(home, models, FORMS, format__retries="0", bakeoff__prompt_price="1.5")
    assert all(arm.money for arm in card.arms)
    text, html = markdown(card), page(card)
    for arm in card.arms:
        assert f"**{arm.name}**" in text
        assert f"<th>{arm.name}</th>" in html
    assert telling.headline(card) in text
    assert telling.headline(card) in html
    assert "<script" not in html
    assert "http" not in html
    assert html.count("<circle") == 4


def test_what_is_hallucinated_has_one_yardstick(home: Path, models: Models) -> None:
    facts = {case.question: case.evidence[0].quote or "" for case in CASES}
    models.speak = lambda model, question, passages: (
        facts[question] if model == TUNED else "The moon is made of green cheese and Danish butter."
    )
    card = baked(home, models, CASES[:4])
    rates = {arm.name: arm.value("hallucination_rate") for arm in card.arms}
    assert rates["tuned"] == 0.0
    assert rates["base"] == 1.0


def test_the_cost_is_told_before(home: Path, models: Models) -> None:
    config = load(home, environment={}, overrides={**models.settings(), "bakeoff.completion_price": "10"})
    planned = plan(arms(config.settings, adapter=TUNED), CASES, budget=5)
    assert [one.arm for one in planned] == ["base", "rag", "tuned", "hybrid"]
    assert all(one.answers == 12 and one.probes == 5 and one.money for one in planned)
    assert planned[1].prompt_tokens > planned[0].prompt_tokens


@pytest.mark.parametrize("name", ["quality", "latency_total_p50_ms"])
def test_every_arm_has_what_the_front_needs(home: Path, models: Models, name: str) -> None:
    card = baked(home, models, CASES[:2])
    assert all(arm.value(name) is not None for arm in card.arms)
    assert any(arm.on_front for arm in card.arms)


def test_abilities_come_from_the_gates_of_a_release(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "a.gguf"
    file.write_text("weights")
    verdicts = (
        Verdict(name="ability:arithmetic", status="ok", reason="0.400 → 0.390 right"),
        Verdict(name="applied", status="ok"),
    )
    publish(home, "town", Candidate(gguf=file, base="m", base_digest="d", verdicts=verdicts))
    of_release, of_file = (
        arms(Settings(), adapter=name, wanted=["hybrid"])[0] for name in ("town", str(file))
    )
    assert [one.name for one in abilities_of(home, of_release)] == ["ability:arithmetic"]
    assert abilities_of(home, of_file) == ()
