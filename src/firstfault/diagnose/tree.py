"""The decision tree: the question of each stage, and how many cases it lost. Blames in, nodes out."""

from collections.abc import Sequence

from firstfault.diagnose.examine import Subject
from firstfault.diagnose.wording import count
from firstfault.stages import Stage
from firstfault.types import Blame, Finding, Node

QUESTIONS = {
    Stage.CORPUS: "Is the evidence in the corpus, in its current revision?",
    Stage.CHUNK: "Does one chunk hold the evidence whole?",
    Stage.FILTER: "Does the filter admit it?",
    Stage.EMBED: "Does exact dense search or BM25 rank it among the candidates?",
    Stage.INDEX: "Does the index return what exact search returns?",
    Stage.FUSE: "Does it survive fusion?",
    Stage.RERANK: "Does it survive reranking into the top k?",
    Stage.PACK: "Is it in the prompt, and not drowned?",
    Stage.GENERATE: "Does the answer follow the context?",
    Stage.CITE: "Does each citation exist and support its sentence?",
    Stage.FORMAT: "Does the output satisfy its schema?",
}


def tree(subjects: Sequence[Subject], blames: Sequence[Blame], primary: Finding | None) -> tuple[Node, ...]:
    """A node a stage, in order. A case is examined at a stage when no earlier one lost it."""
    answered = any(one.trace is not None and one.trace.answer is not None for one in subjects)
    structured = any(one.trace is not None and one.trace.format is not None for one in subjects)
    filtered = any(one.case.where for one in subjects)
    left = {one.case.id for one in subjects}
    nodes = []
    for stage, question in QUESTIONS.items():
        here = {blame.case_id for blame in blames if blame.stage == stage} & left
        skipped = (
            (stage in (Stage.GENERATE, Stage.CITE) and not answered)
            or (stage is Stage.FORMAT and not structured)
            or (stage is Stage.FILTER and not filtered)
        )
        if skipped and not here:
            why = {Stage.FILTER: "no filter", Stage.FORMAT: "no schema"}.get(stage, "nothing was generated")
            nodes.append(
                Node(stage=stage, question=question, measured=f"not asked: {why}", examined=0, lost=0)
            )
            continue
        kept = len(left) - len(here)
        measured = f"{kept:,} of {count(len(left), 'case')}"
        if primary is not None and primary.stage == stage:
            measured += (
                f"; {primary.cause} in {primary.share:.0%} [{primary.ci_low:.0%}, {primary.ci_high:.0%}]"
            )
        nodes.append(
            Node(stage=stage, question=question, measured=measured, examined=len(left), lost=len(here))
        )
        left -= here
    return tuple(nodes)
