import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.collection.lexical import K1, UNSTEMMED, B, Lexicon, word_terms
from firstfault.errors import InputError


def terms(word: str) -> list[str]:
    return word_terms(word, lambda term: term)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("json.dumps", ["json.dumps", "json", "dumps"]),
        ("max_tokens", ["max_tokens", "max", "tokens"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("getHTTPResponse", ["gethttpresponse", "get", "http", "response"]),
        ("__init__", ["__init__", "init"]),
        ("ISO8601", ["iso8601"]),
        ("Übergröße", ["übergröße"]),
        ("naïve", ["naïve"]),
        ("3.14", ["3.14", "3", "14"]),
        ("_", []),
        ("東京都", ["東", "京", "都", "東京", "京都"]),
        ("PDF文書v2", ["pdf", "文", "書", "文書", "v2"]),
    ],
)
def test_identifiers_count_whole_and_in_parts(word: str, found: list[str]) -> None:
    assert terms(word) == found


@pytest.mark.parametrize("asked", ["json.dumps", "JSON", "dumps", "dump", "call json.dumps()"])
def test_an_identifier_is_found_whole_and_by_its_parts(asked: str) -> None:
    lexicon = Lexicon("english")
    held = set(lexicon.document("Use json.dumps to write it.", 5).indices)
    assert held & set(lexicon.question(asked).indices)


def test_words_are_stemmed_in_the_language_of_the_collection() -> None:
    english, none = Lexicon("english"), Lexicon(UNSTEMMED)
    assert english.question("running").indices == english.question("Runs").indices
    assert none.question("running").indices != none.question("runs").indices
    with pytest.raises(InputError, match="no stemmer for 'klingon'"):
        Lexicon("klingon")


def test_weights_by_hand() -> None:
    vector = Lexicon(UNSTEMMED).document("cat cat dog", 6)
    norm = K1 * (1 - B + B * 3 / 6)
    assert sorted(vector.values) == pytest.approx([(K1 + 1) / (1 + norm), 2 * (K1 + 1) / (2 + norm)])


@given(st.text(max_size=80))
def test_every_text_gives_a_sorted_finite_vector(text: str) -> None:
    lexicon = Lexicon("english")
    vector = lexicon.document(text, 10)
    assert vector.indices == sorted(set(vector.indices))
    assert all(math.isfinite(value) and value > 0 for value in vector.values)
    assert set(lexicon.question(text).indices) == set(vector.indices)
    assert (lexicon.length(text) == 0) == (not vector.indices)


def test_a_question_without_words_has_no_terms() -> None:
    assert Lexicon("english").question("?! … _").indices == []
