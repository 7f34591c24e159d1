"""Does an answer agree with the expected one, without asking a language model?

In: an answer, the expected answer, a verifier. Out: 0 to 1. An answer that holds the expected words one
after another scores 1. Otherwise the better of two: the token F1 of SQuAD, fair to short answers, and the
share of the expected sentences that the answer entails by the verifier, fair to other wordings. An answer
that says the same with another number, date, name or without the "not" scores 0, however alike the words.
"""

import re
import string
from collections import Counter

from firstfault.types import Support
from firstfault.verify import Verifier, split_claims, without_citations
from firstfault.verify.numbers import numbers
from firstfault.verify.terms import terms

SAME_VALUES = 0.75
"""Agreement of an answer to the same question that states every number and date that is expected, in its own
words."""
SAME_STATEMENT = 0.5
"""A sentence with at least this share of its words in the expected answer speaks of the same."""
CONFLICT = 0.5
"""From this value on a conflict signal counts."""
LEAST_SHARED_WORDS = 2
LEAST_WORDS_ENTAILED = 4
"""An expected sentence with fewer words is no statement: a verifier has nothing to judge."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "–—…“”‘’", " "))


def correctness(answer: str, expected: str, *, question: str = "", verifier: Verifier) -> float:
    """Agreement of an answer with the expected one, 0 to 1."""
    said, wanted = tokens(answer), tokens(expected)
    if terms(expected) and _holds(said, wanted):
        return 1.0
    agreement = max(token_f1(said, wanted), _entailed(answer, expected, verifier))
    if agreement and _contradicts(answer, expected, verifier):
        return 0.0
    return max(agreement, SAME_VALUES) if _says_the_values(answer, expected, question) else agreement


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


def _says_the_values(answer: str, expected: str, question: str) -> bool:
    """Whether an answer states the values that the expected one adds to the question, and no others.

    Values are numbers with a unit where there are any ("sixteen hours", not "two doses"), else all numbers
    and dates. The answer must share words with the question or with what is expected.
    """
    asked = {number.value for number in numbers(question)}
    firm = [number for number in numbers(expected) if number.firm]
    measured = {number.value for number in firm if number.unit}
    wanted = (measured or {number.value for number in firm}) - asked
    stated = {number.value for number in numbers(without_citations(answer))}
    if not wanted or not wanted <= stated:
        return False
    others = {number.value for number in numbers(without_citations(answer)) if number.firm} - wanted - asked
    topic = {term.stem for term in terms(question)} | {term.stem for term in terms(expected)}
    shared = topic & {term.stem for term in terms(without_citations(answer))}
    return not others and len(shared) >= LEAST_SHARED_WORDS


def _contradicts(answer: str, expected: str, verifier: Verifier) -> bool:
    """Whether a sentence of the answer says what is expected, but for a value, a name or a negation."""
    plain = without_citations(answer)
    sentences = [plain[start:end] for start, end in split_claims(plain)]
    verdicts = verifier.verify_claims([([expected], sentence) for sentence in sentences])
    missing = set(tokens(expected)) - set(tokens(answer))
    said = {number.value for number in numbers(plain)}
    values = any(number.value not in said for number in numbers(expected) if number.firm)
    named = {word.lower() for word in re.findall(r"(?<=[a-z,;:] )[A-Z]\w+", expected)}
    names = bool(named & missing)
    return any(
        _exchanged(verdict, values=values, names=names, all_names=bool(named) and named <= missing)
        for verdict in verdicts
    )


def _exchanged(verdict: Support, *, values: bool, names: bool, all_names: bool) -> bool:
    """`values`, `names`: the answer lacks some that are expected; `all_names`: it lacks every one."""
    seen = {signal.name: signal.value for signal in verdict.signals}
    if all_names and seen.get("unseen_entity", 0.0) >= CONFLICT:
        return True
    if seen.get("best_passage_recall", 0.0) < SAME_STATEMENT:
        return False
    if seen.get("negation_conflict", 0.0) >= CONFLICT:
        return True
    number = seen.get("number_mismatch", 0.0) >= CONFLICT
    name = seen.get("unseen_entity", 0.0) >= CONFLICT and seen.get("changed_word", 0.0) >= CONFLICT
    return (number and (values or names)) or (name and names)
