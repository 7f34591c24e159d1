import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.traces import answer, citation, context, trace

from firstfault.evaluate.evidence import locate
from firstfault.evaluate.metrics import ANSWER, NAMES, Measured, average_precision, measure
from firstfault.types import (
    Answer,
    Case,
    Context,
    EvidenceUnit,
    FormatAttempt,
    FormatProblem,
    Formatted,
    SupportLabel,
)
from firstfault.verify import LocalVerifier

TEXTS = (
    "The pump costs 40 euros in every shop.",
    "Turtles live long.",
    "The pump has a warranty of five years.",
)
PACKED = context(*TEXTS)


def _measure(case: Case, given: Answer | None, verifier: LocalVerifier, packed: Context = PACKED) -> Measured:
    texts = {f"d{i}": text for i, text in enumerate(TEXTS, start=1)}
    gold = [locate(unit, texts.get(unit.document)) for unit in case.evidence]
    return measure(case, trace(packed, given), gold, verifier=verifier, document=texts.get)


def _case(*evidence: EvidenceUnit, answer: str | None = None, answerable: bool | None = None) -> Case:
    return Case(
        id="1", question="What does the pump cost?", evidence=evidence, answer=answer, answerable=answerable
    )


def test_recall_counts_units_and_precision_counts_passages(verifier: LocalVerifier) -> None:
    case = _case(
        EvidenceUnit(document="d1", quote="costs 40 euros"),
        EvidenceUnit(document="d3", quote="a warranty of ten years"),
        EvidenceUnit(document="d9", quote="gone"),
        EvidenceUnit(document="d2"),
    )
    found = _measure(case, None, verifier)
    assert found.scores["context_recall"].value == 1 / 2
    assert found.scores["context_precision"].value == 2 / 3
    assert found.scores["context_precision_ap"].value == 1.0
    assert found.evidence == ("found", "missing_quote", "missing_document", "found")
    lost = _measure(case, None, verifier, context("Nothing."))
    assert lost.evidence[0] == "not_in_context"


def test_without_generation_answer_metrics_have_no_value_but_a_reason(verifier: LocalVerifier) -> None:
    scores = _measure(_case(EvidenceUnit(document="d1")), None, verifier).scores
    assert list(scores) == list(NAMES)
    for name in ANSWER:
        assert scores[name].value is None
        assert scores[name].reason


def test_an_empty_context_recalls_nothing_and_has_no_precision(verifier: LocalVerifier) -> None:
    scores = _measure(_case(EvidenceUnit(document="d1")), None, verifier, context()).scores
    assert scores["context_recall"].value == 0
    assert scores["context_precision"].value is None
    assert scores["context_sufficiency"].value == 0


def test_faithfulness_and_hallucination_count_claims(verifier: LocalVerifier) -> None:
    given = answer(
        ("The pump costs 40 euros.", "supported", ()),
        ("Zebras won the race in Paris.", "unsupported", ()),
        ("The pump has a warranty of five years.", "unsupported", ()),
        ("Das ist so.", "unknown", ()),
    )
    expected = "The pump costs 40 euros. The pump has a warranty of five years."
    scores = _measure(_case(answer=expected), given, verifier).scores
    assert scores["faithfulness"].value == pytest.approx(1 / 3)
    assert scores["hallucination_rate"].value == pytest.approx(1 / 3), "the expected answer holds the third"
    assert scores["answer_correctness"].value == 1.0
    without = _measure(_case(), given, verifier).scores
    assert without["hallucination_rate"].value == pytest.approx(2 / 3)
    assert without["answer_correctness"].value is None


def test_abstention_is_judged_both_ways(verifier: LocalVerifier) -> None:
    said = answer(("The pump costs 40 euros.", "supported", ()))
    for answerable, said_or_not, right in (
        (True, said, 1.0),
        (True, answer(), 0.0),
        (False, said, 0.0),
        (False, answer(), 1.0),
        (None, answer(), None),
    ):
        scores = _measure(_case(answerable=answerable), said_or_not, verifier).scores
        assert scores["abstention_accuracy"].value == right
        assert scores["abstention_rate"].value == float(said_or_not.abstained)
    wrong = _measure(_case(answer="40 euros"), answer(), verifier).scores
    assert wrong["abstention_accuracy"].value == 0.0
    assert wrong["answer_correctness"].value == 0.0
    assert wrong["faithfulness"].value is None


def test_citations_are_judged_where_there_are_any(verifier: LocalVerifier) -> None:
    given = answer(
        ("The pump costs 40 euros.", "supported", (1,)),
        ("Turtles swim.", "unsupported", ()),
        citations=(citation(1, TEXTS[0], "supported"),),
    )
    scores = _measure(_case(), given, verifier).scores
    assert scores["citation_recall"].value == 1 / 2
    assert scores["citation_precision"].value == 1.0
    assert scores["citation_validity"].value == 1.0
    uncited = _measure(_case(), answer(("Turtles swim.", "unsupported", ())), verifier).scores
    assert uncited["citation_recall"].value == 0.0
    assert uncited["citation_precision"].value is None


def _formatted(value: object, *, valid: bool) -> Formatted:
    attempt = FormatAttempt(
        kind="generated",
        raw="",
        problems=() if valid else (FormatProblem(rule="type", path="/price", message="no"),),
        finish_reason="stop",
        duration_ms=1.0,
        prompt_tokens=None,
        completion_tokens=None,
    )
    return Formatted(
        schema=PRICE,
        valid=valid,
        first_try=valid,
        value=value,
        attempts=(attempt,),
        constrained=False,
        cause=None if valid else "schema_violation",
    )


PRICE = {"type": "object", "properties": {"price": {"type": "integer"}}, "required": ["price"]}


@pytest.mark.parametrize("valid", [True, False])
def test_format_validity_is_that_of_the_trace(valid: bool, verifier: LocalVerifier) -> None:
    case = Case(id="1", question="What does the pump cost?", schema=PRICE, answer="40 euros")
    given = answer(("40", "supported", ()))
    asked = replace(trace(PACKED, given), schema=PRICE, format=_formatted({"price": 40}, valid=valid))
    scores = measure(case, asked, [], verifier=verifier, document=lambda _: None).scores
    assert scores["format_validity"].value == float(valid)


def test_correctness_judges_the_values_of_a_structured_answer(verifier: LocalVerifier) -> None:
    case = Case(id="1", question="Which function?", schema=PRICE, answer="shutil.copy2")
    asked = trace(PACKED, replace(answer(), abstained=False))
    value = {"name": "shutil.copy2", "flag": True}
    right = replace(asked, schema=PRICE, format=_formatted(value, valid=True))
    wrong = replace(asked, schema=PRICE, format=_formatted({"name": "os.rename"}, valid=True))
    values = [
        measure(case, one, [], verifier=verifier, document=lambda _: None).scores["answer_correctness"].value
        for one in (right, wrong)
    ]
    assert values == [1.0, 0.0]


def test_an_answer_without_a_schema_has_no_format_to_judge(verifier: LocalVerifier) -> None:
    case = Case(id="1", question="?", schema=PRICE)
    found = _measure(case, answer(("x y z", "supported", ()), raw="{}"), verifier).scores["format_validity"]
    assert (found.value, found.reason) == (None, "it was asked without the schema")


@given(st.lists(st.booleans(), max_size=12))
def test_average_precision_is_one_only_when_the_relevant_come_first(relevant: list[bool]) -> None:
    value = average_precision(relevant).value
    if not relevant:
        assert value is None
        return
    assert value is not None
    assert 0 <= value <= 1
    assert (value == 1) == (any(relevant) and relevant == sorted(relevant, reverse=True))


@given(
    st.lists(st.sampled_from(["supported", "uncertain", "unsupported", "unknown"]), max_size=4),
    st.lists(st.sampled_from(["d1", "d2", "d3", "d4"]), max_size=3),
    st.sampled_from([True, False, None]),
)
def test_every_score_is_a_share_or_says_why_not(
    labels: list[SupportLabel], documents: list[str], answerable: bool | None
) -> None:
    case = _case(*(EvidenceUnit(document=d) for d in documents), answerable=answerable)
    given = answer(*((f"Sentence number {i}.", label, ()) for i, label in enumerate(labels)))
    for score in _measure(case, given, LocalVerifier()).scores.values():
        assert (score.value is None) == bool(score.reason)
        assert score.value is None or (0 <= score.value <= 1 and not math.isnan(score.value))
