from collections.abc import Callable
from pathlib import Path

import pytest
from tests.evaluate.conftest import CASES
from tests.models.conftest import Exchange, FakeEndpoint, endpoint

import firstfault
from firstfault.answer import Application
from firstfault.errors import ConfigError
from firstfault.evaluate import evaluate
from firstfault.evaluate.generate import Generated, generate
from firstfault.types import EvidenceUnit

__all__ = ["endpoint"]

SENTENCE = "math.gcd returns the greatest common divisor of the specified integer arguments."


def _model(question: str, answer: str) -> Callable[[Exchange], None]:
    """A model that asks this and answers that, whatever the passage."""

    def reply(exchange: Exchange) -> None:
        asked = "write one short question" in exchange.body["messages"][0]["content"]
        exchange.begin_stream()
        exchange.send_text(question if asked else answer)
        exchange.send_text("", "stop")
        exchange.end_stream()

    return reply


def _settings(endpoint: FakeEndpoint) -> dict[str, str]:
    return {
        "generator.kind": "openai",
        "generator.base_url": endpoint.url,
        "generator.model": "m",
        "generator.api_key_env": "TEST_KEY",
    }


def _generate(home: Path, endpoint: FakeEndpoint, count: int = 5) -> Generated:
    with firstfault.open(home, settings=_settings(endpoint)) as app:
        return app.run(generate(app, count=count))


def test_a_kept_question_has_its_answer_and_evidence_and_comes_once(
    home: Path, endpoint: FakeEndpoint
) -> None:
    endpoint.reply = _model("Question: What does math.gcd return?", f"{SENTENCE} [1]")
    found = _generate(home, endpoint)
    (case,) = found.cases
    assert case.question == "What does math.gcd return?"
    assert case.answer == SENTENCE
    assert case.evidence == (EvidenceUnit(document="gcd.md", quote=SENTENCE),)
    assert case.answerable
    assert found.tried == 2  # the other documents are too short to ask about
    assert sum(found.rejected.values()) == 1
    assert _generate(home, endpoint) == found


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("I cannot.", "x", "no_question"),
        ("What does the passage say?", "x", "no_question"),
        ("Who won the football world cup in 2022?", "x", "off_topic"),
        ("What does math.gcd return to its callers?", "The sources do not say.", "not_answerable"),
        ("What does math.gcd return to its callers?", "It returns 87 zebras from Norway.", "not_answerable"),
    ],
)
def test_what_is_not_kept_is_counted_by_its_reason(
    home: Path, endpoint: FakeEndpoint, question: str, answer: str, reason: str
) -> None:
    endpoint.reply = _model(question, answer)
    found = _generate(home, endpoint)
    assert found.cases == ()
    assert reason in found.rejected
    assert sum(found.rejected.values()) == found.tried == 2


def test_the_extractive_generator_cannot_ask(app: Application) -> None:
    with pytest.raises(ConfigError, match="writes no questions"):
        app.run(generate(app, count=1))


def test_cases_behind_an_endpoint_run_side_by_side_and_keep_their_order(
    home: Path, endpoint: FakeEndpoint
) -> None:
    endpoint.reply = _model("", f"{SENTENCE} [1]")
    seen: list[int] = []
    with firstfault.open(home, settings=_settings(endpoint)) as app:
        run = evaluate(app, CASES, progress=lambda done, _total: seen.append(done))
    assert seen == [0, 1, 2, 3, 4, 5]
    assert run.metrics["answer_correctness"].value == pytest.approx(1 / 3, abs=0.1)
    with firstfault.open(home, settings={**_settings(endpoint), "evaluate.parallel": "1"}) as app:
        alone = evaluate(app, CASES)
    for name, metric in run.metrics.items():
        assert name.startswith("latency_") or metric == alone.metrics[name]
