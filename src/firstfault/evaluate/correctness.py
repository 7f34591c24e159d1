"""Does an answer agree with the expected one, without asking a language model?

In: an answer, the expected answer, a verifier. Out: 0 to 1. An answer that holds the expected words one
after another scores 1. Otherwise the better of two: the token F1 of SQuAD, fair to short answers, and the
share of the expected sentences that the answer entails by the verifier, fair to other wordings.
"""

import re
import string
from collections import Counter

from firstfault.verify import Verifier, split_claims, without_citations
from firstfault.verify.terms import terms

LEAST_WORDS_ENTAILED = 4
"""An expected sentence with fewer words is no statement: a verifier has nothing to judge."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "–—…“”‘’", " "))


def correctness(answer: str, expected: str, *, verifier: Verifier) -> float:
    """Agreement of an answer with the expected one, 0 to 1."""
    said, wanted = tokens(answer), tokens(expected)
    if terms(expected) and _holds(said, wanted):
        return 1.0
    return max(token_f1(said, wanted), _entailed(answer, expected, verifier))


def tokens(text: str) -> list[str]:
    """Lower case, without punctuation, articles and citation marks (Rajpurkar et al. 2016, evaluation).

    Punctuation inside a number stays: 3.14 is not 3 and 14.
    """
    plain = re.sub(r"(?<=\d)[.,](?=\d)", lambda mark: "\0" if mark[0] == "." else "", without_citations(text))
    words = _ARTICLES.sub(" ", plain.lower().translate(_PUNCTUATION)).split()
    return [word.replace("\0", ".") for word in words]


def token_f1(said: list[str], wanted: list[str]) -> float:
    """Harmonic mean of token precision and recall; 0 when either side is empty."""
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def _holds(said: list[str], wanted: list[str]) -> bool:
    width = len(wanted)
    return width > 0 and any(said[i : i + width] == wanted for i in range(len(said) - width + 1))


def _entailed(answer: str, expected: str, verifier: Verifier) -> float:
    sentences = [expected[start:end] for start, end in split_claims(expected)]
    if not sentences or any(len(sentence.split()) < LEAST_WORDS_ENTAILED for sentence in sentences):
        return 0.0
    verdicts = verifier.verify_claims([([without_citations(answer)], sentence) for sentence in sentences])
    return sum(verdict.label == "supported" for verdict in verdicts) / len(verdicts)
