"""What is sent while an answer is written is always a prefix of the answer."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from firstfault.answer.cite import check, compose
from firstfault.serve.live import Live
from firstfault.stages import Stage
from firstfault.trace import OpenSpan, Recording
from firstfault.types import Chunk, Context, Passage, Support

TEXTS = ("Water is wet.", "The moon is far away.")


class WordVerifier:
    """Supports a sentence when its first word stands in the passage."""

    name = "words"

    def verify_claims(self, pairs: Any) -> list[Support]:
        return [self._verify(" ".join(contexts), claim) for contexts, claim in pairs]

    def _verify(self, context: str, claim: str) -> Support:
        holds = claim.split(maxsplit=1)[0].strip(".,").lower() in context.lower()
        label, status = ("supported", "ok") if holds else ("unsupported", "fail")
        return Support(name="support", status=status, label=label, score=1.0 if holds else 0.0)  # type: ignore[arg-type]


def context() -> Context:
    passages = tuple(
        Passage(
            number=number,
            chunk=Chunk(
                id=f"c{number}",
                document_id=f"d{number}",
                document_title="T",
                start=0,
                end=len(text),
                text=text,
            ),
            tokens=4,
        )
        for number, text in enumerate(TEXTS, start=1)
    )
    return Context(passages=passages, tokens=8, budget=100)


VOCABULARY = "water moon is wet far The sources do not say 3.14 e.g. [1] [2] [7] [note] [12 . ! ? … : ; x"
WORDS = st.sampled_from([*VOCABULARY.split(" "), "[1, 2]", "\n", "\n\n"])
RAW = st.lists(WORDS, min_size=1, max_size=25).flatmap(
    lambda words: st.lists(st.sampled_from([" ", " ", ""]), min_size=len(words), max_size=len(words)).map(
        lambda gaps: "".join(f"{word}{gap}" for word, gap in zip(words, gaps, strict=True))
    )
)


@settings(max_examples=400)
@example(raw="sources water . . [1] ", size=1, policy="annotate")
@given(raw=RAW, size=st.integers(1, 6), policy=st.sampled_from(["annotate", "strip", "abstain"]))
def test_what_was_sent_is_a_prefix_of_the_answer(raw: str, size: int, policy: Any) -> None:
    events: list[tuple[str, Any]] = []
    live = Live(policy, lambda name, data: events.append((name, data)))
    live.packed(context(), WordVerifier())
    for start in range(0, len(raw), size):
        live.wrote(raw[start : start + size])
    span = OpenSpan(Recording(), Stage.CITE)
    answer = compose(raw, check(raw, context(), verifier=WordVerifier(), span=span), policy=policy)
    live.finish(answer)
    assert "replace" not in [name for name, _ in events]
    assert "".join(data["text"] for name, data in events if name == "text") == answer.text
    assert [data["number"] for name, data in events if name == "citation"] == [
        citation.number for citation in answer.citations
    ]
    assert [data["text"] for name, data in events if name == "sentence"] == [
        claim.text for claim in answer.claims
    ]


def test_half_a_mark_is_held_back() -> None:
    sent: list[str] = []
    live = Live("annotate", lambda name, data: sent.append(data["text"]) if name == "text" else None)
    live.packed(context(), WordVerifier())
    for piece in ("Water", " is", " wet", " [", "1"):
        live.wrote(piece)
    assert "".join(sent) == "Water is wet"
    live.wrote("].")
    live.wrote(" The moon")
    assert "".join(sent) == "Water is wet [1]. The moon"


def test_json_is_not_sent_before_it_is_valid() -> None:
    events: list[str] = []
    live = Live("annotate", lambda name, _data: events.append(name), structured=True)
    live.packed(context(), WordVerifier())
    live.wrote('{"a": 1')
    assert events == ["context"]
