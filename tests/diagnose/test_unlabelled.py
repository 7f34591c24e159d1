"""Requests of users, without labels: what can be known is named, what cannot is said."""

from dataclasses import replace
from pathlib import Path

from tests.diagnose.conftest import FACTS, QUESTIONS, Endpoint, Prompt, opened, oracle

from firstfault.diagnose import diagnose, unlabelled
from firstfault.types import Diagnosis


def diagnosis(home: Path, endpoint: Endpoint, **settings: str) -> Diagnosis:
    with opened(home, **endpoint.settings(), **settings) as app:
        traces = [app.ask(question) for question in QUESTIONS.values()]
        return diagnose(app, unlabelled(traces), scope="test", command="none")


def test_supported_answers_are_healthy(home: Path, endpoint: Endpoint) -> None:
    assert diagnosis(home, endpoint).healthy


def test_invented_answers_are_the_generators_fault(home: Path, endpoint: Endpoint) -> None:
    def inventing(prompt: Prompt) -> str:
        return "The mayor of Springfield sings opera on Saturdays in the harbour [1]."

    endpoint.speak = inventing
    found = diagnosis(home, endpoint)
    assert found.primary is not None
    assert found.primary.stage == "generate"


def test_invented_marks_are_found_without_labels(home: Path, endpoint: Endpoint) -> None:
    endpoint.speak = lambda prompt: oracle(prompt).replace("[", "[9")
    found = diagnosis(home, endpoint)
    assert found.primary is not None
    assert found.primary.cause == "fabricated_citation"


def test_an_abstention_before_good_passages_is_not_blamed_on_a_guess(home: Path, endpoint: Endpoint) -> None:
    endpoint.speak = lambda _: "The sources do not say."
    found = diagnosis(home, endpoint)
    assert found.primary is None
    assert not found.healthy
    assert len(found.unknown) > len(FACTS) / 2
    assert "not known" in found.unknown[0].reason


def test_a_request_whose_adapter_is_gone_is_undecided_and_the_others_are_looked_at(
    home: Path, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.speak = lambda _: "The mayor of Springfield sings opera on Saturdays in the harbour [1]."
    with opened(home, **endpoint.settings()) as app:
        kept, lost = [app.ask(question) for question in list(QUESTIONS.values())[:2]]
        llama = {"kind": "llama", "adapter": str(tmp_path / "gone.gguf")}
        lost = replace(lost, settings={**lost.settings, "generator": llama})
        found = diagnose(app, unlabelled([kept, lost]), scope="test", command="none")
    (undecided,) = found.unknown
    assert undecided.case_id == lost.id
    assert "gone.gguf" in undecided.reason
    (blamed,) = found.scattered
    assert blamed.cases == (kept.id,)
