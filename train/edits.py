"""A sentence in, an edited copy and the span that was changed out. Edits make it false, or keep it true.

Each function takes the sentence and a random generator (and what it may draw from) and returns an `Edit`,
or None when the sentence offers nothing to change.
"""

import itertools
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lexicon

_WORD = re.compile(r"[A-Za-z][A-Za-z'’\-]*")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
_NUMBER_WORDS_TEXT = """
two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty
"""
_NUMBER_WORDS = _NUMBER_WORDS_TEXT.split()
_MONTHS_TEXT = """
January February March April May June July August September October November December
"""
_MONTHS = _MONTHS_TEXT.split()
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_NAME = re.compile(r"(?:[A-Z][\w'’\-]*\.?)(?:\s+(?:of|the|de|von|van|and)?\s*(?:[A-Z][\w'’\-]*))*")
_AUX = re.compile(
    r"\b(is|are|was|were|has|have|had|can|could|will|would|may|might|must|should|does|do|did)\b(?!\s+not\b)(?!n['’]t)"
)
_NOT = re.compile(r"\b(?:not|never)\s+|n['’]t\b|\bno\s+")
OPPOSITES = lexicon.table(lexicon.OPPOSITES, both_ways=True)
SCOPE = lexicon.table(lexicon.SCOPE, both_ways=False)
SYNONYMS = lexicon.table(lexicon.SYNONYMS, both_ways=False)
WORDNET_OPPOSITES = lexicon.wordnet("opposite")
WORDNET_SYNONYMS = lexicon.wordnet("synonym")
_STARTERS_TEXT = """
The A An In On At It He She They We You I This That These Those There When While If For From By As After
Before And But Or Its His Her Their Our My Your With Since During Although However Also To Of Not No Yes
All Some Many Most Each Both One Two Three What Who Which How Why Where So Then Thus Once First Second
Until Under Over
"""
_STARTERS = frozenset(_STARTERS_TEXT.split())


@dataclass(frozen=True)
class Edit:
    """An edited sentence."""

    text: str
    spans: tuple[tuple[int, int], ...]
    """Where `text` differs from the sentence, for token labels; empty for edits that keep it true."""
    kind: str


def _put(text: str, start: int, end: int, new: str, kind: str) -> Edit:
    if text[start:end][:1].isupper() and new[:1].islower():
        new = new[:1].upper() + new[1:]
    return Edit(text[:start] + new + text[end:], ((start, start + max(1, len(new))),), kind)


def names(text: str) -> list[tuple[int, int]]:
    """Spans of capitalised names that do not merely begin the sentence."""
    found = []
    for match in _NAME.finditer(text):
        start, end = match.span()
        words = match[0].split()
        while words and words[0] in _STARTERS:
            start += len(words[0])
            while start < end and text[start].isspace():
                start += 1
            words = words[1:]
        first_word = start == 0 or text[:start].rstrip()[-1:] in ".!?:"
        if not words or words[0] in _MONTHS + _DAYS or (first_word and len(words) == 1):
            continue
        if len(words) == 1 and len(words[0].strip(".")) < 3:
            continue
        while text[end - 1] in ".-'’":
            end -= 1
        found.append((start, end))
    return found


def number(text: str, rng: random.Random, premise: str = "") -> Edit | None:
    """Another number, date or number word; sometimes one that stands elsewhere in the premise."""
    spots = [(m.start(), m.end(), "digits") for m in _NUMBER.finditer(text)]
    for m in _WORD.finditer(text):
        if m[0].lower() in _NUMBER_WORDS:
            spots.append((m.start(), m.end(), "word"))
        elif m[0] in _MONTHS:
            spots.append((m.start(), m.end(), "month"))
        elif m[0] in _DAYS:
            spots.append((m.start(), m.end(), "day"))
    if not spots:
        return None
    start, end, kind = rng.choice(spots)
    old = text[start:end]
    if kind != "digits":
        pool = {"word": _NUMBER_WORDS, "month": _MONTHS, "day": _DAYS}[kind]
        return _put(text, start, end, rng.choice([w for w in pool if w.lower() != old.lower()]), "number")
    elsewhere = [m[0] for m in _NUMBER.finditer(premise) if m[0] != old and len(m[0]) == len(old)]
    if elsewhere and rng.random() < 0.35:
        return _put(text, start, end, rng.choice(elsewhere), "number")
    for _ in range(8):
        new = _other_number(old, rng)
        if new != old and not re.search(rf"(?<!\d){re.escape(new)}(?!\d)", premise):
            return _put(text, start, end, new, "number")
    return None


def _other_number(old: str, rng: random.Random) -> str:
    plain = old.replace(",", "")
    value = float(plain)
    year = len(plain) == 4 and plain.isdigit() and 1000 <= value <= 2100
    if year:
        return str(
            int(value) + rng.choice([-100, -50, -20, -10, -7, -4, -3, -2, -1, 1, 2, 3, 5, 8, 10, 20, 50])
        )
    digits = list(old)
    places = [i for i, c in enumerate(digits) if c.isdigit()]
    how = rng.random()
    if how < 0.5 or "." in old:
        i = rng.choice(places)
        digits[i] = rng.choice([c for c in "123456789" if c != digits[i]])
        return "".join(digits)
    if how < 0.75:
        new = int(value * rng.choice([2, 3, 5, 10, 0.5])) or int(value) + 1
    else:
        new = max(1, int(value) + rng.choice([-5, -3, -2, -1, 1, 2, 3, 5, 10]))
    return f"{new:,}" if "," in old else str(new)


def entity(text: str, rng: random.Random, pool: Sequence[str]) -> Edit | None:
    """A name replaced by another name of the same make (number of words, acronym or not)."""
    spots = names(text)
    if not spots or not pool:
        return None
    start, end = rng.choice(spots)
    old = text[start:end]

    def make(name: str) -> tuple[bool, bool]:
        return len(name.split()) > 1, name.isupper()

    same = [
        n
        for n in pool
        if make(n) == make(old) and n.lower() not in text.lower() and old.lower() not in n.lower()
    ]
    if not same:
        return None
    return _put(text, start, end, rng.choice(same), "entity")


def _swap_word(text: str, rng: random.Random, words: dict[str, list[str]], kind: str) -> Edit | None:
    spots = [m.span() for m in _WORD.finditer(text) if m[0].lower() in words]
    if not spots:
        return None
    start, end = rng.choice(spots)
    new = rng.choice(words[text[start:end].lower()])
    return _put(text, start, end, new, kind)


def opposite(text: str, rng: random.Random) -> Edit | None:
    """A word replaced by its opposite or a contrary relation."""
    tables = [OPPOSITES, WORDNET_OPPOSITES]
    rng.shuffle(tables)
    return _swap_word(text, rng, tables[0], "antonym") or _swap_word(text, rng, tables[1], "antonym")


def scope(text: str, rng: random.Random) -> Edit | None:
    """A scope or certainty word replaced, or `only` put in."""
    edit = _swap_word(text, rng, SCOPE, "scope")
    if edit is None or rng.random() < 0.2:
        spot = re.search(
            r"\b(is|are|was|were|has|have|can|will|includes?|contains?|provides?|offers?|uses?)\b", text
        )
        if spot:
            new = spot[0] + " only"
            changed = text[: spot.start()] + new + text[spot.end() :]
            return Edit(changed, ((spot.end() + 1, spot.end() + 5),), "scope")
    return edit


def negation(text: str, rng: random.Random) -> Edit | None:
    """A negation put in, or taken out."""
    removal = _NOT.search(text)
    if removal and rng.random() < 0.7:
        start, end = removal.span()
        kept = " " if removal[0].startswith(("n", "N")) and removal[0][1] in "'’" else ""
        changed = text[:start].rstrip("") + kept + text[end:]
        changed = re.sub(r"\bca\b", "can", changed)
        return Edit(
            re.sub(r"  +", " ", changed), ((max(0, start - 6), min(len(changed), start + 8)),), "negation"
        )
    spots = list(_AUX.finditer(text))
    if not spots:
        return None
    spot = spots[0] if rng.random() < 0.7 else rng.choice(spots)
    word = "never" if rng.random() < 0.12 else "not"
    if spot[0] not in ("may", "might") and rng.random() < 0.25 and word == "not":
        short = {"can": "can't", "will": "won't"}.get(spot[0], spot[0] + "n't")
        return Edit(
            text[: spot.start()] + short + text[spot.end() :],
            ((spot.start(), spot.start() + len(short)),),
            "negation",
        )
    return Edit(
        f"{text[: spot.end()]} {word}{text[spot.end() :]}",
        ((spot.start(), spot.end() + 1 + len(word)),),
        "negation",
    )


def roles(text: str, rng: random.Random) -> Edit | None:
    """Two names of the sentence exchanged."""
    spots = names(text)
    if len(spots) < 2:
        return None
    i = rng.randrange(len(spots) - 1)
    (a, b), (c, d) = spots[i], spots[i + 1]
    first, second = text[a:b], text[c:d]
    between = text[b:c]
    if (
        first.lower() in second.lower()
        or second.lower() in first.lower()
        or re.fullmatch(r"[\s,]*(and|or)?[\s,]*", between)
    ):
        return None
    changed = text[:a] + second + between + first + text[d:]
    end = a + len(second) + len(between)
    return Edit(changed, ((a, a + len(second)), (end, end + len(first))), "relation")


_PHRASE = re.compile(r"\b(?:[Tt]he|[Aa]n?|[Tt]wo|[Hh]is|[Hh]er|[Tt]heir|[Ii]ts) (?:[a-z]+ )?[a-z]{3,}\b")


def phrases(text: str, rng: random.Random) -> Edit | None:
    """Two noun phrases of the sentence exchanged: who does what to whom."""
    spots = [m.span() for m in _PHRASE.finditer(text)]
    pairs = [
        (one, two)
        for one, two in itertools.pairwise(spots)
        if len(text[one[1] : two[0]].split()) >= 1
        and not re.search(r"[.;:,]|\b(?:and|or|is|are|was|were|of)\b", text[one[1] : two[0]])
        and text[slice(*one)].lower() != text[slice(*two)].lower()
    ]
    if not pairs:
        return None
    (a, b), (c, d) = rng.choice(pairs)
    first, second = text[a:b], text[c:d]
    if first[:1].isupper():
        first, second = first[:1].lower() + first[1:], second[:1].upper() + second[1:]
    changed = text[:a] + second + text[b:c] + first + text[d:]
    end = a + len(second) + c - b
    return Edit(changed, ((a, a + len(second)), (end, end + len(first))), "relation")


def other_word(
    text: str, rng: random.Random, neighbours: Callable[[str], Sequence[str]], premise: str
) -> Edit | None:
    """A common word replaced by another of its kind that the premise does not use."""
    lowered = premise.lower()
    spots = []
    for match in _WORD.finditer(text):
        word = match[0]
        if word.islower() and len(word) > 3:
            options = [n for n in neighbours(word) if n not in lowered]
            if options:
                spots.append((match.start(), match.end(), options))
    if not spots:
        return None
    start, end, options = rng.choice(spots)
    return _put(text, start, end, rng.choice(options), "word")


_TAIL = re.compile(
    r"(?:,\s+(?:which|who|where|and|but|because|although|while|with|including|such as|as|so)\s"
    r"|\s(?:because|while|in order to|such as|including|due to|by|during|through|after|before|with|for|from"
    r"|in|at|to|when|if|until|since|and)\s)"
)


def added_detail(text: str, rng: random.Random, donors: Sequence[str]) -> Edit | None:
    """The tail of another sentence put behind this one: a plausible detail that nobody stated."""
    for _ in range(6):
        if not donors:
            return None
        donor = rng.choice(donors)
        tails = [m.start() for m in _TAIL.finditer(donor) if 3 <= len(donor[m.start() :].split()) <= 18]
        if tails:
            tail = donor[rng.choice(tails) :].rstrip(" .!?;:")
            body = text.rstrip()
            stop = body[-1] if body.endswith((".", "!", "?")) else ""
            body = body.rstrip(".!?")
            joined = body + (tail if tail[0] in ", " else " " + tail) + stop
            return Edit(joined, ((len(body) + 1, len(body) + len(tail)),), "detail")
    return None


def swapped_tail(text: str, rng: random.Random, donors: Sequence[str]) -> Edit | None:
    """The tail of this sentence replaced by the tail of another one that begins alike."""
    spots = [m for m in _TAIL.finditer(text) if len(text[: m.start()].split()) >= 4]
    if not spots:
        return None
    spot = rng.choice(spots)
    options = []
    for donor in donors:
        at = donor.find(spot[0])
        if at > 0 and 2 <= len(donor[at + len(spot[0]) :].split()) <= 16:
            options.append(donor[at + len(spot[0]) :].rstrip(" .!?;:"))
    if not options:
        return None
    new = rng.choice(options)
    return Edit(text[: spot.end()] + new + ".", ((spot.end(), spot.end() + len(new)),), "tail")


def same(text: str, rng: random.Random) -> Edit:
    """A copy that stays true: synonyms, dropped asides, an opener or a list marker."""
    result = text
    if rng.random() < 0.35:
        result = re.sub(r"\s*\([^()]{2,80}\)", "", result)
    if rng.random() < 0.25:
        shorter = re.sub(
            r", (?:which|who|where|including|such as|with|while|although)\b[^,.]*(?=[,.]|$)",
            "",
            result,
            count=1,
        )
        if len(shorter.split()) >= 5:
            result = shorter
    if rng.random() < 0.2:
        head = re.match(
            r"^(?:In|On|At|During|After|Since|By|For|As|While|However|Also|Additionally)\b[^,]{2,50},\s+",
            result,
        )
        if head and len(result[head.end() :].split()) >= 5:
            result = result[head.end()].upper() + result[head.end() + 1 :]
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        table = SYNONYMS if rng.random() < 0.6 else WORDNET_SYNONYMS
        edit = _swap_word(result, rng, table, "same")
        if edit is not None:
            result = edit.text
    if rng.random() < 0.15:
        result = re.sub(r"(\d),(\d{3})", r"\1\2", result)
    return Edit(result, (), "same")


def dressed(text: str, rng: random.Random) -> tuple[str, int]:
    """The text with an opener or a list marker in front, and how far that shifts it."""
    draw = rng.random()
    if draw < 0.1:
        front = rng.choice(lexicon.OPENERS)
        keeps = text.split(" ", maxsplit=1)[0] in ("I",) or not text[:2].istitle()
        return front + (text if keeps else text[:1].lower() + text[1:]), len(front)
    if draw < 0.15:
        front = rng.choice(lexicon.MARKERS)
        return front + text, len(front)
    return text, 0
