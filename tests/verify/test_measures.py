from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.types import Signal
from firstfault.verify.crossencoder import CrossEncoder, Reading
from firstfault.verify.measures import Measures, measure, together, unsupported_words
from firstfault.verify.passages import read

SHARE = st.floats(0, 1)
CONFLICTS = ("number_mismatch", "unseen_entity", "negation_conflict")


def measures(network: float, recall: float, *conflicts: float, role: Any = "claim") -> Measures:
    named = zip(CONFLICTS, conflicts or (0.0, 0.0, 0.0), strict=True)
    signals = [Signal(name=name, value=value, seen="x") for name, value in named]
    held = Signal(name="best_passage_recall", value=recall, seen="x")
    signals += [
        Signal(name=name, value=0.0, seen="x") for name in ("changed_word", "exchanged_name", "reversed_copy")
    ]
    return Measures(role=role, network=network, signals=(held, *signals), evidence=None)


@given(st.floats(-20, 20), st.floats(0, 5), SHARE, SHARE, SHARE)
def test_more_evidence_never_lowers_and_a_conflict_never_raises(
    network: float, more: float, recall: float, better: float, conflict: float
) -> None:
    base = measures(network, recall)
    assert measures(network + more, recall).raw >= base.raw - 1e-9
    assert measures(network, max(recall, better)).raw >= base.raw - 1e-9
    for i in range(3):
        worse = [0.0, 0.0, 0.0]
        worse[i] = conflict
        assert measures(network, recall, *worse).raw <= base.raw + 1e-9


@given(SHARE, SHARE)
def test_silence_is_less_credible_the_more_is_there(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert measures(0, high, role="absence").raw <= measures(0, low, role="absence").raw


def test_the_doubted_words_are_whole_words() -> None:
    claim = "Kuechly made 118 interceptions"
    reading = Reading(0.0, (-3.0, -2.0, -1.0, 2.0, 3.0), ((0, 7), (8, 12), (13, 16), (17, 22), (22, 30)))
    found = unsupported_words(claim, reading)
    assert found.value == pytest.approx(0.9526, abs=1e-4)
    assert found.seen == "the network doubts: interceptions"


def test_a_sentence_is_measured_without_the_network_too() -> None:
    source = read(["Luke Kuechly led the team with 118 tackles."])
    without = measure("Kuechly led the team.", source, None)
    with_network = measure("Kuechly led the team.", source, CrossEncoder())
    assert without.network is None
    assert with_network.network is not None
    assert [s.name for s in with_network.signals][:-1] == [s.name for s in without.signals]


@given(st.floats(-35, 35))
def test_one_sentence_keeps_its_score(raw: float) -> None:
    assert together([raw]) == pytest.approx(raw, abs=1e-3)


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=400), st.floats(-60, 60))
def test_another_sentence_never_makes_it_better(raws: list[float], one: float) -> None:
    assert together([*raws, one]) <= together(raws) + 1e-9
    assert together([*raws, one]) == pytest.approx(together([one, *raws]))
