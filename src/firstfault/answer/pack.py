"""Packing: which of the ranked chunks go into the prompt.

In: hits, best first, and a budget in the generator's tokens. Out: numbered passages, and the names of
the chunks that did not fit. A chunk is taken whole or not at all; only when even the best one is too
long is it cut, at a word, and said so.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from firstfault.answer.prompt import fence
from firstfault.types import Chunk, Context, Hit, Passage


def pack(
    hits: Sequence[Hit], *, tokens: Sequence[int], budget: int, count_tokens: Callable[[str], int]
) -> Context:
    """Fill the budget with whole chunks in rank order; a smaller one may follow one that did not fit.

    `tokens` are those of each hit as it stands in the prompt (`framed`); `count_tokens` serves cutting.
    """
    passages: list[Passage] = []
    dropped: list[str] = []
    clipped: list[str] = []
    used = 0
    for hit, whole in zip(hits, tokens, strict=True):
        chunk, size = hit.chunk, whole
        if size > budget and not passages:
            chunk = _clip(chunk, budget, count_tokens)
            size = count_tokens(framed(chunk))
            if chunk.text:
                clipped.append(chunk.id)
        if not chunk.text or used + size > budget:
            dropped.append(chunk.id)
            continue
        passages.append(Passage(number=len(passages) + 1, chunk=chunk, tokens=size))
        used += size
    return Context(
        passages=tuple(passages), tokens=used, budget=budget, dropped=tuple(dropped), clipped=tuple(clipped)
    )


def framed(chunk: Chunk) -> str:
    """A chunk as it stands in the prompt, but for its number."""
    return fence(1, chunk.document_title, chunk.text)


def _clip(chunk: Chunk, budget: int, count_tokens: Callable[[str], int]) -> Chunk:
    """The longest beginning of a chunk that ends at white space and fits; may be empty."""
    low, high = 0, len(chunk.text)
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(framed(replace(chunk, text=chunk.text[:middle]))) <= budget:
            low = middle
        else:
            high = middle - 1
    if low < len(chunk.text):
        words = chunk.text[:low].rsplit(maxsplit=1)
        low = len(words[0]) if len(words) == 2 else low
    return replace(chunk, end=chunk.start + low, text=chunk.text[:low])
