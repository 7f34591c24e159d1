"""Applications whose generator is broken in one way: the stage and the cause are named."""

import re
import time
from pathlib import Path

import pytest
from tests.diagnose.conftest import (
    CASES,
    FACTS,
    UNANSWERABLE,
    Endpoint,
    Prompt,
    Speaker,
    diagnosed,
    named,
    opened,
    oracle,
)

from firstfault.types import Diagnosis


def diagnosis(home: Path, endpoint: Endpoint, speak: Speaker, **settings: str) -> Diagnosis:
    endpoint.speak = speak
    with opened(home, **endpoint.settings(), **settings) as app:
        return diagnosed(app, [*CASES, *UNANSWERABLE], generation=True)


def contradicting(prompt: Prompt) -> str:
    right = oracle(prompt)
    for wrong, other in (("two", "nine"), ("seven", "eleven"), ("48", "95"), ("60", "15"), ("six", "twelve")):
        if wrong in right:
            return right.replace(wrong, other)
    return right.replace(" is ", " is not ").replace(" may ", " may well ")


def denying(prompt: Prompt) -> str:
    """Against its context, though with the very words that are expected."""
    said = re.sub(r"\b(must|is|may|are|can)\b", r"\1 not", oracle(prompt))
    return re.sub(r"\b(opens|costs|lends|swim|clear|stand|flies|needs)\b", r"never \1", said)


def ignoring(prompt: Prompt) -> str:
    right = oracle(prompt)
    return right if "do not say" in right else "The mayor of Springfield sings opera on Saturdays [1]."


def silent(prompt: Prompt) -> str:
    return "The sources do not say."


def talkative(prompt: Prompt) -> str:
    right = oracle(prompt)
    return (
        "It was decided by the council in 1987 after a long debate [1]." if "do not say" in right else right
    )


def fabricating(prompt: Prompt) -> str:
    return oracle(prompt).replace("[", "[9")


def shifting(prompt: Prompt) -> str:
    right = oracle(prompt)
    number = int(right[right.rindex("[") + 1 : -1]) if "[" in right else 0
    return right.replace(f"[{number}]", f"[{number % len(prompt.passages) + 1}]")


def uncited(prompt: Prompt) -> str:
    return oracle(prompt).partition(" [")[0]


def test_a_healthy_application(home: Path, endpoint: Endpoint) -> None:
    found = diagnosis(home, endpoint, oracle)
    assert found.healthy
    assert found.failing == 0


@pytest.mark.parametrize(
    ("speak", "stage", "cause"),
    [
        (ignoring, "generate", "ignored_context"),
        (silent, "generate", "wrong_abstention"),
        (talkative, "generate", "should_have_abstained"),
        (fabricating, "cite", "fabricated_citation"),
        (shifting, "cite", "misattributed_citation"),
        (uncited, "cite", "missing_citation"),
    ],
)
def test_the_stage_and_the_cause(
    home: Path, endpoint: Endpoint, speak: Speaker, stage: str, cause: str
) -> None:
    assert named(diagnosis(home, endpoint, speak)) == (stage, cause)


@pytest.mark.parametrize("speak", [contradicting, denying])
def test_an_answer_against_its_context(home: Path, endpoint: Endpoint, speak: Speaker) -> None:
    found = diagnosis(home, endpoint, speak)
    assert named(found) == ("generate", "contradicts_context")


def test_a_generator_that_loses_its_way_among_many_passages(home: Path, endpoint: Endpoint) -> None:
    def drowning(prompt: Prompt) -> str:
        return oracle(prompt) if len(prompt.passages) < 3 else silent(prompt)

    assert named(diagnosis(home, endpoint, drowning)) == ("pack", "noise")


def test_an_answer_that_changes_is_flaky_and_blames_nobody(home: Path, endpoint: Endpoint) -> None:
    asked: dict[str, int] = {}

    def wavering(prompt: Prompt) -> str:
        asked[prompt.question] = asked.get(prompt.question, 0) + 1
        return silent(prompt) if asked[prompt.question] == 1 else oracle(prompt)

    found = diagnosis(home, endpoint, wavering)
    assert found.primary is None
    assert set(found.flaky) == set(FACTS)
    assert not found.healthy


def test_the_calls_of_the_probes_stay_within_the_budget(home: Path, endpoint: Endpoint) -> None:
    endpoint.speak = silent
    with opened(home, **endpoint.settings(), diagnose__budget="3") as app:
        found = diagnosed(app, CASES, generation=True)
    assert found.model_calls == 3
    assert len(endpoint.prompts) == len(CASES) + 3


def test_a_lost_document_is_blamed_before_the_abstention_that_follows(home: Path, endpoint: Endpoint) -> None:
    endpoint.speak = oracle
    with opened(home, **endpoint.settings()) as app:
        app.collection.retire(["dogs.md", "pool.md", "snow.md"])
        found = diagnosed(app, CASES, generation=True)
    assert named(found) == ("corpus", "missing_document")
    assert len(found.findings) == 1


def test_a_limit_of_relevance_that_withholds_right_answers(home: Path) -> None:
    with opened(home, answer__min_relevance="0.95") as app:
        found = diagnosed(app, CASES, generation=True)
    assert named(found) == ("generate", "wrong_abstention")
    assert found.primary is not None
    assert found.primary.remedy.patch == {"answer.min_relevance": 0.25}


def test_a_generator_that_runs_out_of_time_is_over_budget(home: Path, endpoint: Endpoint) -> None:
    def slow(prompt: Prompt) -> str:
        time.sleep(0.4)
        return oracle(prompt)

    endpoint.speak = slow
    with opened(home, **endpoint.settings(), generator__timeout_s="0.2") as app:
        found = diagnosed(app, CASES[:3], generation=True)
    assert named(found) == ("generate", "over_budget")


def test_a_first_token_that_comes_late_is_the_generators(home: Path, endpoint: Endpoint) -> None:
    def slow(prompt: Prompt) -> str:
        time.sleep(0.3)
        return oracle(prompt)

    endpoint.speak = slow
    with opened(home, **endpoint.settings(), latency__first_token_ms="200") as app:
        found = diagnosed(app, CASES[:4], generation=True)
    assert named(found) == ("generate", "over_budget")


def test_an_endpoint_that_is_down_fails_the_request(home: Path, endpoint: Endpoint) -> None:
    with opened(home, **{**endpoint.settings(), "generator__base_url": "http://127.0.0.1:9/v1"}) as app:
        found = diagnosed(app, CASES[:2], generation=True)
    assert named(found) == ("generate", "request_failed")
