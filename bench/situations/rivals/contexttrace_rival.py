"""contexttrace: its repair plan, which verifies the answer and audits the corpus, one a case.

Given: question, answer as generated, packed passages with rank and score, marks resolved to passages, the
corpus as a folder. Its first root cause is the label.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from bundles import Bundle, Labels, abstains, main
from contexttrace.repair import build_repair_plan

ABSTENTION = "I don't know."
"""In words that it knows: it then finds nothing wrong, whatever was retrieved. So, as the better input, only
questions without an answer get it."""


def _said(trace: dict[str, Any]) -> str:
    return trace["raw"] or "The sources do not say."


def label(bundle: Bundle) -> Labels:
    labels: Labels = {}
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for document in bundle["corpus"]:
            (corpus / f"{document['id'].replace('/', '_')}.txt").write_text(document["text"])
        for trace in bundle["traces"]:
            text = ABSTENTION if abstains(trace) and not trace["answerable"] else _said(trace)
            contexts = [
                {
                    "id": str(p["number"]),
                    "text": p["text"],
                    "metadata": {"document": p["document"], "rank": p["number"]},
                }
                for p in trace["passages"]
            ]
            citations = []
            for sentence in re.split(r"(?<=[.\]])\s+(?=[A-Z])", text):
                claim = re.sub(r"\s*\[\d+\]", "", sentence).strip()
                citations += [{"claim": claim, "source_id": n} for n in re.findall(r"\[(\d+)\]", sentence)]
            payload = {
                "query": trace["question"],
                "answer": re.sub(r"\s*\[\d+\]", "", text),
                "contexts": contexts,
                "citations": citations,
            }
            path = Path(folder) / "trace.json"
            path.write_text(json.dumps(payload))
            plan = build_repair_plan(path, corpus_path=corpus)
            needed = plan["status"] == "repair_required"
            labels[trace["case"]] = plan["primary_root_cause"] if needed else None
    return labels


main(label)
