from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from firstfault.answer.pack import framed
from firstfault.answer.pack import pack as pack_counted
from firstfault.types import Chunk, Context, Hit


def hit(text: str, number: int = 0) -> Hit:
    chunk = Chunk(
        id=f"d@0:{number}", document_id="d", document_title="t", start=100, end=100 + len(text), text=text
    )
    return Hit(chunk=chunk, arms={})


def pack(hits: list[Hit], *, budget: int, count_tokens: Callable[[str], int]) -> Context:
    tokens = [count_tokens(framed(one.chunk)) for one in hits]
    return pack_counted(hits, tokens=tokens, budget=budget, count_tokens=count_tokens)


def words(text: str) -> int:
    return len(text.split())


FRAME = 4
"""Words that the fence adds around a one-word title: `<passage number="1" title="t">` and its end."""


def test_takes_whole_chunks_in_rank_order_and_names_what_was_left_out() -> None:
    hits = [hit("a b c", 1), hit("d " * 50, 2), hit("e f", 3)]
    context = pack(hits, budget=20, count_tokens=words)
    assert [passage.chunk.id for passage in context.passages] == ["d@0:1", "d@0:3"]
    assert [passage.number for passage in context.passages] == [1, 2]
    assert context.dropped == ("d@0:2",)
    assert context.clipped == ()


def test_the_best_chunk_is_cut_at_a_word_when_even_it_is_too_long() -> None:
    context = pack([hit("alpha beta gamma delta " * 20)], budget=FRAME + 3, count_tokens=words)
    passage = context.passages[0]
    assert context.clipped == ("d@0:0",)
    assert passage.chunk.end == passage.chunk.start + len(passage.chunk.text)
    assert passage.chunk.text.split() == "alpha beta gamma delta".split()[: len(passage.chunk.text.split())]
    assert context.tokens <= context.budget


def test_nothing_fits_into_nothing() -> None:
    context = pack([hit("a b c")], budget=0, count_tokens=words)
    assert context.passages == ()
    assert context.dropped == ("d@0:0",)


@given(st.lists(st.text(min_size=1, max_size=200), max_size=8), st.integers(0, 120))
def test_the_budget_holds_and_every_chunk_is_accounted_for(texts: list[str], budget: int) -> None:
    hits = [hit(text, number) for number, text in enumerate(texts)]
    context = pack(hits, budget=budget, count_tokens=len)
    assert context.tokens <= budget
    assert context.tokens == sum(passage.tokens for passage in context.passages)
    packed = [passage.chunk.id for passage in context.passages]
    assert sorted(packed + list(context.dropped)) == sorted(one.chunk.id for one in hits)
    for passage in context.passages:
        original = next(one.chunk for one in hits if one.chunk.id == passage.chunk.id)
        assert original.text.startswith(passage.chunk.text)
        assert passage.chunk.end - passage.chunk.start == len(passage.chunk.text)
