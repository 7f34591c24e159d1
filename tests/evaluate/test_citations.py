from tests.evaluate.traces import answer, citation, context

from firstfault.evaluate.citations import judge, true_to_document
from firstfault.verify import LocalVerifier

HALVES = ("Anna was born in Oslo in 1950.", "Anna moved to Rome and became a surgeon there.")


def test_a_sentence_is_supported_by_a_citation_that_holds_and_a_needless_one_is_imprecise(
    verifier: LocalVerifier,
) -> None:
    given = answer(
        ("Anna was born in Oslo.", "supported", (1, 2)),
        citations=(citation(1, HALVES[0], "supported"), citation(2, HALVES[1], "unsupported")),
    )
    found = judge(given, context(*HALVES), verifier=verifier)
    assert found.supported == (True,)
    assert found.needed == (True, False)


def test_citations_of_an_unsupported_sentence_are_worth_nothing(verifier: LocalVerifier) -> None:
    given = answer(
        ("Bert sells carpets in Ankara.", "unsupported", (1, 2)),
        ("He likes tea.", "uncertain", ()),
        citations=(citation(1, HALVES[0], "unsupported"), citation(2, HALVES[1], "unsupported")),
    )
    found = judge(given, context(*HALVES), verifier=verifier)
    assert found.supported == (False, False)
    assert found.needed == (False, False)


def test_two_citations_may_support_a_sentence_only_together(verifier: LocalVerifier) -> None:
    sentence = "Anna was born in Oslo in 1950, moved to Rome and became a surgeon there."
    assert verifier.verify_claims([(list(HALVES), sentence)])[0].label == "supported"
    given = answer(
        (sentence, "supported", (1, 2)),
        citations=(citation(1, HALVES[0], "uncertain"), citation(2, HALVES[1], "uncertain")),
    )
    found = judge(given, context(*HALVES), verifier=verifier)
    assert found.supported == (True,)
    assert found.needed == (True, True)


def test_a_citation_is_true_when_it_quotes_exactly_and_supports() -> None:
    good = citation(1, HALVES[0], "supported")
    assert true_to_document(good, HALVES[0])
    assert not true_to_document(good, HALVES[1])
    assert not true_to_document(good, None)
    assert not true_to_document(citation(1, HALVES[0], "uncertain"), HALVES[0])
