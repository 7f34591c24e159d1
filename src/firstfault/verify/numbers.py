"""Text in, the numbers and dates it states out, in one form: `1,200`, `1200` and `1.2 thousand` are equal."""

import re
from dataclasses import dataclass
from functools import lru_cache

_WORD_VALUES = """
zero=0 one=1 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 ten=10 eleven=11 twelve=12
thirteen=13 fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18 nineteen=19 twenty=20 thirty=30
forty=40 fifty=50 sixty=60 seventy=70 eighty=80 ninety=90 hundred=100 dozen=12 half=0.5 first=1 second=2
third=3 fourth=4 fifth=5 sixth=6 seventh=7 eighth=8 ninth=9 tenth=10 once=1 twice=2
"""
_WORDS = {word: float(value) for word, value in (pair.split("=") for pair in _WORD_VALUES.split())}
_VAGUE = frozenset({"one", "first", "second", "half", "once", "hundred"})
"""Number words that often do not count anything ("one of", "at first", "a second"): never reported as
missing."""
_SCALE = {
    "thousand": 1e3,
    "k": 1e3,
    "million": 1e6,
    "m": 1e6,
    "mn": 1e6,
    "billion": 1e9,
    "bn": 1e9,
    "b": 1e9,
    "trillion": 1e12,
}
_MONTH_NAMES = "january february march april may june july august september october november december"
_DAY_NAMES = "monday tuesday wednesday thursday friday saturday sunday"
_MONTHS = frozenset(_MONTH_NAMES.split())
_DAYS = frozenset(_DAY_NAMES.split())
_UNIT_NAMES = """
percent % percent pct
dollar $ dollar dollars usd
euro € euro euros eur
pound £
kilometre km kilometers kilometres kilometer
mile mile miles
metre m meters metres meter metre
centimetre cm
millimetre mm
foot feet foot ft
inch inch inches
kilogram kg kilograms kilogram
gram g gram grams
milligram mg milligrams
pound-weight lb lbs pounds
ounce ounce ounces oz
second second seconds
minute minute minutes min
hour hour hours
day day days
week week weeks
month month months
year year years
cup cup cups
tablespoon tablespoon tablespoons
teaspoon teaspoon teaspoons
megabyte mb
gigabyte gb
terabyte tb
millisecond ms
litre liters litres
millilitre ml
gallon gallons gallon
degree degrees
"""
"""A line a unit: its one form, then how it is written."""
_UNITS = {
    written: line.split()[0] for line in _UNIT_NAMES.strip().splitlines() for written in line.split()[1:]
}
_BEFORE_MONTHS = frozenset("in since until by of last early late from to through".split())
_TOKEN = re.compile(
    r"(?P<money>[$€£])\s?(?P<amount>\d+(?:,\d{3})*(?:\.\d+)?)\s?(?P<short>k|mn?|bn?)\b"
    r"|(?P<sign>[$€£])?\s?(?P<digits>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<ordinal>st|nd|rd|th)?(?![\w])(?P<percent>\s?%)?"
    r"|(?P<glued>\d+(?:\.\d+)?)(?P<unit>km|cm|mm|kg|mg|ml|gb|mb|tb|ms|ft|lbs?|oz|k|m|bn|g|min)\b"
    r"|(?P<word>[A-Za-z]+)",
    re.IGNORECASE,
)
_NEXT = re.compile(r"[\s-]*([A-Za-z%]+)")
_MENTION = re.compile(
    r"(?i)\b(?:passages?|steps?|sources?|documents?|contexts?)\s*#?\d+(?:\s*(?:,|and|&)\s*\d+)*[.):]?"
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number or date word of a text."""

    value: float | str
    """The amount, or the lower-case name of a month or weekday."""
    unit: str
    """The unit that follows or leads, in one form; empty if none is known."""
    text: str
    """As written."""
    firm: bool
    """Whether its absence from the context means something; vague words such as `one` are not firm."""


@lru_cache(maxsize=4096)
def numbers(text: str) -> tuple[Number, ...]:
    """The numbers, month names and weekdays of a text, in order. Mentions such as "passage 2" do not
    count. The last few thousand texts are remembered: a context meets many claims."""
    text = _MENTION.sub(lambda match: " " * len(match[0]), text)
    found = []
    for match in _TOKEN.finditer(text):
        word = (match["word"] or "").lower()
        if word in _WORDS:
            unit = _unit_after(text, match.end())
            value = _WORDS[word] * _scale_after(text, match.end())
            found.append(Number(float(value), unit, match[0], word not in _VAGUE))
        elif word in _DAYS or (word in _MONTHS and (match["word"] or "")[0].isupper()):
            firm = word not in ("may", "march") or _dated(text, match)
            found.append(Number(word, "", match[0], firm))
        elif match["money"]:
            value = float(match["amount"].replace(",", "")) * _SCALE[match["short"].lower()]
            found.append(Number(value, _UNITS[match["money"]], match[0], True))
        elif match["digits"]:
            value = float(match["digits"].replace(",", "")) * _scale_after(text, match.end())
            unit = _UNITS["%"] if match["percent"] else _UNITS.get(match["sign"] or "", "")
            found.append(Number(value, unit or _unit_after(text, match.end()), match[0].strip(), True))
        elif match["glued"]:
            unit = match["unit"].lower()
            scale = _SCALE.get(unit, 1.0) if unit in ("k", "m", "bn") else 1.0
            found.append(Number(float(match["glued"]) * scale, _UNITS.get(unit, ""), match[0], True))
    return tuple(found)


def _dated(text: str, match: re.Match[str]) -> bool:
    """Whether `May` or `March` stands where a month does: before a number, or after a preposition of time."""
    after, before = text[match.end() : match.end() + 3], text[: match.start()].split()[-1:]
    return bool(re.match(r"\s+\d", after)) or (bool(before) and before[0].lower() in _BEFORE_MONTHS)


def _scale_after(text: str, end: int) -> float:
    following = _NEXT.match(text, end)
    return _SCALE.get(following[1].lower(), 1.0) if following and len(following[1]) > 1 else 1.0


def _unit_after(text: str, end: int) -> str:
    following = _NEXT.match(text, end)
    if following and following[1].lower() in _SCALE and len(following[1]) > 1:
        following = _NEXT.match(text, following.end())
    return _UNITS.get(following[1].lower(), "") if following else ""
