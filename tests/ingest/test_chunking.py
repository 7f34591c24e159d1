import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstfault.config import ChunkingConfig
from firstfault.errors import ConfigError, MissingError
from firstfault.ingest import Chunker
from firstfault.ingest.chunking import _best_cuts, _measure, _Measured
from firstfault.models import store
from firstfault.models.onnx_embedder import OnnxEmbedder
from firstfault.types import Document

KINDS = ("semantic", "recursive")


def document(text: str, **metadata: str) -> Document:
    return Document(id="d", title="d", text=text, source="d", revision="0", metadata=metadata)


def cut(chunker: Chunker, text: str, **metadata: str) -> list[str]:
    return [text[start:end] for start, end in chunker.chunk(document(text, **metadata)).spans]


def small(embedder: OnnxEmbedder, kind: str = "semantic", size: int = 32, overlap: int = 0) -> Chunker:
    return Chunker(
        ChunkingConfig.model_validate({"kind": kind, "max_tokens": size, "overlap_tokens": overlap}), embedder
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_that_fits_is_one_chunk(embedder: OnnxEmbedder, kind: str) -> None:
    text = "\n# Title\n\nOne sentence. Another one.\n\n- item\n"
    assert cut(small(embedder, kind), text) == [text.strip()]


def test_white_space_gives_no_chunk(chunker: Chunker) -> None:
    assert cut(chunker, " \n\t\f ") == []


def test_semantic_chunking_cuts_where_the_topic_changes(embedder: OnnxEmbedder) -> None:
    cats = "Cats purr when they are content. A kitten drinks milk. Feral cats hunt mice at night. "
    money = "The central bank raised interest rates. Inflation fell in May. Bond yields rose again."
    assert cut(small(embedder), cats + money) == [cats.strip(), money]


def test_recursive_chunking_cuts_at_the_largest_separator(embedder: OnnxEmbedder) -> None:
    first = "Alpha beta gamma delta. Epsilon zeta eta theta."
    second = "Iota kappa lambda mu. Nu xi omicron pi rho sigma tau."
    assert cut(small(embedder, "recursive", 24), f"{first}\n\n{second}") == [first, second]


def test_a_heading_stays_with_its_text(embedder: OnnxEmbedder) -> None:
    sections = [f"## Part {n}\n\n" + "Some words stand here in a row. " * 3 for n in range(6)]
    for kind in KINDS:
        for chunk in cut(small(embedder, kind, 40), "\n".join(sections)):
            assert chunk.startswith("## Part")
            assert "words" in chunk


@pytest.mark.parametrize("kind", KINDS)
def test_code_and_tables_stay_whole_where_they_fit(embedder: OnnxEmbedder, kind: str) -> None:
    code = "```\nfor item in range(3):\n    print(item)\n```"
    table = "| name | size |\n| --- | --- |\n| a | 1 |"
    text = f"{'Prose about nothing much at all. ' * 4}\n\n{code}\n\n{'More prose follows. ' * 4}\n\n{table}\n"
    chunks = cut(small(embedder, kind, 32), text)
    assert any(code in chunk for chunk in chunks)
    assert any(table in chunk for chunk in chunks)


def test_source_code_is_not_mistaken_for_headings(embedder: OnnxEmbedder) -> None:
    functions = [f"# adds {n}\ndef add_{n}(value):\n    return value + {n}" for n in range(8)]
    chunks = cut(small(embedder, size=40), "\n\n\n".join(functions), format="code")
    for function in functions:
        assert any(function in chunk for chunk in chunks)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_sentences_are_repeated(embedder: OnnxEmbedder, kind: str) -> None:
    sentences = [f"Sentence number {n} says something new." for n in range(20)]
    spans = small(embedder, kind, 40, 10).chunk(document(" ".join(sentences))).spans
    text = " ".join(sentences)
    assert len(spans) > 3
    for (_, before), (start, _) in itertools.pairwise(spans):
        assert text[start:before] in sentences


def test_no_overlap_when_none_is_wanted(embedder: OnnxEmbedder) -> None:
    text = " ".join(f"Sentence number {n} says something new." for n in range(20))
    spans = small(embedder).chunk(document(text)).spans
    assert all(before < start for (_, before), (start, _) in itertools.pairwise(spans))


def test_nothing_from_before_a_heading_is_repeated(embedder: OnnxEmbedder) -> None:
    text = "".join(f"# Part {n}\n\nShort one. Short two. Short three. Short four.\n\n" for n in range(8))
    for chunk in cut(small(embedder, size=24, overlap=10), text):
        assert chunk.startswith("# Part")


def test_a_run_without_a_break_is_cut(embedder: OnnxEmbedder) -> None:
    blob = "QUJD" * 3000
    chunks = cut(Chunker(ChunkingConfig(), embedder), f"Before. {blob} after.")
    assert max(map(len, chunks)) <= 220 * 12
    assert "".join(chunks).count("QUJD") > 2900


ODD = st.sampled_from(
    ["Hello world. ", "The cat sat on the mat, and slept. ", "\n\n", "\n", "# Head\n", "- item\n", "```\n",
     "| a | b |\n", "    code()\n", "x" * 150, "中文字没有空格。", "é\u0301 ",
     "\u200b", "🙂", "Mr. X ", "\f", "\x85"]
)  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(ODD, max_size=60).map("".join) | st.text(max_size=400),
    kind=st.sampled_from(KINDS),
    n=st.data(),
)
def test_spans_are_exact_whatever_the_text(
    embedder: OnnxEmbedder, text: str, kind: str, n: st.DataObject
) -> None:
    size = n.draw(st.sampled_from([16, 32, 220]))
    overlap = n.draw(st.sampled_from([0, size // 4, size // 2]))
    text = text.encode(errors="ignore").decode()
    spans = small(embedder, kind, size, overlap).chunk(document(text)).spans
    covered = 0
    for start, end in spans:
        assert 0 <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert not text[covered:start].strip()
        assert end > covered
        covered = end
    assert not text[covered:].strip()
    assert len({start for start, _ in spans}) == len(spans)
    if "x" * 100 not in text:  # a word over 100 letters is one unknown token; its pieces may be more
        for (start, end), tokens in zip(
            spans, embedder.count_tokens([text[start:end] for start, end in spans]), strict=True
        ):
            assert tokens - 2 <= size, text[start:end]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.floats(-1, 1)), min_size=1, max_size=9),
    st.sampled_from([16, 20]),
)
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_best_cuts_are_the_best_of_all(
    embedder: OnnxEmbedder, sizes: list[tuple[int, float]], limit: int
) -> None:
    text = " ".join(" ".join(["word"] * size) + "." for size, _ in sizes).replace(". w", ". W")
    measured = _measure(text, small(embedder)._tokenize([text])[0], limit, False)
    value = [worth for _, worth in sizes]
    config = ChunkingConfig(max_tokens=limit, overlap_tokens=0)

    def cost(cuts: tuple[int, ...]) -> float:
        ends = [*cuts[1:], len(sizes)]
        rooms = [measured.room(first, end - 1) for first, end in zip(cuts, ends, strict=True)]
        if max(rooms) > limit:
            return float("inf")
        return sum(0.35 + 0.6 * (1 - room / limit) ** 2 for room in rooms) - sum(value[c] for c in cuts if c)

    assert isinstance(measured, _Measured)
    assert len(measured.units) == len(sizes)
    everything = [
        (0, *chosen)
        for count in range(len(sizes))
        for chosen in itertools.combinations(range(1, len(sizes)), count)
    ]
    found = cost(tuple(_best_cuts(measured, value, config)))
    assert found == pytest.approx(min(map(cost, everything)))


def test_chunks_that_the_embedder_would_cut_short_are_refused(embedder: OnnxEmbedder) -> None:
    with pytest.raises(ConfigError, match=r"chunking\.max_tokens = 255 is more than the 254 tokens"):
        small(embedder, size=255)


def test_an_overlap_that_leaves_no_room_is_refused(embedder: OnnxEmbedder) -> None:
    with pytest.raises(ConfigError, match="more than half"):
        small(embedder, size=32, overlap=17)


class Remote:
    """An embedder that estimates its tokens, as a remote one does."""

    name = "remote-model"
    fingerprint = "f"
    dimension = 8
    max_tokens = content_tokens = 512
    exact_counts = late_interaction = False

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        return [(at, min(at + 3, len(text))) for at in range(0, len(text), 3)]


def test_without_word_vectors_topics_are_told_apart_by_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise MissingError(name, hint="")

    monkeypatch.setattr(store, "path", absent)
    chunker = Chunker(ChunkingConfig(max_tokens=50, overlap_tokens=0), Remote())  # type: ignore[arg-type]
    assert chunker.cohesion_name == "lexical"
    assert "lexical" in chunker.fingerprint
    straw = "Every kitten sleeps on fresh straw. Fresh straw warms any kitten. No kitten leaves warm straw."
    bonds = "Long bonds carry higher yields. Higher yields hurt long bonds. Investors sold bonds for yields."
    assert cut(chunker, f"{straw} {bonds}") == [straw, bonds]


def test_a_remote_embedder_borrows_word_vectors_that_are_there(embedder: OnnxEmbedder) -> None:
    chunker = Chunker(ChunkingConfig(max_tokens=40, overlap_tokens=0), Remote())  # type: ignore[arg-type]
    assert chunker.cohesion_name == "word-vectors"
    cats = "Cats purr when they are content. A kitten drinks milk. Feral cats hunt mice."
    money = "The central bank raised interest rates. Inflation fell in May. Bond yields rose."
    assert cut(chunker, f"{cats} {money}") == [cats, money]


def test_the_fingerprint_names_what_decides_the_spans(embedder: OnnxEmbedder) -> None:
    prints = {small(embedder, kind, size, 8).fingerprint for kind in KINDS for size in (32, 64)}
    assert len(prints) == 4
