from hypothesis import given
from hypothesis import strategies as st

from firstfault.verify.passages import MOST_WORDS, pieces, read, select
from firstfault.verify.terms import terms

LONG = " ".join(f"word{i}" for i in range(400))


@given(st.lists(st.text(), max_size=4))
def test_offsets_point_into_the_contexts(contexts: list[str]) -> None:
    for sentence in read(contexts).sentences:
        assert contexts[sentence.context][sentence.start : sentence.end] == sentence.text


def test_long_sentences_are_cut_and_nothing_is_lost() -> None:
    spans = pieces(LONG, 0, len(LONG))
    assert all(len(LONG[a:b].split()) <= MOST_WORDS for a, b in spans)
    assert " ".join(LONG[a:b] for a, b in spans) == LONG


def test_a_word_without_spaces_is_cut() -> None:
    text = "x" * 5000
    assert "".join(text[a:b] for a, b in pieces(text, 0, len(text))) == text


def test_selection_finds_the_needle_and_keeps_the_order() -> None:
    filler = [f"Sentence number {i} speaks about gardens and weather." for i in range(300)]
    filler[250] = "The treaty of Utrecht was signed by Savoy."
    filler[20] = "Savoy gained Sicily."
    chosen = select(
        read([" ".join(filler)]).sentences, terms("Savoy signed the treaty of Utrecht and got Sicily"), 40
    )
    texts = [sentence.text for sentence in chosen]
    assert texts.index(filler[20]) < texts.index(filler[250])
    assert sum(sentence.words for sentence in chosen) <= 40


def test_something_is_chosen_even_without_overlap() -> None:
    assert len(select(read(["Cats sleep. Dogs bark."]).sentences, terms("quantum"), 40)) == 1
    assert select(read([]).sentences, terms("quantum"), 40) == []


def test_a_snippet_that_breaks_off_is_told_from_lists_and_pages() -> None:
    prose = "The tram line was opened by the mayor in the spring of that year. " * 6
    assert read([prose + "It went from the harbour to the"]).broken
    assert not read([prose]).broken
    assert not read([prose + "It went from the harbour to the", prose]).broken
    assert not read([prose + "\n- from the harbour to the"]).broken
    assert not read([prose * 10 + "It went from the harbour to the"]).broken
    assert not read(["It went from the harbour to the"]).broken


def test_what_brings_no_new_word_is_left_out_unless_it_holds_all_that_the_best_one_does() -> None:
    text = "The tank holds less than 2 litres. Litres are units. In summer the tank holds more than 2 litres."
    claim = terms("The tank holds 2 litres.")
    found = read([text]).sentences
    assert [one.text for one in select(found, claim, 60, anew=True)] == [found[0].text, found[2].text]
    assert len(select(found, claim, 60)) == 3
