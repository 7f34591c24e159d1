"""Words changed as failures change them: values that contradict, slips of the finger, broken extraction.

In: text and a seeded generator. Out: text. Equal seeds give equal text.
"""

import re
from random import Random

_NUMBER = re.compile(r"\d+")
_VERB = re.compile(
    r"\b(is|are|was|were|has|have|had|can|could|will|would|does|did|do|may|must|should)\b(?!\s+not\b)"
)
_NAME = re.compile(r"(?<!^)(?<![.!?]\s)\b[A-Z][a-z]{2,}\b")
_PLAIN = re.compile(r"\b[a-z]{4,}\b")
NAMES = ("Halvorsen", "Quillon", "Marbeck", "Tessaly", "Brandt", "Okonjo", "Ferrand", "Lindqvist")
"""Of nobody in any corpus, one hopes."""


def contradict(sentence: str, random: Random) -> str:
    """The sentence with another meaning: other numbers, else another name, and always a denial where a verb
    allows one and no number was changed.
    """
    if _NUMBER.search(sentence):
        return _NUMBER.sub(lambda match: _other_number(match[0], random), sentence)
    names = list(_NAME.finditer(sentence))
    if names:
        sentence = _replace(sentence, random.choice(names), random.choice(NAMES))
    verb = _VERB.search(sentence)
    if verb:
        return f"{sentence[: verb.end()]} not{sentence[verb.end() :]}"
    if names:
        return sentence
    return f"It is not true that {sentence[:1].lower()}{sentence[1:]}"


def _replace(text: str, match: "re.Match[str]", other: str) -> str:
    return text[: match.start()] + other + text[match.end() :]


def _other_number(digits: str, random: Random) -> str:
    """Another number of as many digits; a year moves by a few decades."""
    if len(digits) == 4 and digits[0] in "12":
        return str(int(digits) - random.randint(11, 49))
    first = random.choice([digit for digit in "123456789" if digit != digits[0]])
    return first + "".join(random.choice("0123456789") for _ in digits[1:])


def misspell(word: str, random: Random) -> str:
    """The word with two neighbouring letters swapped and one vowel lost: neither a stemmer nor BM25
    recognises it.
    """
    if len(word) < 4:
        return word
    place = random.randrange(1, len(word) - 2)
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    vowels = [i for i, letter in enumerate(swapped) if letter in "aeiou" and 0 < i < len(swapped) - 1]
    lost = random.choice(vowels) if vowels else len(swapped) // 2
    changed = swapped[:lost] + swapped[lost + 1 :]
    return changed if changed != word else word[::-1]


def mistype(question: str, share: float, random: Random) -> str:
    """The question with a share of its words misspelt, longest first: the words that carry the meaning."""
    words = question.split()
    long = sorted((i for i, word in enumerate(words) if len(word) > 3), key=lambda i: -len(words[i]))
    for i in long[: max(1, round(share * len(long)))]:
        words[i] = misspell(words[i], random)
    return " ".join(words)


def unreadable(text: str, random: Random) -> str:
    """What an extractor that lacks the font leaves of a page: its first words, then glyph numbers."""
    kept = " ".join(text.split()[:4])
    glyphs = " ".join(f"(cid:{random.randint(3, 220)})" for _ in range(max(12, len(text) // 60)))
    return f"{kept}\n\n{glyphs}\n"


def invented(question: str) -> str:
    """A fluent sentence that no passage supports, on the subject of the question."""
    words = [word.strip("?,.") for word in question.split()]
    topic = max(_PLAIN.findall(question.lower()) or words, key=len)
    return (
        f"Historians commonly trace the {topic} to a guild of clockmakers in Bruges, "
        f"whose members kept its records until a warehouse fire in 1763."
    )
