from hypothesis import given
from hypothesis import strategies as st

from firstfault.evaluate.evidence import Gold, TextSpan, contributing, find, locate, satisfied
from firstfault.types import EvidenceUnit

TEXT = "The red pump costs 40 euros.  Its warranty\nlasts five years from the day of purchase. It’s blue."
UNIT = EvidenceUnit(document="d", quote="its warranty lasts five years")


def _span(start: int, end: int, document: str = "d", text: str = TEXT) -> TextSpan:
    return TextSpan(document_id=document, start=start, end=end, text=text[start:end])


def test_a_quote_is_found_whatever_its_white_space_case_and_typography() -> None:
    ((start, end),) = find("its  warranty lasts\tfive YEARS", TEXT)
    assert TEXT[start:end] == "Its warranty\nlasts five years"
    assert find("it's blue", TEXT) == [(TEXT.index("It’s"), TEXT.index(" blue") + 5)]


def test_a_quote_matches_whole_words_and_nothing_in_it_is_a_pattern() -> None:
    assert find("0 euros", TEXT) == []
    assert find("red p.mp", TEXT) == []
    assert find("…", "a … b") == []


def test_what_could_not_be_located_says_why() -> None:
    assert locate(UNIT, None).state == "missing_document"
    assert locate(UNIT, "Another text.").state == "missing_quote"
    assert locate(EvidenceUnit(document="d"), "").state == "located"
    assert not satisfied(locate(UNIT, None), [_span(0, len(TEXT))])


def test_a_span_satisfies_when_it_holds_every_word() -> None:
    gold = locate(UNIT, TEXT)
    start, end = gold.places[0].start, gold.places[0].end
    assert satisfied(gold, [_span(start, end)])
    assert satisfied(gold, [_span(0, len(TEXT))])
    assert not satisfied(gold, [_span(start, end - 1)])
    assert not satisfied(gold, [_span(start + 1, end)])
    assert not satisfied(gold, [])


def test_split_evidence_is_satisfied_by_its_parts_together_only() -> None:
    gold = locate(UNIT, TEXT)
    cut = TEXT.index("lasts")
    parts = [_span(0, cut - 1), _span(cut, len(TEXT)), _span(0, 10)]
    assert [satisfied(gold, [part]) for part in parts] == [False, False, False]
    assert satisfied(gold, parts)
    assert contributing(gold, parts) == [0, 1]
    assert contributing(gold, parts[1:]) == []
    assert contributing(gold, [*parts, _span(0, len(TEXT))]) == [3]


def test_a_unit_without_a_quote_takes_any_words_of_its_document() -> None:
    gold = locate(EvidenceUnit(document="d"), TEXT)
    assert satisfied(gold, [_span(0, 7)])
    assert not satisfied(gold, [_span(0, 7, document="e")])
    assert not satisfied(gold, [TextSpan(document_id="d", start=0, end=2, text="# ")])


def test_a_long_quote_also_counts_in_a_copy_a_short_one_does_not() -> None:
    long = EvidenceUnit(document="d", quote="warranty lasts five years from the day of purchase")
    short = EvidenceUnit(document="d", quote="five years")
    copy = _span(0, len(TEXT), document="copy")
    assert satisfied(locate(long, TEXT), [copy])
    assert satisfied(locate(long, None), [copy])
    assert not satisfied(locate(short, TEXT), [copy])


@given(st.text(min_size=1, max_size=80), st.data())
def test_a_quote_cut_from_a_text_is_found_and_its_own_place_satisfies_it(
    text: str, data: st.DataObject
) -> None:
    words = text.split()
    if not any(c.isalnum() for c in text) or not words:
        return
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    quote = " ".join(words[first : last + 1])
    if not any(c.isalnum() for c in quote):
        return
    gold = locate(EvidenceUnit(document="d", quote=quote), text)
    assert gold.state == "located"
    whole = TextSpan(document_id="d", start=0, end=len(text), text=text)
    assert satisfied(gold, [whole])
    for place in gold.places:
        assert text[place.start : place.end] == place.text
        assert satisfied(gold, [place])


@given(st.lists(st.tuples(st.integers(0, 95), st.integers(0, 95)), max_size=5))
def test_more_text_never_loses_evidence(cuts: list[tuple[int, int]]) -> None:
    gold: Gold = locate(UNIT, TEXT)
    spans = [_span(min(cut), max(cut)) for cut in cuts]
    for count in range(len(spans)):
        assert satisfied(gold, spans[:count]) <= satisfied(gold, spans[: count + 1])
