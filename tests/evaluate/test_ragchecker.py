import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.evaluate.ragchecker import ClaimLabels, average, claim_metrics

GROUPS = ("overall", "retriever", "generator")


def _labels(result: dict[str, Any]) -> ClaimLabels:
    def entailed(labels: list[str]) -> list[bool]:
        return [label == "Entailment" for label in labels]

    return ClaimLabels(
        answer_entails=entailed(result["answer2response"]),
        response_entails=entailed(result["response2answer"]),
        context_entails_response=[entailed(row) for row in result["retrieved2response"]],
        context_entails_answer=[entailed(row) for row in result["retrieved2answer"]],
    )


def test_the_golden_vector_is_met_exactly() -> None:
    folder = Path(os.environ.get("FIRSTFAULT_DATA", "../shared/data")) / "meta"
    if not (folder / "ragchecker_golden_vector.json").is_file():
        pytest.skip("the golden vector is absent: set FIRSTFAULT_DATA; the example by hand below still runs")
    golden = json.loads((folder / "ragchecker_golden_vector.json").read_text())
    inputs = json.loads((folder / "ragchecker_golden_inputs.json").read_text())
    assert [one["response"] for one in golden["results"]] == [one["response"] for one in inputs["results"]]
    found = [claim_metrics(_labels(result)) for result in golden["results"]]
    assert [asdict(one) for one in found] == [result["metrics"] for result in golden["results"]]
    published = {name: value for group in GROUPS for name, value in golden["metrics"][group].items()}
    means = asdict(average(found))
    assert len(published) == len(means) == 11
    assert {name: round(value * 100, 1) for name, value in means.items()} == published


BY_HAND = ClaimLabels(
    answer_entails=[True, True, False, False, False],
    response_entails=[True, False, False],
    context_entails_response=[
        [True, False],  # correct, in the relevant passage
        [False, False],  # correct, in none: self-knowledge
        [True, True],  # wrong, in both: counts as noise of the relevant one
        [False, True],  # wrong, in the irrelevant one
        [False, False],  # wrong, in none: hallucination
    ],
    context_entails_answer=[[True, False], [True, False], [False, False]],
)


def test_an_example_computed_by_hand() -> None:
    assert asdict(claim_metrics(BY_HAND)) == {
        "precision": 2 / 5,
        "recall": 1 / 3,
        "f1": pytest.approx(4 / 11),
        "claim_recall": 2 / 3,
        "context_precision": 1 / 2,
        "context_utilization": 1 / 2,
        "noise_sensitivity_in_relevant": 1 / 5,
        "noise_sensitivity_in_irrelevant": 1 / 5,
        "hallucination": 1 / 5,
        "self_knowledge": 1 / 5,
        "faithfulness": 3 / 5,
    }


def test_nothing_to_count_is_none_and_left_out_of_the_average() -> None:
    empty = claim_metrics(
        ClaimLabels(
            answer_entails=[], response_entails=[], context_entails_response=[], context_entails_answer=[]
        )
    )
    assert set(asdict(empty).values()) == {None}
    assert average([empty, claim_metrics(BY_HAND)]) == claim_metrics(BY_HAND)
    assert average([]) == empty


@given(st.data())
def test_wrong_and_right_claims_add_up(data: st.DataObject) -> None:
    said, expected, passages = (data.draw(st.integers(1, 6)) for _ in range(3))

    def row(length: int) -> list[bool]:
        return data.draw(st.lists(st.booleans(), min_size=length, max_size=length))

    found = claim_metrics(
        ClaimLabels(
            answer_entails=row(said),
            response_entails=row(expected),
            context_entails_response=[row(passages) for _ in range(said)],
            context_entails_answer=[row(passages) for _ in range(expected)],
        )
    )
    wrong = (found.noise_sensitivity_in_relevant, found.noise_sensitivity_in_irrelevant, found.hallucination)
    assert sum(value or 0 for value in wrong) == pytest.approx(1 - (found.precision or 0))
    assert (found.faithfulness or 0) + (found.self_knowledge or 0) + (
        found.hallucination or 0
    ) == pytest.approx(1)
