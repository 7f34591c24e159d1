"""Training corpora in, the table of word rarities out: `weights/idf.tsv`."""

import math
from collections import Counter
from pathlib import Path

import corpora

from firstfault.verify.terms import terms


def main(data: Path, target: Path) -> None:
    """Count in how many passages each stem occurs and keep those seen at least three times."""
    counts: Counter[str] = Counter()
    passages = [row.premise for row in corpora.nli(data)] + [
        sentence for doc in corpora.documents(data) for sentence in corpora.sentences(doc.text)
    ]
    for passage in dict.fromkeys(passages):
        counts.update({term.stem for term in terms(passage)})
    total = len(set(passages))
    unknown = math.log((total + 1) / 1.5)
    lines = [f"{unknown:.2f}"]
    lines += [
        f"{stem}\t{math.log((total + 1) / (n + 0.5)):.2f}" for stem, n in sorted(counts.items()) if n >= 3
    ]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines) - 1} stems of {total} passages -> {target}")
