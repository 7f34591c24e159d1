"""Minimal edits of true claims from corpora that training never saw; none of these word pairs is in
`train/lexicon.py`.

Two kinds of true claims: sentences of a passage word for word, and claims that people or models wrote and
experts
found supported. Each is edited in one place, or its evidence is taken away.
"""

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from firstfault.verify import split_claims
from firstfault.verify.discourse import read_role

_PAIRS = """
abundant scarce|accelerate slow|accelerated slowed|admit deny|admitted denied|advance retreat
advanced retreated
affordable unaffordable|amateur professional|amplify dampen|appropriate inappropriate|arrival departure
ascend descend
asleep awake|attach detach|attached detached|available unavailable|backed opposed|bitter sweet
blocked opened|bold timid
boost cut|boosted cut|brave cowardly|bright dim|broad narrow|calm anxious|capable incapable|cause effect
cautious reckless
ceiling floor|central peripheral|close far|closely loosely|coastal inland|combine separate|combined separated
comfortable uncomfortable|complete incomplete|conceal reveal|confirmed denied|confirm deny
convenient inconvenient
convicted acquitted|cooled heated|costly inexpensive|crowded deserted|damaged repaired|decreases increases
deflate inflate|defended attacked|delayed hastened|deny admit|despite because|dim bright|dissolve solidify
drought flood
dull shiny|eager reluctant|earned owed|effective ineffective|elderly youthful|eliminate retain
entrance exit|essential unnecessary
even odd|evil virtuous|expanding contracting|experienced inexperienced|explicit implicit|export import
exterior interior
extreme moderate|fail pass|failed passed|fertile barren|few numerous|final initial|finite infinite
flexible rigid|float sink
foolish wise|frozen thawed|funded defunded|generous stingy|gentle harsh|gradual sudden|gradually suddenly
harmful harmless
hidden exposed|honest dishonest|huge tiny|humid arid|identical distinct|ignore notice
increasingly decreasingly|inhale exhale
inherited acquired|insert extract|intentional accidental|justice injustice|lenient strict
literal figurative|loose tight
lower raise|loyal disloyal|mature immature|minimize maximize|mild severe|multiply divide|nearby distant
nearest farthest
noisy silent|obey defy|oral written|orderly chaotic|original copied|outdoor indoor|patient impatient
perfect flawed
permanent temporary|plentiful scarce|polite rude|precede follow|pleasant unpleasant|polluted clean
praised criticized
predictable unpredictable|proud ashamed|provided withheld|purchased sold|pure contaminated|ratified vetoed
recent ancient
recovered deteriorated|refuse accept|released withheld|relaxed tense|retired hired|rough smooth
secure insecure
shallow deep|shorten lengthen|shrinking growing|significant negligible|slowly rapidly|sober drunk
southward northward
spacious cramped|sparse dense|straight curved|strengthen weaken|strict lenient|suitable unsuitable
supply demand|survived perished
surplus shortage|thrive wither|tiny huge|together apart|transparent opaque|trusted distrusted
typical unusual|underground overground
unique commonplace|upward downward|urgent unimportant|useful useless|valid invalid|vague precise|vast tiny
victim perpetrator
violent peaceful|virtue vice|weaken strengthen|wealth poverty|welcome reject|willing unwilling
winding straight|within beyond
""".replace("\n", "|")
_NUMBER = re.compile(r"(?<![\w.,])\d{1,4}(?:,\d{3})*(?:\.\d+)?(?![\w,.]\d)(?!\w)")
_AUX = re.compile(r"\b(is|are|was|were|has been|have been|can|will|should|may|could|would|must)\b(?! not)")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?: [A-Z][a-z]+)*")


def _table() -> dict[str, str]:
    pairs = [entry.split() for entry in _PAIRS.split("|") if entry.strip()]
    return {a: b for a, b in reversed(pairs)} | {b: a for a, b in reversed(pairs)}  # noqa: C416


OPPOSITES = _table()
"""All pairs of the table: `train/wordnet.py` leaves them out."""
_TAUGHT = """
attacked bitter decreases deep defended export import increases indoor loose lower outdoor permanent raise
rough shallow smooth sweet temporary tight
"""
UNTAUGHT = {a: b for a, b in OPPOSITES.items() if a not in _TAUGHT.split()}
"""Those that `train/lexicon.py` does not hold either: what is measured with."""


@dataclass(frozen=True)
class Case:
    """A context and a claim, with how the claim was made."""

    context: tuple[str, ...]
    claim: str
    kind: str
    """`true`, or the name of the edit."""
    corpus: str


def number(text: str, rng: random.Random, _: Sequence[str]) -> str | None:
    """One number changed."""
    spots = list(_NUMBER.finditer(text))
    if not spots:
        return None
    spot = rng.choice(spots)
    digits = list(spot[0])
    i = rng.choice([i for i, c in enumerate(digits) if c.isdigit()])
    digits[i] = rng.choice([c for c in "123456789" if c != digits[i]])
    return text[: spot.start()] + "".join(digits) + text[spot.end() :]


def entity(text: str, rng: random.Random, pool: Sequence[str]) -> str | None:
    """One name exchanged for another name of as many words from the same corpus."""
    spots = list(_NAME.finditer(text))
    if not spots:
        return None
    spot = rng.choice(spots)
    options = [
        n for n in pool if len(n.split()) == len(spot[0].split()) and n not in text and spot[0] not in n
    ]
    return text[: spot.start()] + rng.choice(options) + text[spot.end() :] if options else None


def negation(text: str, rng: random.Random, _: Sequence[str]) -> str | None:
    """A `not` put behind the first auxiliary, or an existing one removed."""
    if " not " in text:
        return text.replace(" not ", " ", 1)
    spot = _AUX.search(text)
    if spot is None:
        return None
    first = spot[0].split()[0]
    return text[: spot.start() + len(first)] + " not" + text[spot.start() + len(first) :]


def antonym(text: str, rng: random.Random, _: Sequence[str]) -> str | None:
    """One word exchanged for its opposite."""
    spots = [m for m in re.finditer(r"[A-Za-z]+", text) if m[0] in UNTAUGHT]
    if not spots:
        return None
    spot = rng.choice(spots)
    return text[: spot.start()] + UNTAUGHT[spot[0]] + text[spot.end() :]


def relation(text: str, rng: random.Random, _: Sequence[str]) -> str | None:
    """Two names of the sentence exchanged."""
    spots = list(_NAME.finditer(text))
    for a, b in itertools.pairwise(spots):
        between = text[a.end() : b.start()]
        if (
            a[0] != b[0]
            and not re.fullmatch(r"[\s,]*(?:and|or)?[\s,]*", between)
            and len(between.split()) >= 2
        ):
            return text[: a.start()] + b[0] + between + a[0] + text[b.end() :]
    return None


EDITS = {"number": number, "entity": entity, "negation": negation, "antonym": antonym, "relation": relation}


def cases(
    rows: Sequence[dict[str, Any]], corpus: str, *, verbatim: bool, most: int, seed: int = 5
) -> list[Case]:
    """True claims of a corpus and their edits: at most `most` of each kind."""
    rng = random.Random(f"{corpus}{verbatim}{seed}")
    bases = list(_sentences(rows) if verbatim else _claims(rows))
    rng.shuffle(bases)
    pool = sorted({m[0] for context, _ in bases for passage in context for m in _NAME.finditer(passage)})
    found = [Case(context, claim, "true", corpus) for context, claim in bases[:most]]
    for kind, edit in EDITS.items():
        made = []
        for context, claim in bases:
            text = edit(claim, rng, pool)
            if text is not None and text != claim:
                made.append(Case(context, text, kind, corpus))
            if len(made) >= most:
                break
        found += made
    for context, claim in bases[:most]:
        away = rng.choice([c for c, _ in bases if c != context])
        found.append(Case(away, claim, "wrong_passage", corpus))
        if verbatim:
            rest = tuple(passage.replace(claim, " ") for passage in context)
            found.append(Case(rest, claim, "removed", corpus))
    return found


def _sentences(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[tuple[str, ...], str]]:
    seen = set()
    for row in rows:
        context = _around(row["context"])
        if context in seen:
            continue
        seen.add(context)
        spans = [(p, a, b) for p, passage in enumerate(context) for a, b in split_claims(passage)]
        texts = [context[p][a:b] for p, a, b in spans]
        good = [t for t in texts if 8 <= len(t.split()) <= 40 and t[:1].isupper() and t.endswith(".")]
        for text in good[1:8:2]:
            if sum(passage.count(text) for passage in context) == 1:
                yield context, text


def _around(context: Sequence[str]) -> tuple[str, ...]:
    """About 300 words of the context: whole passages, or the middle of a page."""
    kept: list[str] = []
    words = 0
    start = 0 if len(context) < 20 else len(context) // 4
    for passage in context[start:]:
        words += len(passage.split())
        kept.append(passage)
        if words > 280:
            break
    return tuple(kept) if len(kept) < 8 else (" ".join(kept),)


def _claims(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[tuple[str, ...], str]]:
    for row in rows:
        claims_something = read_role(row["claim"]).role == "claim"
        if claims_something and row["label"] == 1 and 7 <= len(row["claim"].split()) <= 45:
            yield tuple(row["context"]), row["claim"]
