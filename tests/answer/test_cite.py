import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstfault.answer.cite import Policy, check, compose
from firstfault.stages import Stage
from firstfault.trace import Recording
from firstfault.types import Answer, Chunk, Context, Event, Passage
from firstfault.verify import LocalVerifier

GCD = "math.gcd returns the greatest common divisor of the specified integer arguments."
COPY = "shutil.copy2 is identical to copy except that it also attempts to preserve file metadata."
DOCUMENT = f"Preface. {GCD} {COPY}"


def passage(number: int, text: str) -> Passage:
    start = DOCUMENT.index(text)
    chunk = Chunk(
        id=f"doc@00000000:{start}-{start + len(text)}",
        document_id="doc",
        document_title="Doc",
        start=start,
        end=start + len(text),
        text=text,
    )
    return Passage(number=number, chunk=chunk, tokens=10)


CONTEXT = Context(passages=(passage(1, GCD), passage(2, COPY)), tokens=20, budget=100)


def answer(raw: str, policy: Policy = "annotate") -> tuple[Answer, list[Event]]:
    recording = Recording()
    with recording.stage(Stage.CITE) as span:
        checked = check(raw, CONTEXT, verifier=LocalVerifier(), span=span)
    return compose(raw, checked, policy=policy), list(recording.spans()[0].events)


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def test_a_true_sentence_with_its_mark_is_supported_and_quoted_byte_for_byte() -> None:
    found, events = answer("math.gcd returns the greatest common divisor of the integer arguments [1].")
    assert found.claims[0].verdict.label == "supported"
    citation = found.citations[0]
    assert DOCUMENT[citation.start_char_index : citation.end_char_index] == citation.cited_text
    assert citation.cited_text in GCD
    assert found.text.endswith("arguments [1].")
    assert events == []


def test_a_mark_that_names_no_passage_is_dropped_and_said_so() -> None:
    found, events = answer("math.gcd returns the greatest common divisor of the integer arguments [7].")
    assert names(events) == ["fabricated_citation", "citation_added"]
    assert "[7]" not in found.text
    assert found.citations[0].document_id == "doc"


def test_a_mark_on_the_wrong_passage_gives_way_to_the_right_one() -> None:
    found, events = answer("math.gcd returns the greatest common divisor of the integer arguments [2].")
    assert "misattributed_citation" in names(events)
    assert found.citations[0].cited_text in GCD


def test_an_invented_sentence_is_marked_never_passed_off() -> None:
    found, _ = answer(
        "math.gcd returns the greatest common divisor [1]. It was invented in 1937 by Ada Quux."
    )
    invented = found.claims[1]
    assert invented.verdict.label == "unsupported"
    assert found.text[invented.start : invented.end].endswith("[unsupported]")


def test_strip_removes_it_and_keeps_what_was_removed() -> None:
    raw = (
        "math.gcd returns the greatest common divisor of its arguments [1]. It was made in 1937 by Ada Quux."
    )
    found, _ = answer(raw, "strip")
    assert "Quux" not in found.text
    assert raw[found.removed[0].start : found.removed[0].end] == "It was made in 1937 by Ada Quux."


def test_abstain_withholds_everything() -> None:
    raw = (
        "math.gcd returns the greatest common divisor of its arguments [1]. It was made in 1937 by Ada Quux."
    )
    found, _ = answer(raw, "abstain")
    assert found.abstained
    assert found.claims == ()
    assert len(found.removed) == 2


def test_the_models_own_abstention_is_an_abstention() -> None:
    found, _ = answer("The sources do not say.")
    assert found.abstained
    assert found.removed == ()


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.sampled_from("math.gcd returns [1]2[9] 17.!?\nQuux\x00é漢"), max_size=200))
@pytest.mark.parametrize("policy", ["annotate", "strip", "abstain"])
def test_whatever_a_model_says_citations_exist_and_offsets_hold(policy: Policy, raw: str) -> None:
    found, _ = answer(raw, policy)
    numbers = [citation.number for citation in found.citations]
    assert numbers == list(range(1, len(numbers) + 1))
    for citation in found.citations:
        assert DOCUMENT[citation.start_char_index : citation.end_char_index] == citation.cited_text
    for claim in found.claims:
        assert set(claim.citations) <= set(numbers)
        shown = found.text[claim.start : claim.end]
        assert (claim.verdict.label == "supported") != shown.endswith(f"[{claim.verdict.label}]")


def test_a_mark_on_a_line_of_its_own_belongs_to_the_sentence_before() -> None:
    found, events = answer("math.gcd returns the greatest common divisor of the integer arguments.\n[1]")
    assert names(events) == []
    assert found.claims[0].verdict.label == "supported"
    assert [claim.citations for claim in found.claims] == [(1,)]
