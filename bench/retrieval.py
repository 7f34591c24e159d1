"""Ranking quality of each arm, of fusion and of the default configuration, at document level.

    python -m bench.retrieval [xquad|clapnq]

xquad is the yardstick and no setting was chosen on it; clapnq is the development set.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.peers.corpus import data_folder
from bench.ranking import first_seen, hit, mean, ndcg
from firstfault.answer import Application
from firstfault.config import load
from firstfault.ingest import Chunker, ingest


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main(name: str = "xquad") -> None:
    folder = data_folder() / "qa" / name
    cases = [case for case in rows(folder / "cases.jsonl.gz") if case["answerable"]]
    with tempfile.TemporaryDirectory() as home:
        config = load(Path(home), environment={})
        with Application(config, create=True) as app:
            chunker = Chunker(config.settings.chunking, app.embedder)
            ingest(app.collection, [folder / "documents.jsonl.gz"], chunker=chunker)
            rankings: dict[str, list[list[str]]] = {
                arm: [] for arm in ("dense", "bm25", "fuse", "rerank", "final")
            }
            for case in cases:
                hits = app.search(case["question"])
                for arm, found in rankings.items():
                    placed = [h for h in hits if arm in h.arms]
                    order = hits if arm == "final" else sorted(placed, key=lambda h: h.arms[arm].rank)
                    found.append(first_seen(h.chunk.document_id for h in order)[:10])
    relevant = [{item["document"] for item in case["evidence"]} for case in cases]
    print(f"{name}: {len(cases)} questions, default configuration")
    print(f"{'arm':<8} {'nDCG@10':>8} {'hit@1':>8}")
    for arm, found in rankings.items():
        pairs = list(zip(found, relevant, strict=True))
        gain, first = mean([ndcg(r, t) for r, t in pairs]), mean([hit(r, t) for r, t in pairs])
        print(f"{arm:<8} {gain:>8.4f} {first:>8.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
