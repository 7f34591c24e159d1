from dataclasses import replace

from tests.evaluate.traces import answer, citation, context, trace

from firstfault.evaluate.from_traces import cases_from
from firstfault.types import EvidenceUnit

PACKED = context("The pump costs 40 euros.")
CITED = citation(1, "The pump costs 40 euros.", "supported")
GOOD = replace(
    trace(PACKED, answer(("It costs 40 euros.", "supported", (1,)), citations=(CITED,))),
    id="good",
    question="Price?",
)


def test_a_trace_becomes_a_case_that_expects_nothing() -> None:
    (case,) = cases_from([replace(GOOD, where="year > 2000")])
    assert (case.id, case.question, case.where) == ("good", "Price?", "year > 2000")
    assert (case.answer, case.answerable, case.evidence) == (None, None, ())


def test_an_accepted_answer_is_expected_with_its_quotes() -> None:
    (case,) = cases_from([GOOD], accept=True)
    assert case.answer == "It costs 40 euros."
    assert case.answerable
    assert case.evidence == (EvidenceUnit(document="d1", quote="The pump costs 40 euros."),)


def test_only_supported_answers_and_abstentions_are_accepted() -> None:
    doubtful = trace(PACKED, answer(("It costs 40 euros.", "uncertain", ())))
    rows = [replace(doubtful, id="a", question="A?"), replace(trace(PACKED, answer()), id="b", question="B?")]
    doubted, abstained = cases_from(rows, accept=True)
    assert (doubted.answer, doubted.answerable) == (None, None)
    assert (abstained.answer, abstained.answerable) == (None, False)


def test_a_question_asked_twice_is_one_case() -> None:
    rows = [GOOD, replace(GOOD, id="later", question="PRICE?"), replace(GOOD, id="other", where="year > 1")]
    assert [case.id for case in cases_from(rows)] == ["good", "other"]


def test_what_nobody_asked_is_passed_over() -> None:
    assert list(cases_from([replace(GOOD, case="c"), replace(GOOD, replay_of="t")])) == []
