from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.drill.text import contradict, invented, misspell, mistype, unreadable

WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=14)


@pytest.mark.parametrize(
    "sentence",
    [
        "The pump was built in 1987.",
        "It holds 40 litres.",
        "Water is wet.",
        "Then came Emma Larsen with the keys.",
        "Snow on high roofs, ice below.",
    ],
)
def test_a_contradiction_is_another_sentence_and_the_same_for_the_same_seed(sentence: str) -> None:
    changed = contradict(sentence, Random(3))
    assert changed != sentence
    assert changed == contradict(sentence, Random(3))


@given(st.integers(0, 99_999), st.integers(0, 9))
def test_every_number_changes(number: int, seed: int) -> None:
    assert contradict(f"It costs {number} euros.", Random(seed)) != f"It costs {number} euros."


@given(WORDS, st.integers(0, 9))
def test_a_misspelt_word_is_another_word(word: str, seed: int) -> None:
    if len(set(word)) > 1:
        assert misspell(word, Random(seed)) != word


def test_the_longest_words_are_misspelt_first() -> None:
    changed = mistype("How long is the suspension bridge?", 0.3, Random(1)).split()
    assert changed[:4] == ["How", "long", "is", "the"]
    assert changed[4] != "suspension"


def test_what_a_bad_extractor_leaves_holds_none_of_the_text() -> None:
    left = unreadable("The ferry leaves at nine. " * 40, Random(1))
    assert left.startswith("The ferry leaves at")
    assert "nine" not in left
    assert "(cid:" in left


def test_an_invention_is_about_the_question() -> None:
    assert "suspension" in invented("Who built the suspension bridge?")
