"""The data folder in, documents, summaries and premise / claim rows out.

Only the sets that are for training are read here; the development sets are never opened by `train/`.
"""

import difflib
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from firstfault.verify.sentences import split_claims

SUMMEDITS = ("ectsum", "podcast", "sales_call", "sales_email")


@dataclass(frozen=True)
class Row:
    """A premise and a claim with its label: 1 supported, 0 not."""

    premise: str
    claim: str
    label: int
    source: str
    spans: tuple[tuple[int, int], ...] | None = None
    """Characters of the claim that make it false; None when not known."""


@dataclass(frozen=True)
class Doc:
    """A document of sentences."""

    source: str
    title: str
    text: str


def lines(path: Path) -> list[dict]:
    """The rows of a gzipped JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def held_back(key: str, share: float = 0.2) -> bool:
    """Whether a document belongs to the part that training never sees, decided by a hash of its text."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF < share


_BRACKETS = {
    "-LRB-": "(",
    "-RRB-": ")",
    "-LSB-": "[",
    "-RSB-": "]",
    "-LCB-": "{",
    "-RCB-": "}",
    "``": '"',
    "''": '"',
}


def untokenise(text: str) -> str:
    """Undo the spaces that a tokeniser put around punctuation."""
    for old, new in _BRACKETS.items():
        text = text.replace(old, new)
    text = re.sub(r"\( \[[^\]]*\](?: or \[[^\]]*\])* \)", "", text)
    text = re.sub(r" ([,.;:!?%)\]}])", r"\1", text)
    text = re.sub(r"([(\[{$£#]) ", r"\1", text)
    text = re.sub(r" (n't|'s|'re|'ve|'ll|'d|'m|')(?=\W|$)", r"\1", text)
    text = re.sub(r" (-{1,2}) (?=\w)", lambda m: "–" if len(m[1]) == 2 else "-", text)
    return re.sub(r"\s+", " ", text).strip()


def nli(data: Path) -> list[Row]:
    """FEVER, MNLI, SNLI and SciTail."""
    rows = []
    for name in ("fever", "mnli", "snli", "scitail"):
        for row in lines(data / "verifier_train" / f"{name}.jsonl.gz"):
            label = (
                row.get("label_raw") == "1" if name == "fever" else row["label"] in ("entailment", "entails")
            )
            rows.append(Row(untokenise(row["premise"]), untokenise(row["claim"]), int(label), name))
    return rows


def documents(data: Path) -> list[Doc]:
    """ClapNQ and XQuAD documents, and the SummEdits documents that are not held back."""
    found = []
    for name in ("clapnq", "xquad"):
        for row in lines(data / "qa" / name / "documents.jsonl.gz"):
            text = untokenise(row["text"]) if name == "clapnq" else row["text"]
            found.append(Doc(name, row["title"], text))
    for name in SUMMEDITS:
        rows = lines(data / "faithfulness" / f"summedits_{name}.jsonl.gz")
        for text in dict.fromkeys(row["context"][0] for row in rows):
            if not held_back(text):
                found.append(Doc(f"summedits_{name}", name, text))
    return found


def summaries(data: Path) -> list[Row]:
    """SummEdits by sentence: the premise is the whole document; sentences whose label is unclear are left
    out."""
    found: dict[tuple[str, str], Row] = {}
    for name in SUMMEDITS:
        rows = lines(data / "faithfulness" / f"summedits_{name}.jsonl.gz")
        originals: dict[str, list[list[str]]] = {}
        for row in rows:
            if row["id"].endswith("_og"):
                originals.setdefault(row["context"][0], []).append(sentences(row["claim"]))
        for row in rows:
            document = row["context"][0]
            if held_back(document):
                continue
            for sentence, label, spans in _labelled(row, originals.get(document, [])):
                found.setdefault(
                    (document, sentence), Row(document, sentence, label, f"summedits_{name}", spans)
                )
    return list(found.values())


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [text[a:b] for a, b in split_claims(text)]


def _labelled(
    row: dict, originals: list[list[str]]
) -> list[tuple[str, int, tuple[tuple[int, int], ...] | None]]:
    own = sentences(row["claim"])
    if row["label"] == 1:
        return [(s, 1, ()) for s in own]
    near = max(
        originals, key=lambda o: difflib.SequenceMatcher(None, " ".join(o), row["claim"]).ratio(), default=[]
    )
    changed = [s for s in own if s not in near]
    if not changed:
        return []
    if len(changed) > 1:
        return [
            (
                " ".join(changed),
                0,
                changed_spans(" ".join(s for s in near if s not in own), " ".join(changed)),
            )
        ]
    source = max(near, key=lambda s: difflib.SequenceMatcher(None, s, changed[0]).ratio(), default="")
    return [(changed[0], 0, changed_spans(source, changed[0]))]


def changed_spans(before: str, after: str) -> tuple[tuple[int, int], ...] | None:
    """Characters of `after` in words that `before` does not have at that place; None when nothing was put
    in."""
    words = [m.span() for m in re.finditer(r"\S+", after)]
    matcher = difflib.SequenceMatcher(None, before.split(), [after[a:b] for a, b in words], autojunk=False)
    spans = [
        (words[j1][0], words[j2 - 1][1])
        for tag, _, _, j1, j2 in matcher.get_opcodes()
        if tag != "equal" and j2 > j1
    ]
    return tuple(spans) or None
