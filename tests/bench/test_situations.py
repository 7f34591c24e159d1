import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.situations import faults
from bench.situations.rivals.__main__ import MEANS, verdict
from bench.situations.world import Question, World

from firstfault.stages import CAUSES, Stage


def prompt(question: Question, pages: list[str]) -> str:
    sources = "\n\n".join(
        f'<passage number="{number}" title="t{number}">\n{text}\n</passage>'
        for number, text in enumerate(pages, 1)
    )
    return f"{sources}\n\nQuestion: {question.text}"


def sound(situation: faults.Situation) -> World:
    return situation.healthy[0] if situation.healthy else situation.world


@pytest.mark.parametrize("name", faults.ALL)
def test_a_situation_is_the_same_each_time_and_unlike_its_neighbour(name: str) -> None:
    first, again, other = faults.build(name, 3), faults.build(name, 3), faults.build(name, 4)
    assert first.world.files() == again.world.files()
    assert first.settings == again.settings
    assert first.world.files() != other.world.files()


@pytest.mark.parametrize("name", faults.ALL)
@pytest.mark.parametrize("seed", range(5))
def test_the_sound_documents_hold_every_quote(name: str, seed: int) -> None:
    situation = faults.build(name, seed)
    world = sound(situation)
    assert 8 <= len(world.pages) <= 40
    assert 5 <= len(world.questions) <= 12
    assert len({question.text for question in world.questions}) == len(world.questions)
    assert len({page.id for page in world.pages}) == len(world.pages)
    for question in world.questions:
        for fact in question.facts:
            assert fact.quote in world.page(fact.document).text
            assert fact.wrong != fact.quote
            assert fact.value in fact.quote


def test_causes_are_those_of_the_design() -> None:
    for name in [*faults.FAULTS, *faults.MORE_FAULTS]:
        situation = faults.build(name, 0)
        assert situation.cause in CAUSES[Stage(situation.stage or "")]
    assert len(faults.FAULTS) == 12
    assert len(faults.CONTROLS) == 5


def test_a_clerk_answers_from_the_passage_that_says_it_and_from_no_other() -> None:
    situation = faults.build("healthy", 1)
    question = next(question for question in situation.world.questions if question.facts)
    fact = question.facts[0]
    gold = situation.world.page(fact.document).text
    others = [page.text for page in situation.world.pages if page.id != fact.document]
    answer = situation.clerk.answer(prompt(question, [others[0], gold]))
    assert fact.value in answer
    assert "[2]" in answer
    assert situation.clerk.answer(prompt(question, others)) == situation.clerk.abstention


@pytest.mark.parametrize("name", ["contradicts_context", "misattributed_citation", "fabricated_citation"])
def test_a_faulty_clerk_shows_its_fault(name: str) -> None:
    situation = faults.build(name, 2)
    situation.clerk.share = 1.0
    question = next(question for question in situation.world.questions if question.facts)
    fact = question.facts[0]
    gold = situation.world.page(fact.document).text
    other = next(page.text for page in situation.world.pages if page.id != fact.document)
    answer = situation.clerk.answer(prompt(question, [gold, other]))
    assert (fact.wrong.rstrip(".") in answer) == (name == "contradicts_context")
    assert ("[1]" in answer) == (name == "contradicts_context")


def test_a_label_needs_two_cases_and_a_fifth_of_them() -> None:
    assert verdict({"a": "x", "b": None, "c": None}) is None
    assert verdict({"a": "x", "b": "x", "c": None}) == "x"
    assert verdict({str(n): "x" if n < 2 else None for n in range(11)}) is None


def test_rivals_labels_mean_stages() -> None:
    stages = {stage.value for stage in Stage}
    assert all(set(means) <= stages for labels in MEANS.values() for means in labels.values())
