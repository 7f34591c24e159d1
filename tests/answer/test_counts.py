from collections.abc import Sequence

import pytest

from firstfault.answer import Application
from firstfault.answer.counts import BYTES_PER_TOKEN, SPECIALS, TokenCounts
from firstfault.answer.pack import framed
from firstfault.errors import StorageError


class Counting:
    """A generator that counts words, and what it was asked to count."""

    name = "counting"
    fingerprint = "counting-1"
    exact_counts = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def count_tokens(self, text: str) -> int:
        self.asked.append(text)
        return len(text.split())

    def count_each(self, texts: Sequence[str]) -> list[int]:
        return [self.count_tokens(text) for text in texts]


def counted(
    counts: TokenCounts, generator: Counting, passages: dict[int, str], enough: int = 0
) -> tuple[int, list[int]]:
    return counts.count(
        generator,  # type: ignore[arg-type]
        list(passages),
        list(passages.values()),
        frame="answer from these",
        question="what is it",
        enough=enough,
    )


def test_a_chunk_is_counted_once_and_for_good(application: Application) -> None:
    generator, collection = Counting(), application.collection
    keys = [key for name in ("d00", "d01", "d02") for key, _ in collection.chunks_of(name)]
    passages = dict(zip(keys, ["one", "two words", "now three words"], strict=True))
    counts = TokenCounts(collection)
    assert counted(counts, generator, passages) == (6, [1, 2, 3])
    assert generator.asked == ["one", "two words", "now three words", "answer from these", "what is it"]
    generator.asked.clear()
    some = {key: passages[key] for key in keys[1:]}
    assert counted(counts, generator, some) == (6, [2, 3])
    assert generator.asked == ["what is it"]
    counts.save()
    counts.save()
    again = TokenCounts(collection)
    generator.asked.clear()
    assert counted(again, generator, passages) == (6, [1, 2, 3])
    assert generator.asked == ["answer from these", "what is it"]
    generator.fingerprint = "counting-2"
    assert counted(again, generator, {keys[0]: "one"}) == (6, [1])
    assert "one" in generator.asked


def test_what_is_around_is_exact_only_where_room_is_short(application: Application) -> None:
    generator, counts = Counting(), TokenCounts(application.collection)
    key = application.collection.chunks_of("d00")[0][0]
    bound = 3 + 2 * len("what is it") + 8
    assert counted(counts, generator, {key: "one"}, enough=bound) == (bound, [1])
    assert "what is it" not in generator.asked
    assert counted(counts, generator, {key: "one"}, enough=bound - 1) == (6, [1])


@pytest.mark.parametrize(
    "question", ["?", "a b c " * 30, "\U0001f600" * 40, "<|im_end|>" * 20, "\x01\x02" * 30]
)
def test_the_bound_holds_for_the_real_tokenizer(application: Application, question: str) -> None:
    generator = application.generator(application.settings.generator)
    assert generator is not None
    assert generator.count_tokens(question) <= BYTES_PER_TOKEN * len(question.encode()) + SPECIALS


def test_estimates_are_not_kept(application: Application) -> None:
    generator, counts = Counting(), TokenCounts(application.collection)
    generator.exact_counts = False
    key = application.collection.chunks_of("d00")[0][0]
    assert counted(counts, generator, {key: "two words"})[1] == [2]
    counts.save()
    assert application.collection.token_counts("counting-1", [key]) == {}


def test_the_memory_is_bounded_and_a_refusing_disk_costs_only_time(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstfault.answer.counts.MOST_PENDING", 1)
    generator, counts = Counting(), TokenCounts(application.collection)
    keys = [key for name in ("d00", "d01") for key, _ in application.collection.chunks_of(name)]
    passages = dict(zip(keys, ["one", "two words"], strict=True))
    assert counted(counts, generator, passages)[1] == [1, 2]
    assert application.collection.token_counts("counting-1", keys) == {keys[0]: 1, keys[1]: 2}

    def refuse(*_: object) -> None:
        raise StorageError("full", hint="free some")

    monkeypatch.setattr(application.collection, "remember_token_counts", refuse)
    other = Counting()
    other.fingerprint = "other"
    assert counted(counts, other, passages)[1] == [1, 2]


def test_counts_of_llama_do_not_depend_on_neighbours_and_agree_with_the_prompt(
    application: Application,
) -> None:
    generator = application.generator(application.settings.generator)
    assert generator is not None
    hits = application.search("How often is the pump inspected?")[:6]
    passages = [framed(hit.chunk) for hit in hits]
    together = generator.count_each(passages)
    assert [generator.count_each([passage])[0] for passage in passages] == together
    whole = generator.count_tokens("".join(f"{passage}\n\n" for passage in passages) + "<")
    assert sum(together) + 1 == whole


def test_a_question_leaves_its_counts_for_the_next_process(application: Application) -> None:
    settings = application.settings.override({"generator.max_tokens": "1"})
    trace = application.ask("How often is the pump inspected?", settings=settings)
    assert trace.context is not None
    keys = [hit.key for hit in trace.hits[: trace.selected]]
    application.token_counts.save()
    assert trace.generation is not None
    stored = application.collection.token_counts(trace.generation.fingerprint, keys)
    assert [stored[key] for key in keys] == [passage.tokens for passage in trace.context.passages]
    loaded = [
        (stage, event.attributes["model"]) for stage, event in trace.events() if event.name == "model_loaded"
    ]
    assert loaded == [("pack", "SmolLM2-135M-Instruct"), ("cite", "verifier local")]
    again = application.ask("How often is the pump inspected?", settings=settings)
    assert not [event for _, event in again.events() if event.name == "model_loaded"]
