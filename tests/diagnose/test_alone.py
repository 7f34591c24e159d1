"""Requests that looked for nothing."""

from dataclasses import replace
from pathlib import Path

from tests.diagnose.conftest import CASES, UNANSWERABLE, Endpoint, Prompt, diagnosed, named, opened, oracle

from firstfault.types import Case


def test_what_retrieval_would_have_answered_is_blamed_on_its_being_off(
    home: Path, endpoint: Endpoint
) -> None:
    def speak(prompt: Prompt) -> str:
        return oracle(prompt) if prompt.passages else "Nobody in town has ever asked about that."

    endpoint.speak = speak
    with opened(home, search__enabled="false", **endpoint.settings()) as app:
        found = diagnosed(app, CASES[:6], generation=True)
    assert named(found) == ("filter", "retrieval_off")
    assert found.primary is not None
    assert found.primary.verified == 6
    assert found.primary.remedy.patch == {"search.enabled": True}
    assert "with retrieval it is right" in found.primary.evidence


def test_what_the_model_knows_is_healthy(home: Path, endpoint: Endpoint) -> None:
    known = {case.question: case.answer or "" for case in CASES}
    endpoint.speak = lambda prompt: f"That is {known[prompt.question]}."
    with opened(home, search__enabled="false", **endpoint.settings()) as app:
        found = diagnosed(app, CASES[:6], generation=True)
    assert found.healthy
    assert found.model_calls == 0


def test_answers_to_what_nobody_can_know(home: Path, endpoint: Endpoint) -> None:
    endpoint.speak = lambda _: "It was composed by the mayor in 1850."
    with opened(home, search__enabled="false", **endpoint.settings()) as app:
        found = diagnosed(app, UNANSWERABLE, generation=True)
    assert named(found) == ("generate", "should_have_abstained")


def test_without_labels_nothing_is_claimed(home: Path, endpoint: Endpoint) -> None:
    endpoint.speak = lambda _: "Perhaps."
    cases = [replace(case, answer=None, answerable=None, evidence=()) for case in CASES[:2]]
    with opened(home, search__enabled="false", **endpoint.settings()) as app:
        found = diagnosed(app, cases, generation=True)
    assert not found.healthy
    assert [one.reason for one in found.unknown] == [
        "nothing was retrieved that its answer could be held against"
    ] * 2


def test_without_generation_a_search_decides(home: Path) -> None:
    case: Case = CASES[0]
    with opened(home, search__enabled="false") as app:
        found = diagnosed(app, [case, *UNANSWERABLE])
    assert named(found) == ("filter", "retrieval_off")
    assert found.primary is not None
    assert found.primary.verified == 1
