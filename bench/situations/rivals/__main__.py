"""`python -m bench.situations.rivals`: every rival on the situations that were played, beside Firstfault.

    bench/situations/rivals/setup.sh DIR                      # their virtual environments
    python -m bench.situations --more                         # play; writes bench/out/situations/
    python -m bench.situations.rivals --venvs DIR [--bundles bench/out/situations] [--only NAME]

A rival's verdict on a situation is the label that most of its cases have, when at least two cases and a fifth
of them have it. A label names a stage when the stage is among those that `MEANS` says it may mean: an upper
bound, since most labels may mean several. `exactly` counts where it can mean only that one. On a sound
application any verdict is a false alarm.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bench.situations import faults
from firstfault.models import store

RETRIEVAL = ("corpus", "chunk", "filter", "embed", "index", "fuse", "rerank")

MEANS: dict[str, dict[str, tuple[str, ...]]] = {
    "contexteval": {
        "missing:not_retrieved": RETRIEVAL,
        "missing:dropped": ("rerank", "pack"),
        "missing:dropped:split": ("chunk",),
        "irrelevant": ("pack",),
        "irrelevant:split": ("chunk", "pack"),
        "ignored": ("pack", "generate"),
        "ignored:split": ("chunk", "generate"),
        "notcontext": ("generate", "cite"),
        "notcontext:split": ("chunk", "generate"),
        "judged:ignored": ("generate",),
        "flaky": (),
    },
    "ragmortem": {
        "retrieval_miss": ("filter", "embed", "index", "chunk"),
        "retrieval_suspected": ("filter", "embed", "index", "chunk"),
        "ranking_miss": ("fuse", "rerank", "pack"),
        "ranking_suspected": ("fuse", "rerank", "pack"),
        "generation_ignored_context": ("generate",),
        "generation_suspected": ("generate",),
        "generation_proven": ("generate",),
        "should_abstain": ("corpus", "generate"),
        "abstention_suspected": ("corpus", "generate"),
        "unknown": (),
    },
    "contexttrace": {
        "retrieval_miss": ("filter", "embed", "index", "fuse"),
        "reranking_failure": ("fuse", "rerank"),
        "chunking_issue": ("chunk",),
        "corpus_gap": ("corpus",),
        "stale_source": ("corpus", "pack", "generate"),
        "conflicting_contexts": ("pack", "generate"),
        "answer_overreach": ("generate",),
        "contradicted": ("generate",),
        "contradicted_claim": ("generate",),
        "unsupported_claim": ("generate",),
        "should_have_abstained": ("generate",),
        "insufficient_context": (*RETRIEVAL, "pack"),
        "wrong_source_cited": ("cite",),
        "citation_mismatch": ("cite",),
        "missing_cited_source": ("cite",),
    },
    "retrieval-lab": {
        "gold_not_in_corpus": ("corpus",),
        "representation": ("corpus", "chunk"),
        "ann_index": ("index",),
        "candidate_generation": ("chunk", "filter", "embed"),
        "fusion": ("fuse",),
        "reranker_demotion": ("rerank",),
        "final_cutoff": ("fuse", "rerank"),
        "budget_cutoff": ("pack",),
    },
    "recallops": {
        "corpus": ("corpus", "pack"),
        "parse": ("corpus", "chunk"),
        "chunk": ("chunk",),
        "embed": ("embed",),
        "retrieve": ("fuse",),
        "rerank": ("rerank",),
    },
    "inferdoctor": {
        "retrieval": RETRIEVAL,
        "ranking": ("fuse", "rerank", "pack"),
        "context_selection": ("fuse", "rerank", "pack"),
        "context_truncation": ("pack",),
        "prompt": ("generate",),
        "answer_omits_context": ("generate",),
        "postprocessing": ("generate",),
    },
}
"""What each label may mean among our stages, read generously."""

VERSIONS = {
    "contexteval": "0.4.0",
    "ragmortem": "0.2.0",
    "contexttrace": "1.3.0",
    "retrieval-lab": "0.1.0",
    "recallops": "0.2.0",
    "inferdoctor": "0.8.0",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.situations.rivals", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--venvs", type=Path, required=True)
    parser.add_argument("--bundles", type=Path, default=Path("bench/out/situations"))
    parser.add_argument("--out", type=Path, default=Path("bench/out/rivals"))
    parser.add_argument("--only", action="append", choices=sorted(MEANS))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    known = {}
    for path in sorted(given.bundles.glob("*.json")):
        bundle = json.loads(path.read_text())
        known[bundle["id"]] = bundle
    labels = {}
    for rival in given.only or MEANS:
        labels[rival] = _run(
            rival, given.venvs, given.bundles.absolute(), given.out.absolute() / f"{rival}.json"
        )
    print(table(known, labels))
    return 0


def _run(rival: str, venvs: Path, bundles: Path, out: Path) -> dict[str, Any]:
    adapter = Path(__file__).parent / f"{rival.replace('-', '_')}_rival.py"
    environment = {
        **os.environ,
        "FIRSTFAULT_MINILM": str(store.path("all-MiniLM-L6-v2")),
        "HF_HUB_OFFLINE": "1",
    }
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [venvs / rival / "bin" / "python", adapter, bundles, out],
        check=False,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        print(f"{rival} failed: {done.stderr[-600:]}", file=sys.stderr)
        return {}
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def verdict(cases: dict[str, str | None]) -> str | None:
    """The label of most cases, when two of them and a fifth have it."""
    counts = Counter(label for label in cases.values() if label)
    if not counts:
        return None
    label, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return label if count >= 2 and count >= 0.2 * len(cases) else None


def table(known: dict[str, Any], labels: dict[str, dict[str, Any]]) -> str:
    """One row a kind of situation, one column a diagnoser: stage named (exactly)."""
    kinds = [name for name in faults.ALL if any(bundle["name"] == name for bundle in known.values())]
    rows = {name: [b for b in known.values() if b["name"] == name] for name in kinds}
    columns = ["Firstfault", *labels]
    lines = [
        "| situation | stage | n | " + " | ".join(columns) + " |",
        "|---|---|---|" + "---|" * len(columns),
    ]
    totals: dict[str, dict[str, list[int]]] = {}
    for name in kinds:
        group = "table" if name in faults.FAULTS else "more" if name in faults.MORE_FAULTS else "controls"
        cells = []
        for column in columns:
            named, exact = _count(column, rows[name], labels)
            total = totals.setdefault(group, {}).setdefault(column, [0, 0])
            total[0] += named
            total[1] += exact
            cells.append(str(named) if column == "Firstfault" or named == exact else f"{named} ({exact})")
        stage = rows[name][0]["stage"]
        lines.append(f"| {name} | {stage or 'alarms'} | {len(rows[name])} | " + " | ".join(cells) + " |")
    for group, title in (("table", "stage named"), ("more", "six more faults"), ("controls", "false alarms")):
        if group in totals:
            n = sum(len(rows[name]) for name in kinds if name in _group(group))
            cells = [f"**{a}**" if a == b else f"**{a}** ({b})" for a, b in totals[group].values()]
            lines.append(f"| **{title}** | | {n} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _group(group: str) -> dict[str, Any]:
    return {"table": faults.FAULTS, "more": faults.MORE_FAULTS, "controls": faults.CONTROLS}[group]


def _count(column: str, rows: list[dict[str, Any]], labels: dict[str, dict[str, Any]]) -> tuple[int, int]:
    """(stage named at all, stage named exactly); on sound applications false alarms twice."""
    named = exact = 0
    for bundle in rows:
        if column == "Firstfault":
            if bundle["stage"] is None:
                hit = certain = not bundle["healthy"]
            else:
                hit = certain = bundle["got"] is not None and bundle["got"][0] == bundle["stage"]
        else:
            cases = labels[column].get(bundle["id"], {})
            said = None if "error" in cases else verdict(cases)
            means = MEANS[column].get(said, ()) if said else ()
            if said and said not in MEANS[column]:
                print(f"{column}: label {said!r} is not mapped", file=sys.stderr)
            hit = bool(said) if bundle["stage"] is None else bundle["stage"] in means
            certain = hit if bundle["stage"] is None else means == (bundle["stage"],)
        named += hit
        exact += certain
    return named, exact


if __name__ == "__main__":
    sys.exit(main())
