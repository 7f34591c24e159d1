"""The extractive generator: the sentences of the passages that answer best, word for word.

In: a question and a packed context. Out: up to three sentences with their marks, or nothing when none
is near the question. Needs no language model and cannot invent.
"""

from firstfault.models.embedder import Embedder
from firstfault.types import Context
from firstfault.verify import split_claims

MOST_SENTENCES = 3
LEAST_WORDS = 3
NEAR_BEST = 0.85
"""A further sentence is taken when its similarity is at least this share of the best one's."""


def extract(question: str, context: Context, *, embedder: Embedder, least: float) -> str:
    """Verbatim sentences, in the order of the passages, each followed by its mark.

    Sentences are ranked by cosine similarity with the question (ties: earlier first); none below
    `least` is taken. Returns the empty string when nothing qualifies.
    """
    found = [
        (passage.number, " ".join(passage.chunk.text[start:end].split()))
        for passage in context.passages
        for start, end in split_claims(passage.chunk.text)
    ]
    found = [pair for pair in dict.fromkeys(found) if _says_something(pair[1])]
    if not found:
        return ""
    query = embedder.embed([question], kind="query")[0]
    vectors = embedder.embed([sentence for _, sentence in found], kind="document")
    scores = vectors @ query
    order = sorted(range(len(found)), key=lambda i: (-float(scores[i]), i))
    floor = max(least, NEAR_BEST * float(scores[order[0]]))
    taken = sorted(i for i in order[:MOST_SENTENCES] if float(scores[i]) >= floor)
    return " ".join(f"{found[i][1]} [{found[i][0]}]" for i in taken)


def _says_something(sentence: str) -> bool:
    """Whether it is a sentence, and no heading, code, table row or scrap."""
    return not sentence.startswith(("#", ">>>", "`", "|", "...")) and len(sentence.split()) >= LEAST_WORDS
