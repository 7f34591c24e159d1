"""Answers without retrieval: the generator is asked alone, nothing is cited, and the trace says so."""

import pytest
from tests.answer.conftest import Open, Writer
from tests.answer.test_format import GOOD, QUESTION, SCHEMA, VALUE, events

from firstfault.errors import ConfigError
from firstfault.trace import status


def test_the_generator_is_asked_alone_and_the_trace_says_so(opened: Open, writer: Writer) -> None:
    writer.replies = ["It returns the greatest common divisor [1]."]
    trace = opened(search__enabled="false").ask(QUESTION)
    (asked,) = writer.asked
    assert asked["messages"][-1]["content"] == QUESTION
    assert "passage" not in asked["messages"][0]["content"]
    assert next(event.name for _, event in trace.events()) == "retrieval_off"
    assert trace.hits == ()
    assert trace.context is not None
    assert trace.context.passages == ()
    assert trace.answer is not None
    assert trace.answer.citations == ()
    assert not trace.answer.abstained
    assert [claim.verdict.label for claim in trace.answer.claims] == ["unknown"]
    assert events(trace, "fabricated_citation")
    assert status(trace) == "unchecked"


def test_under_a_schema(opened: Open, writer: Writer) -> None:
    writer.replies = [GOOD]
    trace = opened(search__enabled="false").ask(QUESTION, schema=SCHEMA)
    assert trace.format is not None
    assert trace.format.value == VALUE
    system = writer.asked[0]["messages"][0]["content"]
    assert "JSON schema" in system
    assert "passages" not in system


def test_not_knowing_is_an_abstention(opened: Open, writer: Writer) -> None:
    writer.replies = ["I do not know."]
    trace = opened(search__enabled="false").ask(QUESTION)
    assert trace.answer is not None
    assert trace.answer.abstained


def test_a_replay_can_switch_retrieval_on(opened: Open, writer: Writer) -> None:
    writer.replies = ["Nothing.", "It returns the greatest common divisor [1]."]
    app = opened(search__enabled="false")
    trace = app.replay(app.ask(QUESTION), {"search.enabled": "true"})
    assert trace.replayed_from == "filter"
    assert trace.context is not None
    assert trace.context.passages


def test_quotes_need_passages(opened: Open) -> None:
    with pytest.raises(ConfigError, match="without any"):
        opened(search__enabled="false", generator__kind="extractive").ask(QUESTION)
