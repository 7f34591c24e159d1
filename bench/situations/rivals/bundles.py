"""What an adapter is given and what it gives back. Runs in any virtual environment: standard library alone.

In: the folder of bundles that `python -m bench.situations` wrote. Out: for every situation the label of each
case, None where the rival finds nothing wrong.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Bundle = dict[str, Any]
Labels = dict[str, str | None]
"""Case → label."""


def bundles(folder: Path) -> Iterator[Bundle]:
    for path in sorted(folder.glob("*.json")):
        bundle: Bundle = json.loads(path.read_text(encoding="utf-8"))
        if bundle["traces"]:
            yield bundle


def main(label: Callable[[Bundle], Labels]) -> None:
    """`python ADAPTER FOLDER OUT`: label every situation."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    found: dict[str, Any] = {}
    for bundle in bundles(folder):
        try:
            found[bundle["id"]] = label(bundle)
        except Exception as error:  # noqa: BLE001 - a rival that fails on one situation is judged on the others
            traceback.print_exc()
            found[bundle["id"]] = {"error": f"{type(error).__name__}: {error}"}
    out.write_text(json.dumps(found, indent=1))


def abstains(trace: dict[str, Any]) -> bool:
    """Whether the answer is that it does not know; each rival is told so in words that it knows."""
    raw = trace["raw"]
    return not raw or any(
        w in raw for w in ("do not say", "do not contain", "do not mention", "could not find")
    )


def gold_spans(bundle: Bundle, trace: dict[str, Any]) -> list[tuple[str, int, int]] | None:
    """(document, start, end) of each unit of evidence in the stored text; None when one is not stored."""
    texts = {document["id"]: document["text"] for document in bundle["corpus"]}
    spans = []
    for unit in trace["evidence"]:
        start = texts.get(unit["document"], "").find(unit["quote"])
        if start < 0:
            return None
        spans.append((unit["document"], start, start + len(unit["quote"])))
    return spans


def chunk_texts(bundle: Bundle) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    """Every stored (document, chunk, text)."""
    for document in bundle["corpus"]:
        for chunk in document["chunks"]:
            yield document, chunk, document["text"][chunk["start"] : chunk["end"]]
