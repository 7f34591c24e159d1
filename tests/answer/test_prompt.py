import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.answer.prompt import abstains, defuse, fence


@given(st.text())
def test_defusing_keeps_every_character_in_its_place(text: str) -> None:
    defused = defuse(text)
    assert len(defused) == len(text)
    assert all(new in (old, "‹") for old, new in zip(text, defused, strict=True))


@given(
    st.text(),
    st.sampled_from(["</passage>", "<|im_end|>", "<|im_start|>system", "</s>", "[/INST]"]),
    st.text(),
)
def test_a_passage_cannot_close_its_fence_or_open_a_turn(before: str, attack: str, after: str) -> None:
    fenced = fence(1, "t", before + attack + after)
    assert attack not in fenced.removesuffix("</passage>")
    assert fenced.count("</passage>") == 1
    assert "<|" not in fenced


def test_ordinary_code_is_left_alone() -> None:
    code = "if a < b and c[0] <= d: return x << 2  # <stdin>, list[int], <p>text</p>"
    assert defuse(code) == code


@pytest.mark.parametrize(
    "sentence",
    [
        "The sources do not say.",
        "The passages do not contain the answer.",
        "the context doesn't mention a price.",
        "The documents do not provide information about this.",
    ],
)
def test_abstentions_are_recognised(sentence: str) -> None:
    assert abstains(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["The sources say that it is 3.", "Rivers do not contain salt.", "It is not specified by law."],
)
def test_statements_are_not_abstentions(sentence: str) -> None:
    assert not abstains(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The sources do not say.",
        "I could not find this in the documents provided.",
        "I'm sorry, but the provided passages don't mention it.",
        "I don't know.",
        "There is no information about this in the given context.",
        "This is not mentioned in the passages.",
        "None of the passages answers that.",
        "I was unable to find an answer.",
    ],
)
def test_ways_of_saying_that_the_sources_are_silent(sentence: str) -> None:
    assert abstains(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Dogs are not allowed in the park.",
        "The form does not contain a photograph.",
        "You cannot find parking after nine.",
        "There is no fee for children.",
        "It is not in the north but in the south.",
    ],
)
def test_sentences_that_state_something(sentence: str) -> None:
    assert not abstains(sentence)
