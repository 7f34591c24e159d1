import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.advise import Advice, Measured, advise, facts, shipped
from firstfault.diagnose import Playbook

RULES = shipped()
SCENARIOS = tomllib.loads(Path(__file__).with_name("scenarios.toml").read_text(encoding="utf-8"))["scenario"]


def advice(answers: dict[str, Any], *measured: Measured) -> Advice:
    known = facts(RULES, {key: (value, "test") for key, value in answers.items()}, measured)
    return advise(RULES, known)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[one["name"] for one in SCENARIOS])
def test_scenarios_get_defensible_advice(scenario: dict[str, Any]) -> None:
    made = advice(scenario["answers"])
    assert made.recommendation == scenario["expected"]
    for reason in made.reasons:
        for fact in reason.facts:  # each reason is traceable to an answer that was given
            key, _, rest = fact.partition(" = ")
            assert key in scenario["answers"]
            assert rest.endswith("(answer)")


def test_there_are_three_scenarios_of_each_kind() -> None:
    kinds = [one["expected"] for one in SCENARIOS]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "rag": 3,
        "fine-tune": 3,
        "both": 3,
        "neither yet": 3,
    }


def test_without_any_answer_retrieval_is_the_default_and_little_is_known() -> None:
    made = advice({})
    assert (made.recommendation, made.confidence) == ("rag", "low")
    assert [reason.facts for reason in made.reasons] == [()]


def test_knowledge_and_form_without_examples_is_retrieval_now() -> None:
    claims = next(one["answers"] for one in SCENARIOS if one["name"] == "claims under changing tariffs")
    made = advice({**claims, "examples": 300})
    assert made.recommendation == "rag"
    assert "not there yet" in made.summary
    assert any(one.key == "examples" and one.recommendation == "both" for one in made.changes)


def test_a_measurement_takes_the_place_of_an_answer_and_says_so() -> None:
    seen = Measured(key="knowledge_changes", value="weekly", detail="12 of 40 documents in 30 days")
    made = advice({"knowledge_changes": "never"}, seen)
    (fact,) = made.facts
    assert (fact.option, fact.origin, fact.overrules) == ("weekly", "measured", "never")
    assert any("measured" in one for reason in made.reasons for one in reason.facts)


@pytest.mark.parametrize(("said", "kept"), [("good", "mixed"), ("poor", "poor")])
def test_readable_documents_are_not_called_good(said: str, kept: str) -> None:
    made = advice({"documents": said}, Measured(key="documents", value="mixed", detail="3 of 40"))
    assert [fact.option for fact in made.facts] == [kept]


answers = st.fixed_dictionaries(
    {},
    optional={
        key: st.sampled_from(question.values())
        if question.options
        else st.floats(min_value=0, max_value=min(question.most, 20_000))
        for key, question in RULES.questions.items()
    },
)


@given(answers)
def test_what_is_said_to_change_the_advice_does(given_: dict[str, Any]) -> None:
    made = advice(given_)
    for change in made.changes:
        question = RULES.questions[change.key]
        then: Any = change.then
        if question.bands:
            bands = [band.name for band in question.bands]
            position = bands.index(change.then)
            below = question.bands[position].below
            then = below / 2 if position == 0 and below else question.bands[position - 1].below
        assert advice({**given_, change.key: then}).recommendation == change.recommendation
        assert change.recommendation != made.recommendation


@given(answers)
def test_more_examples_never_speak_against_tuning(given_: dict[str, Any]) -> None:
    few, many = advice({**given_, "examples": 10}), advice({**given_, "examples": 9000})
    assert many.tuning >= few.tuning
    if few.recommendation == "fine-tune":
        assert many.recommendation == "fine-tune"


def test_rules_ask_only_for_answers_that_can_be_given_and_causes_that_are_known() -> None:
    for when in (*(rule.when for rule in RULES.rules), *(risk.when for risk in RULES.risks)):
        for key, values in when.items():
            assert set(values) <= set(RULES.questions[key].values()), (key, values)
    known = {entry.cause for entry in Playbook.load()}
    assert {cause for risk in RULES.risks for cause in risk.causes} <= known
    used = {key for rule in RULES.rules for key in rule.when}
    assert used == set(RULES.questions)  # no question is asked for nothing
