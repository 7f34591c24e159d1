import pytest
from tests.evaluate.test_aggregate import result

from firstfault.config import EvaluateConfig
from firstfault.errors import InputError
from firstfault.evaluate.compare import compare

LIMITS = EvaluateConfig()


def test_differences_are_paired_by_case_and_flips_are_named() -> None:
    before = [result(str(i), context_recall=0.0 if i < 10 else 1.0) for i in range(20)]
    after = [result(str(i), context_recall=0.0 if i == 19 else 1.0) for i in reversed(range(25))]
    (one,) = compare(before, after, LIMITS)
    assert (one.before, one.after, one.n) == (0.5, 0.95, 20)
    assert one.delta == pytest.approx(0.45)
    assert one.ci_low is not None
    assert one.ci_low < one.delta
    assert one.verdict == "better"
    assert sorted(flip.case_id for flip in one.flips if flip.better) == [str(i) for i in range(10)]
    assert [flip.case_id for flip in one.flips if not flip.better] == ["19"]


def test_less_is_better_where_it_is_and_neither_where_it_is_not() -> None:
    before = [result(str(i), hallucination_rate=0.0, abstention_rate=0.0) for i in range(20)]
    after = [result(str(i), hallucination_rate=1.0, abstention_rate=1.0) for i in range(20)]
    assert {one.name: one.verdict for one in compare(before, after, LIMITS)} == {
        "hallucination_rate": "worse",
        "abstention_rate": "changed",
    }


def test_chance_is_the_same_and_equal_runs_are_equal() -> None:
    before = [result(str(i), faithfulness=0.5 + 0.01 * (i % 3)) for i in range(9)]
    after = [result(str(i), faithfulness=0.5 + 0.01 * ((i + 1) % 3)) for i in range(9)]
    assert [one.verdict for one in compare(before, after, LIMITS)] == ["same"]
    (equal,) = compare(before, before, LIMITS)
    assert (equal.delta, equal.p_value, equal.verdict, equal.flips) == (0, 1, "same", ())


def test_only_cases_with_a_value_in_both_count() -> None:
    before = [result("1", faithfulness=1.0), result("2")]
    after = [result("1"), result("2", faithfulness=1.0)]
    assert compare(before, after, LIMITS) == []
    with pytest.raises(InputError, match="no case in common"):
        compare(before, [result("3")], LIMITS)
