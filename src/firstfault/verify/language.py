"""Text in, its language out as far as its script and function words tell; None when they do not."""

import re
from collections import Counter
from functools import lru_cache

_SCRIPTS = (
    ("cyrillic", re.compile(r"[\u0400-\u04ff]")),
    ("greek", re.compile(r"[\u0370-\u03ff]")),
    ("arabic", re.compile(r"[\u0600-\u06ff]")),
    ("hebrew", re.compile(r"[\u0590-\u05ff]")),
    ("devanagari", re.compile(r"[\u0900-\u097f]")),
    ("thai", re.compile(r"[\u0e00-\u0e7f]")),
    ("korean", re.compile(r"[\uac00-\ud7af]")),
    ("japanese", re.compile(r"[\u3040-\u30ff]")),
    ("chinese", re.compile(r"[\u4e00-\u9fff]")),
)
_OTHER_SCRIPT = re.compile("|".join(pattern.pattern for _, pattern in _SCRIPTS))
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
_WORD = re.compile(r"[A-Za-zÀ-ɏ]+")
_FUNCTION_WORDS = {
    "English": "the of and to in is was for with that on are by"
    " as it from his were which this be has not an at or",
    "German": "der die das und ist nicht ein eine den von zu"
    " mit dem des auf für im sich als auch wurde einer sind",
    "French": "le la les des et est une du dans pour que qui"
    " sur par au avec pas ne il elle sont aux ce cette",
    "Spanish": "el los las y es una del por para con que se su al como fue más pero sus lo son ha este esta",
    "Italian": "il di che è per una del della con non sono gli nel alla dei le da si anche ha come più delle",
    "Portuguese": "o os as e do da em um uma para com não que se por dos foi mais na no ao são como",
    "Dutch": "de het een van en is dat op te voor met zijn niet aan er ook als door naar bij werd wordt uit",
}
_SPOKEN: dict[str, list[str]] = {}
"""Function word → the languages it belongs to."""
for _name, _list in _FUNCTION_WORDS.items():
    for _word in set(_list.split()):
        _SPOKEN.setdefault(_word, []).append(_name)
_ENOUGH = 2
_SAMPLE = 3000


@lru_cache(maxsize=256)
def language(text: str) -> str | None:
    """`English`, `German`, ... or a script such as `arabic`; None when there is too little to tell."""
    sample = text[:_SAMPLE]
    if not sample.isascii() and _OTHER_SCRIPT.search(sample):
        latin = len(_LATIN.findall(sample))
        for name, pattern in _SCRIPTS:
            if len(pattern.findall(sample)) > latin:
                return name
    counts = dict.fromkeys(_FUNCTION_WORDS, 0)
    times = Counter(_WORD.findall(sample.lower()))
    for word in times.keys() & _SPOKEN.keys():
        for spoken in _SPOKEN[word]:
            counts[spoken] += times[word]
    (best, name), (second, _) = sorted(((n, name) for name, n in counts.items()), reverse=True)[:2]
    return name if best >= _ENOUGH and best >= 1.5 * second else None
