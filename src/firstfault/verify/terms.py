"""Text in, its content words out, with offsets, stems and weights by rarity.

The weights are inverse document frequencies counted on the training corpora and stored beside the model.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain

_WORD = re.compile(r"[^\W_]+(?:[.,:/'’\-][^\W_]+)*", re.UNICODE)
_PARTS = re.compile(r"[.,:/'’\-]")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")

_STOPWORDS_TEXT = """
a about above after again against all also although am an and any are as at be because been before being
below between both but by can could did do does doing don't down during each either else etc few for from
further get gets had has have having he her here hers herself him himself his how however i if in into is
it it's its itself just least less let like made make makes many may me might more most much must my
myself neither no nor not now of off on once one only or other others our ours out over own per rather
same she should since so some such than that the their theirs them themselves then there therefore these
they this those through thus to too under until up upon us use used using very via was we well were what
when where whether which while who whom whose why will with within without would yes yet you your yours
yourself
"""
STOPWORDS = frozenset(_STOPWORDS_TEXT.split())
"""Words that carry no content of their own."""


@dataclass(frozen=True, slots=True)
class Term:
    """A content word of a text."""

    text: str
    """As written: `source[start:end]`."""
    stem: str
    """Lower case, common endings removed: what is compared."""
    start: int
    end: int


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Lower case without the possessive and the commonest English endings; other languages pass unchanged."""
    lowered = word.lower().replace("’", "'")
    if lowered.endswith("'s"):
        lowered = lowered[:-2]
    if len(lowered) < 4 or not lowered.isascii() or not lowered.isalpha():
        return lowered.replace(",", "") if lowered[:1].isdigit() else lowered
    for ending, replacement in _ENDINGS:
        if lowered.endswith(ending) and len(lowered) - len(ending) >= 3:
            lowered = lowered[: len(lowered) - len(ending)] + replacement
            break
    if len(lowered) > 3 and lowered[-1] == lowered[-2] and lowered[-1] not in "lsz":
        lowered = lowered[:-1]
    if len(lowered) > 3 and lowered.endswith("e"):
        lowered = lowered[:-1]
    return lowered


_ENDING_RULES = """
ations=at ation=at ingly= edly= iness=y ments=ment ies=y ied=y ily=y sses=ss ing= ed= ly= ss=ss us=us es= s=
"""
_ENDINGS = tuple((ending, new) for ending, new in (rule.split("=") for rule in _ENDING_RULES.split()))


def words(text: str) -> set[str]:
    """The stems of every word of a text, stop words and the parts of compounds included."""
    return set(chain.from_iterable(map(_every_stem, set(_WORD.findall(text)))))


def stems(text: str) -> frozenset[str]:
    """The stems of the content words of a text: those of `terms`, without their places."""
    if not text.isascii():
        return frozenset(term.stem for term in terms(text))
    return frozenset(map(_content_stem, _WORD.findall(text))) - _NOTHING


_NOTHING = frozenset({""})


@lru_cache(maxsize=65536)
def _every_stem(word: str) -> tuple[str, ...]:
    """The stem of a word and, of a compound, those of its parts."""
    parts = () if word.isalnum() else _PARTS.split(word)
    return (stem(word), *map(stem, parts))


@lru_cache(maxsize=65536)
def _content_stem(word: str) -> str:
    """The stem of a content word; empty for a stop word."""
    return "" if word.lower() in STOPWORDS else stem(word)


def terms(text: str) -> list[Term]:
    """The content words of a text in order. Writing without spaces is cut into single characters."""
    found = []
    for match in _WORD.finditer(text):
        word = match[0]
        if not word.isascii() and _CJK.search(word):
            found += [Term(c, c, match.start() + i, match.start() + i + 1) for i, c in enumerate(word)]
        elif word.lower() not in STOPWORDS:
            found.append(Term(word, stem(word), match.start(), match.end()))
    return found


@cache
def _frequencies() -> tuple[dict[str, float], float]:
    lines = (files("firstfault.verify") / "weights" / "idf.tsv").read_text(encoding="utf-8").splitlines()
    unknown = float(lines[0])
    pairs = (line.split("\t") for line in lines[1:])
    return {word: float(value) for word, value in pairs}, unknown


def rarity(word_stem: str) -> float:
    """Inverse document frequency of a stem; a word never counted weighs as much as one counted once."""
    table, unknown = _frequencies()
    return table.get(word_stem, unknown)
