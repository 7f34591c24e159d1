import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.verify import verify
from firstfault.verify.discourse import read_role

CONTEXT = ["Sew the zipper to the gusset, then trim the seam. The treaty was signed by Savoy in 1713."]


@pytest.mark.parametrize(
    ("sentence", "core"),
    [
        ("Based on the given passages, the dog barked at night.", "the dog barked at night."),
        ("According to passage 2, water boils at 100 degrees.", "water boils at 100 degrees."),
        ("Passage 1 states that the dog barked.", "the dog barked."),
        ("1. Preheat the oven to 350 degrees (Passage 3).", "Preheat the oven to 350 degrees."),
        ("However, the dog barked at night.", "the dog barked at night."),
        ("Yes, they do.", "Yes, they do."),
        ("The treaty does not mention fishing rights.", "The treaty does not mention fishing rights."),
        ("The witness cannot answer.", "The witness cannot answer."),
        ("Savoy signed (see the map).", "Savoy signed (see the map)."),
        ("Der Hund bellt.", "Der Hund bellt."),
    ],
)
def test_claims_lose_what_they_do_not_claim(sentence: str, core: str) -> None:
    found = read_role(sentence)
    assert (found.role, found.core) == ("claim", core)


@pytest.mark.parametrize(
    "sentence",
    [
        "Unable to answer based on given passages.",
        "The passages do not provide information on the average temperature in Indiana.",
        "The passage discusses creditors, but it does not mention liens on a semi.",
        "The exact duration is not specified in the given context.",
        "Without additional information, it is impossible to answer the question.",
        "No information about cats is given in the passages.",
    ],
)
def test_silence_of_the_sources_is_told_apart(sentence: str) -> None:
    assert read_role(sentence).role == "absence"


@pytest.mark.parametrize(
    "sentence",
    ["Here are the steps:", "Sure, I can help you with that!", "Based on the passages, here is how to sew:"],
)
def test_frames_are_told_apart(sentence: str) -> None:
    assert read_role(sentence).role == "frame"


def test_silence_is_believed_when_the_sources_are_silent() -> None:
    true = verify(CONTEXT, "The passages do not mention the price of copper in Chile.")
    false = verify(CONTEXT, "The passages do not mention Savoy or the treaty signed in 1713.")
    assert true.label == "supported"
    assert (true.score or 0) > (false.score or 0)
    assert "silent" in true.reason


def test_a_frame_is_measured_by_its_topic() -> None:
    here = verify(CONTEXT, "Here is how to sew a zipper to a gusset:")
    elsewhere = verify(CONTEXT, "Here is how to calibrate a mass spectrometer:")
    assert (here.score or 0) > (elsewhere.score or 0)


@given(st.text())
def test_any_text_has_a_role(text: str) -> None:
    assert read_role(text).role in ("claim", "absence", "frame")
