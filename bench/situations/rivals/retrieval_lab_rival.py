"""retrieval-lab: its attribution function on the recorded candidates of every stage, with gold spans.

It sees retrieval alone. A question whose gold is not stored has no span, which it refuses; that refusal is
counted as the label `gold_not_in_corpus`.
"""

from __future__ import annotations

from bundles import Bundle, Labels, gold_spans, main
from retrieval_lab import Chunk, Config, EvidenceSet, GoldAnswer, GoldSpan
from retrieval_lab.attribution import StageOutputs, attribute


def label(bundle: Bundle) -> Labels:
    labels: Labels = {}
    settings = bundle["settings"]
    places = {
        chunk["id"]: (document["id"], chunk["start"], chunk["end"], document["text"])
        for document in bundle["corpus"]
        for chunk in document["chunks"]
    }

    def made(identity: str, end: int | None = None) -> Chunk:
        document, start, stop, text = places[identity]
        stop = stop if end is None else end
        return Chunk(id=identity, source_id=document, start=start, end=stop, text=text[start:stop])

    reranks = settings.get("search.rerank", "late") != "none" and not any(
        "rerank" not in hit["arms"] for trace in bundle["traces"] for hit in trace["hits"][:1]
    )
    top_k = settings.get("search.top_k", 5)
    depth = 30 if reranks else top_k
    config = Config(
        embed_model="e",
        chunker="c",
        retrieval="hybrid",
        rerank="r" if reranks else None,
        top_k=top_k,
        candidate_n=max(50, top_k),
        budget_tokens=900,
    )
    for trace in bundle["traces"]:
        if not trace["answerable"]:
            labels[trace["case"]] = None
            continue
        spans = gold_spans(bundle, trace)
        if spans is None:
            labels[trace["case"]] = "gold_not_in_corpus"
            continue
        texts = {document["id"]: document["text"] for document in bundle["corpus"]}
        gold = GoldAnswer((EvidenceSet(tuple(GoldSpan(d, a, b, texts[d][a:b]) for d, a, b in spans)),))
        hits = [hit for hit in trace["hits"] if hit["chunk"] in places]
        union = [made(hit["chunk"]) for hit in hits]
        fused = [
            made(hit["chunk"])
            for hit in sorted(hits, key=lambda hit: hit["arms"].get("fuse", {}).get("rank", 10**6))[:depth]
        ]
        outputs = StageOutputs(
            all_chunks=[made(identity) for identity in places],
            candidate_union=union,
            dense_candidates=[made(hit["chunk"]) for hit in hits if "dense" in hit["arms"]],
            sparse_candidates=[made(hit["chunk"]) for hit in hits if "bm25" in hit["arms"]],
            fused=fused,
            pre_final=fused,
            reranker_input=fused if reranks else None,
            final=[made(hit["chunk"]) for hit in hits[:top_k]],
            budget_packed=[
                Chunk(id=p["chunk"], source_id=p["document"], start=p["start"], end=p["end"], text=p["text"])
                for p in trace["passages"]
            ],
        )
        labels[trace["case"]] = attribute(outputs, gold, config, min_gold_coverage=1.0).stage
    return labels


main(label)
