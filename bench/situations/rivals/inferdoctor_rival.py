"""inferdoctor: `rag diagnose` on one case and trace each; its first broken layer is the label.

Given: expected source and facts (the value must be said), candidates with ranks, selected chunks, context,
whether the budget cut anything, raw and final answer. A question without an answer must be abstained from:
what the application would say instead of abstaining cannot be listed beforehand, so its forbidden claims stay
empty.
"""

from __future__ import annotations

from typing import Any

from bundles import Bundle, Labels, main
from inferdoctor.core.rag import diagnose_rag


def label(bundle: Bundle) -> Labels:
    return {trace["case"]: _one(trace) for trace in bundle["traces"]}


def _one(trace: dict[str, Any]) -> str | None:
    facts = [
        {"fact_id": f"f{i}", "description": value, "match_terms": [value], "match_mode": "exact_phrase"}
        for i, value in enumerate(trace["values"])
    ]
    if not trace["answerable"]:
        facts = [
            {
                "fact_id": "abstains",
                "description": "abstains",
                "match_mode": "any_term",
                "match_terms": ["do not say", "do not contain", "do not mention", "could not find"],
            }
        ]
    case = {
        "schema_version": "inferdoctor.rag.case.v1",
        "case_id": trace["case"],
        "question": trace["question"],
        "language": "en",
        "category": "qa",
        "why_bad": "to be found out",
        "current_answer": "",
        "expected_answer": trace["expected"],
        "expected_sources": [
            {"source_id": unit["document"], "title": "", "section": "", "locator": "", "required": True}
            for unit in trace["evidence"]
        ],
        "required_facts": facts if trace["answerable"] else [],
        "forbidden_claims": [],
        "expected_behavior": "",
    }
    if not trace["answerable"]:
        case["required_facts"] = facts
    selected = [passage["chunk"] for passage in trace["passages"]]
    cut = any(
        passage["chunk"] not in {hit["chunk"] for hit in trace["hits"]} for passage in trace["passages"]
    )
    context = "\n\n".join(passage["text"] for passage in trace["passages"])
    document = {
        "schema_version": "inferdoctor.rag.trace.v1",
        "trace_id": trace["trace"] or "t",
        "timestamp": "2026-01-01T00:00:00Z",
        "system": {},
        "pipeline": {},
        "timings": {},
        "privacy": {"private_data_present": False},
        "input": {"original_question": trace["question"]},
        "retrieval": {
            "candidates": [
                {
                    "chunk_id": hit["chunk"],
                    "source_id": hit["document"],
                    "rank": rank,
                    "score": None,
                    "selected_for_context": hit["chunk"] in selected,
                }
                for rank, hit in enumerate(trace["hits"], start=1)
            ]
        },
        "context_selection": {
            "selected_chunk_ids": selected,
            "context_text": context,
            "truncated": cut or trace.get("budget_cut", False),
            "top_k": len(selected),
        },
        "prompt": {"grounding_instruction_present": True},
        "generation": {"raw_answer": trace["raw"] or trace["answer"]},
        "postprocessing": {"final_answer": trace["raw"] or trace["answer"]},
    }
    result = diagnose_rag(case, document)
    attribution = result.get("attribution") or result
    layer = attribution.get("first_broken_layer")
    if layer and layer != "UNKNOWN":
        return str(layer)
    said = [line for diagnosis in result["diagnoses"] for line in diagnosis["evidence"]]
    return (
        "answer_omits_context" if any("final answer omits required facts" in line for line in said) else None
    )


main(label)
