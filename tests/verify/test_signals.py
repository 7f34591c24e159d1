import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.types import Signal
from firstfault.verify import signals
from firstfault.verify.passages import read
from firstfault.verify.terms import terms

CONTEXT = (
    "The Panthers defense gave up just 308 points in 2015. Luke Kuechly led the team with 118 tackles. "
    "The stadium is 5 km from the airport. They did not win the final in Denver."
)


def seen(claim: str) -> dict[str, Signal]:
    source = read([CONTEXT])
    claim_terms = terms(claim)
    nearest = signals.closest(claim_terms, source.sentences)
    found = (
        signals.best_passage_recall(claim_terms, source.sentences),
        signals.number_mismatch(claim, source, source.sentences),
        signals.unseen_entity(claim, source),
        signals.negation_conflict(claim, claim_terms, nearest),
        signals.changed_word(claim, nearest),
        signals.exchanged_name(claim, nearest),
    )
    return {signal.name: signal for signal in found}


def test_a_copied_sentence_raises_nothing() -> None:
    found = seen("Luke Kuechly led the team with 118 tackles.")
    assert found.pop("best_passage_recall").value == 1
    assert all(signal.value == 0 for signal in found.values())


@pytest.mark.parametrize(
    ("claim", "signal", "shown"),
    [
        ("The defense gave up 310 points in 2015.", "number_mismatch", "310"),
        ("The stadium is 5 miles from the airport.", "number_mismatch", "mile"),
        ("In March the defense gave up 308 points.", "number_mismatch", "March"),
        ("The team of Tom Brady led with 118 tackles.", "unseen_entity", "Brady"),
        ("They did win the final in Denver.", "negation_conflict", "not"),
        ("Luke Kuechly did not lead the team with 118 tackles.", "negation_conflict", "not"),
        ("Luke Kuechly led the team with 118 interceptions.", "changed_word", "tackles"),
        ("Peyton Manning led the team with 118 tackles.", "exchanged_name", "Luke Kuechly"),
    ],
)
def test_each_conflict_is_found_and_shown(claim: str, signal: str, shown: str) -> None:
    found = seen(claim)[signal]
    assert found.value >= 0.5
    assert shown in found.seen


@pytest.mark.parametrize(
    "bound", ["no more than 118 tackles", "not less than 118 tackles", "not only tackles"]
)
def test_a_bound_denies_nothing(bound: str) -> None:
    assert seen(f"Luke Kuechly led the team with {bound}.")["negation_conflict"].value == 0


@pytest.mark.parametrize(("claim", "value"), [("The lamp is red.", 0), ("The lamp is hot.", 1)])
def test_only_the_negation_of_a_repeated_clause_counts(claim: str, value: float) -> None:
    claim_terms = terms(claim)
    nearest = signals.closest(claim_terms, read(["The lamp is red, but the lamp is not hot."]).sentences)
    assert signals.negation_conflict(claim, claim_terms, nearest).value == value


@pytest.mark.parametrize("claim", ["In Q2 the uTorrent user drew a 3D map.", "The pH was YoY lower."])
def test_only_a_capital_that_begins_a_word_begins_a_name(claim: str) -> None:
    assert not {"Q2", "Torrent", "D", "H", "Y"} & set(
        seen(claim)["unseen_entity"].seen.split(": ")[-1].split(", ")
    )


def test_missing_words_are_named() -> None:
    found = seen("The Panthers defense collapsed")["best_passage_recall"]
    assert 0 < found.value < 1
    assert "collapsed" in found.seen


@given(st.text(), st.lists(st.text(), max_size=3))
def test_values_stay_between_0_and_1(claim: str, contexts: list[str]) -> None:
    source = read(contexts)
    claim_terms = terms(claim)
    nearest = signals.closest(claim_terms, source.sentences)
    for signal in (
        signals.best_passage_recall(claim_terms, source.sentences),
        signals.number_mismatch(claim, source, source.sentences),
        signals.unseen_entity(claim, source),
        signals.negation_conflict(claim, claim_terms, nearest),
        signals.changed_word(claim, nearest),
        signals.exchanged_name(claim, nearest),
    ):
        assert 0 <= signal.value <= 1
        assert signal.seen
