"""contexteval: its own replays on the application, rebuilt around what was retrieved, with the same model
behind it.

The retriever returns the recorded top k, the application keeps what was packed (and whatever contexteval
injects), the prompt goes through the OpenAI SDK to the situation's endpoint. Its grader is given the truth.
Questions without an answer have no evidence: their label is that of a judge who knows the truth, which
contexteval would ask a model for.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import contexteval
from bundles import Bundle, Labels, abstains, main
from contexteval import _diagnose, _hooks, _runner
from contexteval._intervention import EVIDENCE_CHUNK_ID
from contexteval._llm import FakeProvider, Task
from contexteval.types import Evidence, TestCase

from bench.situations import faults
from bench.situations.endpoint import Endpoint, Room

_hooks.install("cli")
import openai  # noqa: E402 - after the hooks

SERVER = Endpoint()
SERVER.__enter__()


def label(bundle: Bundle) -> Labels:
    name, seed = bundle["id"].rsplit("-", 1)
    situation = faults.build(name, int(seed))
    SERVER.rooms["app"] = Room(situation.clerk)
    client = openai.OpenAI(base_url=SERVER.url("app"), api_key="none")
    by_question = {trace["question"]: trace for trace in bundle["traces"]}
    questions = {question.text: question for question in situation.world.questions}

    def grades(request: object) -> str:
        asked = request.inputs["question"]  # type: ignore[attr-defined]
        answer = request.inputs["answer"].replace("**", "")  # type: ignore[attr-defined]
        values = [fact.value for fact in questions[asked].facts]
        return "PASS" if all(value in answer for value in values) else "FAIL"

    grade = _runner.make_grader(FakeProvider(handlers={Task.GRADE: grades}))

    @contexteval.retriever(top_k="limit")
    def search(query: str, limit: int = 100) -> list[dict[str, str]]:
        return [
            {"id": hit["chunk"], "text": hit["text"]}
            for hit in by_question[query]["hits"][: _selected(bundle)]
        ][:limit]

    def answer(question: str) -> str:
        packed = {p["chunk"]: p for p in by_question[question]["passages"]}
        kept = []
        for hit in search(question):
            identity = hit["id"] or EVIDENCE_CHUNK_ID
            if identity in packed:
                kept.append((packed[identity]["title"], packed[identity]["text"]))
            elif identity == EVIDENCE_CHUNK_ID:
                kept.append(("", hit["text"]))
        sources = "\n\n".join(
            f'<passage number="{n}" title="{title}">\n{text}\n</passage>'
            for n, (title, text) in enumerate(kept, 1)
        )
        prompt = f"{sources}\n\nQuestion: {question}"
        reply = client.chat.completions.create(model="house", messages=[{"role": "user", "content": prompt}])
        return reply.choices[0].message.content or ""

    labels: Labels = {}
    for trace in bundle["traces"]:
        if not trace["answerable"]:
            labels[trace["case"]] = None if abstains(trace) else "judged:ignored"
            continue
        evidence = Evidence(" ".join(unit["quote"] for unit in trace["evidence"]))
        case = TestCase(trace["case"], trace["question"], trace["expected"], evidence, "cases.jsonl")
        recorded = _runner.run_case(answer, case, grade)
        assert recorded.test is not None
        if recorded.test.passed:
            labels[trace["case"]] = None
            continue
        gold = _diagnose.locate_gold(evidence, recorded)
        found = _diagnose.diagnose_case(gold, _diagnose.make_replay(answer, case, evidence, grade), samples=1)
        kind = type(found).__name__.lower()
        if kind == "missing":
            kind = f"missing:{found.cause}"  # type: ignore[union-attr]
        if getattr(found, "split_gold", False):
            kind += ":split"
        labels[trace["case"]] = kind
    return labels


def _selected(bundle: Bundle) -> int:
    return int(bundle["settings"].get("search.top_k", 5))


main(label)
