import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.evaluate.correctness import correctness, token_f1, tokens
from firstfault.verify import LocalVerifier


@pytest.mark.parametrize(
    ("answer", "expected", "value"),
    [
        ("The Panthers gave up 308 points [1].", "308", 1.0),
        ("It was Jared Allen, the defensive end.", "Jared Allen", 1.0),
        ("It costs 1,500 euros.", "1500 euros", 1.0),
        ("It was opened in 1308.", "308", 0.0),
        ("The value is 3.14.", "14", 0.0),
        ("Nobody knows.", "Jared Allen", 0.0),
    ],
)
def test_short_answers_count_by_their_words(
    answer: str, expected: str, value: float, verifier: LocalVerifier
) -> None:
    assert correctness(answer, expected, verifier=verifier) == value


def test_a_bare_no_is_not_found_in_any_sentence_with_a_no(verifier: LocalVerifier) -> None:
    assert correctness("There is no doubt that it is legal everywhere.", "no", verifier=verifier) < 0.5
    assert correctness("No.", "no", verifier=verifier) == 1.0


def test_other_wordings_count_by_entailment(verifier: LocalVerifier) -> None:
    expected = "The warranty of the pump lasts five years."
    said = (
        "Buyers of the pump get a warranty, and the warranty of the pump lasts five years in all countries."
    )
    contrary = "The warranty of the pump lasts two years."
    assert correctness(said, expected, verifier=verifier) == 1.0
    assert correctness(contrary, expected, verifier=verifier) < 1.0


@given(st.text(max_size=60), st.text(max_size=60))
def test_token_f1_is_symmetric_and_bounded(one: str, other: str) -> None:
    value = token_f1(tokens(one), tokens(other))
    assert 0 <= value <= 1
    assert value == token_f1(tokens(other), tokens(one))
    assert token_f1(tokens(one), tokens(one)) == (1.0 if tokens(one) else 0.0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Cars queue 72 minutes before departure.", "Cars queue 42 minutes before departure."),
        ("Waste is collected every second Friday.", "Waste is collected every second Thursday."),
        ("Dogs need not be kept on a lead.", "Dogs must be kept on a lead."),
        ("It was written by John Smith.", "It was written by Mary Jones."),
    ],
)
def test_another_value_is_no_agreement_however_alike_the_words(
    said: str, expected: str, verifier: LocalVerifier
) -> None:
    assert correctness(said, expected, verifier=verifier) == 0.0


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("The weekly market starts at seven.", "The weekly market opens at seven in the morning."),
        ("The fee is 48 euros per year.", "A permit costs 48 euros a year."),
        ("Paris is the capital.", "The capital of France is Paris."),
    ],
)
def test_other_words_for_the_same_agree(said: str, expected: str, verifier: LocalVerifier) -> None:
    assert correctness(said, expected, verifier=verifier) >= 0.5


@pytest.mark.parametrize(
    ("question", "said", "expected", "right"),
    [
        (
            "How quickly does Aldorex take effect?",
            "It takes roughly 70 minutes until Aldorex works.",
            "The effect of Aldorex sets in after about 70 minutes.",
            True,
        ),
        (
            "What is the least interval between doses of Aldorex?",
            "Wait sixteen hours or more before the next dose of Aldorex.",
            "Between two doses of Aldorex there must be at least sixteen hours.",
            True,
        ),
        (
            "How quickly does Aldorex take effect?",
            "It takes roughly 90 minutes until Aldorex works.",
            "The effect of Aldorex sets in after about 70 minutes.",
            False,
        ),
        ("When was it built?", "Seventy people came.", "It was built in 1970.", False),
    ],
)
def test_the_expected_value_in_other_words(
    question: str, said: str, expected: str, right: bool, verifier: LocalVerifier
) -> None:
    assert (correctness(said, expected, question=question, verifier=verifier) >= 0.5) is right
