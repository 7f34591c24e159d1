from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstfault.collection import Collection, check_document, parse_where
from firstfault.config import Settings
from firstfault.errors import ConfigError, InputError, MismatchError, MissingError, StorageError
from firstfault.models.tokenvectors import compress
from firstfault.types import ChunkedDocument, Document

from .conftest import OpenCollection, add, document, hashed, names


def nearest(collection: Collection, embedder: Any, question: str, **options: Any) -> list[str]:
    found = collection.dense(embedder.embed([question])[0], **{"limit": 5, **options})
    return names(collection, [candidate.key for candidate in found], options.get("version"))


def lexical(collection: Collection, question: str, **options: Any) -> list[str]:
    found = collection.bm25(question, **{"limit": 5, **options})
    return names(collection, [candidate.key for candidate in found], options.get("version"))


def test_what_was_added_is_listed_found_and_fetched(collection: Collection, embedder: Any) -> None:
    first, second = add(
        collection,
        document("cats", "the cat sat on the mat", "cats purr when content"),
        document("dogs", "dogs bark at night", metadata={"year": 2020}),
    )
    assert (first.document_id, first.chunks, first.replaced, first.unchanged) == ("cats", 2, False, False)
    assert second.cached == 0
    assert collection.version == 1
    assert [row.id for row in collection.documents()] == ["cats", "dogs"]
    assert set(collection.revisions()) == {"cats", "dogs"}
    assert nearest(collection, embedder, "cats purr when content", limit=1) == ["cats"]
    assert lexical(collection, "barking dog") == ["dogs"]
    (key, chunk), _ = collection.chunks_of("cats")
    assert collection.fetch([key, 999]) == {key: chunk}
    assert collection.chunk(chunk.id) == chunk
    stored = collection.document("cats")
    assert stored.text[chunk.start : chunk.end] == chunk.text == "the cat sat on the mat"
    assert chunk.id == f"cats@{stored.revision[:8]}:0-22"
    info = collection.info()
    assert (info.documents, info.chunks, info.index_points, info.fields) == (2, 3, 3, {"year": ("number",)})
    assert info.changed_at is not None


def test_everything_is_there_after_reopening(open_collection: OpenCollection, embedder: Any) -> None:
    collection = open_collection()
    add(collection, document("a", "one fish", metadata={"n": 1}), document("b", "two fish"))
    before = collection.bm25("fish", limit=5), collection.document("a"), collection.info()
    collection.close()
    again = open_collection(write=False)
    assert (again.bm25("fish", limit=5), again.document("a")) == before[:2]
    assert again.info().fields == before[2].fields
    assert again.recovery.added == again.recovery.removed == 0
    assert again.recovery.rebuilt == ""


def test_a_replaced_document_is_retired_and_found_at_its_version(
    collection: Collection, embedder: Any
) -> None:
    add(collection, document("a", "the old price is 10"), document("b", "unrelated words"))
    old_key, old = collection.chunks_of("a")[0]
    (done,) = add(collection, document("a", "the new price is 20", "and shipping is free"))
    assert (done.replaced, done.chunks) == (True, 2)
    assert collection.version == 2
    assert collection.document("a").text.startswith("the new")
    assert collection.document("a", version=1).text == "the old price is 10"
    assert collection.chunk(old.id) == old
    with pytest.raises(InputError, match="no chunk"):
        collection.chunk(old.id, version=2)
    assert collection.fetch([old_key]) == {}
    assert collection.fetch([old_key], version=1) == {old_key: old}
    assert lexical(collection, "old price") == ["a"]
    assert collection.bm25("old", limit=5) == []
    assert [c.key for c in collection.bm25("old", limit=5, version=1)] == [old_key]
    assert len(collection.dense(embedder.embed(["price"])[0], limit=9)) == 3
    assert len(collection.dense(embedder.embed(["price"])[0], limit=9, version=1)) == 2
    info = collection.info()
    assert (info.documents, info.retired_documents, info.chunks, info.retired_chunks) == (2, 1, 3, 1)


def test_a_revision_that_is_live_already_changes_nothing(collection: Collection) -> None:
    add(collection, document("a", "same"))
    (again,) = add(collection, document("a", "same"))
    assert again.unchanged
    assert not again.replaced
    assert collection.version == 1
    assert collection.info().retired_documents == 0


def test_a_document_given_twice_in_one_call_ends_as_the_later_one(collection: Collection) -> None:
    done = add(collection, document("a", "first"), document("b", "other"), document("a", "second"))
    assert [(d.document_id, d.replaced) for d in done] == [("a", False), ("b", False), ("a", True)]
    assert collection.document("a").text == "second"


def test_retired_documents_are_gone_now_and_there_before(collection: Collection, embedder: Any) -> None:
    add(collection, document("a", "alpha", metadata={"only": "here"}), document("b", "beta"))
    assert collection.retire(["a", "a", "nowhere"]) == 1
    assert collection.version == 2
    assert nearest(collection, embedder, "alpha") == ["b"]
    assert nearest(collection, embedder, "alpha", version=1) == ["a", "b"]
    assert collection.retire(["a"]) == 0
    assert collection.version == 2
    with pytest.raises(InputError, match="no document 'a'"):
        collection.document("a")
    with pytest.raises(InputError, match="No document has the field 'only'"):
        collection.bm25("beta", where=parse_where('only = "here"'), limit=3)
    assert lexical(collection, "alpha", where=parse_where('only = "here"'), version=1) == ["a"]


def test_two_chunks_of_equal_text_stay_two(collection: Collection, embedder: Any) -> None:
    done = add(collection, document("a", "same words", "same words"), document("b", "same words"))
    assert [d.chunks for d in done] == [2, 1]
    assert len(collection.bm25("same", limit=9)) == 3
    assert len(collection.dense(embedder.embed(["same words"])[0], limit=9)) == 3
    assert embedder.embedded.count("same words") == 2  # once when stored, once as the question


def test_only_the_text_is_embedded_and_indexed(collection: Collection, embedder: Any) -> None:
    add(collection, document("title-word", "body text", metadata={"author": "zanzibar"}))
    assert embedder.embedded == ["body text"]
    assert collection.bm25("zanzibar title-word txt", limit=5) == []


def test_cached_vectors_are_not_embedded_again(open_collection: OpenCollection, embedder: Any) -> None:
    collection = open_collection()
    add(collection, document("a", "stays the same", "changes"))
    (done,) = add(collection, document("a", "stays the same", "has changed"))
    assert (done.chunks, done.cached) == (2, 1)
    assert embedder.embedded == ["changes", "stays the same", "has changed"]
    other = open_collection(name="other")
    (done,) = add(other, document("x", "has changed"))
    assert done.cached == 1
    assert other.info().documents == 1
    assert collection.info().documents == 1


def test_token_vectors_are_those_of_the_same_pass(collection: Collection, embedder: Any) -> None:
    add(collection, document("a", "one two three"))
    key, chunk = collection.chunks_of("a")[0]
    wanted = compress(embedder.embed_tokens([chunk.text])[0].tokens)
    assert collection.token_vectors([key, 12345]) == {key: wanted}


def test_truncated_chunks_are_counted(collection: Collection) -> None:
    (done,) = add(collection, document("a", "short", "word " * 300))
    assert done.truncated == 1


def test_a_document_without_chunks_is_listed(collection: Collection) -> None:
    (done,) = add(collection, document("empty"))
    assert done.chunks == 0
    assert [row.chunks for row in collection.documents()] == [0]
    add(collection, document("a", "words"))
    assert lexical(collection, "words") == ["a"]


def test_filters_are_checked_before_the_search(collection: Collection, embedder: Any) -> None:
    add(collection, document("a", "text", metadata={"year": 2020, "lang": ["en", "de"]}))
    vector = embedder.embed(["text"])[0]
    with pytest.raises(InputError, match="No document has the field 'yaer'") as caught:
        collection.dense(vector, where=parse_where("yaer = 2020"), limit=5)
    assert "Did you mean 'year'?" in caught.value.hint
    with pytest.raises(InputError, match="holds number"):
        collection.bm25("text", where=parse_where('year = "2020"'), limit=5)
    assert lexical(collection, "text", where=parse_where('lang = "de" and year >= 2020')) == ["a"]
    assert lexical(collection, "text", where=parse_where("year > 2020")) == []


def test_the_filter_is_applied_before_the_limit(collection: Collection, embedder: Any) -> None:
    near = [document(f"near{n}", "exactly the question", metadata={"keep": False}) for n in range(20)]
    add(collection, *near, document("far", "something exactly else", metadata={"keep": True}))
    where = parse_where("keep = true")
    assert nearest(collection, embedder, "exactly the question", where=where, limit=3) == ["far"]
    assert lexical(collection, "exactly the question", where=where, limit=3) == ["far"]


def test_a_question_without_terms_finds_nothing_by_words(collection: Collection) -> None:
    add(collection, document("a", "text"))
    assert collection.bm25("?! …", limit=5) == []


def test_failures_are_kept_until_the_source_is_stored(collection: Collection) -> None:
    collection.record_failure("a.pdf", "no text")
    collection.record_failure("b.pdf", "encrypted")
    collection.record_failure("a.pdf", "still no text")
    assert [(f.source, f.reason) for f in collection.failures()] == [
        ("a.pdf", "still no text"),
        ("b.pdf", "encrypted"),
    ]
    add(collection, document("a", "now it reads", source="a.pdf"))
    assert [f.source for f in collection.failures()] == ["b.pdf"]
    assert {v.name: v.status for v in collection.check()}["failed sources"] == "warn"
    collection.forget_failures(["b.pdf"])
    assert collection.failures() == []


def test_gc_drops_what_was_retired_before_and_what_nothing_needs(collection: Collection) -> None:
    add(collection, document("a", "old words"), document("b", "kept"))
    add(collection, document("a", "new words"))
    old = [c.key for c in collection.bm25("old", limit=5, version=1)]
    none = collection.gc(before=datetime.now(UTC) - timedelta(days=1))
    assert (none.documents, none.chunks, none.embeddings) == (0, 0, 0)
    assert collection.document("a", version=1).text == "old words"
    done = collection.gc(before=datetime.now(UTC) + timedelta(seconds=1))
    assert (done.documents, done.chunks, done.embeddings) == (1, 1, 1)
    assert collection.fetch(old, version=1) == {}
    assert collection.info().index_points == 2
    assert lexical(collection, "new") == ["a"]
    assert all(verdict.status == "ok" for verdict in collection.check())


def test_gc_gives_the_space_back(collection: Collection) -> None:
    texts = [f"{n} words " * 3000 for n in range(8)]
    add(collection, *(document(f"d{n}", text) for n, text in enumerate(texts)))
    collection.retire(collection.revisions())
    size = collection.info().bytes_database
    done = collection.gc(before=datetime.now(UTC) + timedelta(seconds=1))
    assert done.bytes_freed > 200_000
    assert collection.info().bytes_database < size - 100_000


def test_keys_are_never_used_twice(collection: Collection) -> None:
    add(collection, document("a", "one"))
    first = collection.chunks_of("a")[0][0]
    collection.retire(["a"])
    collection.gc(before=datetime.now(UTC) + timedelta(seconds=1))
    add(collection, document("a", "one"))
    assert collection.chunks_of("a")[0][0] > first


def test_a_mismatch_names_both_embedders_and_the_way_out(home: Path, embedder: Any) -> None:
    Collection.open(home, settings=Settings(), embedder=embedder).close()
    other = hashed.HashedEmbedder(dimension=32, name="another")
    with pytest.raises(MismatchError, match=r"made with the embedder hashed .* name another") as caught:
        Collection.open(home, settings=Settings(), embedder=other)
    assert "hashed" in caught.value.hint
    Collection.open(home, settings=Settings(), embedder=embedder).close()  # the refusal left no lock behind
    Collection.open(home, settings=Settings()).close()  # without an embedder nothing is compared


def test_what_is_absent_is_missing_unless_it_may_be_created(home: Path, embedder: Any) -> None:
    with pytest.raises(MissingError, match="nothing at") as caught:
        Collection.open(home, settings=Settings(), embedder=embedder, write=False)
    assert "firstfault ingest PATH" in caught.value.hint
    assert not home.exists()
    with Collection.open(home, settings=Settings(), embedder=embedder):
        pass
    with pytest.raises(MissingError, match="no collection 'other'"):
        Collection.open(home, name="other", settings=Settings(), embedder=embedder, write=False)
    with pytest.raises(MissingError, match="no collection 'other'"):
        Collection.open(home, name="other", settings=Settings())


def test_names_become_folders_and_are_checked(home: Path, embedder: Any) -> None:
    for name in ("../x", "", "a b", "-a", "x" * 64):
        with pytest.raises(InputError, match="cannot be the name"):
            Collection.open(home, name=name, settings=Settings(), embedder=embedder)


def test_adding_needs_an_embedder(home: Path, embedder: Any) -> None:
    Collection.open(home, settings=Settings(), embedder=embedder).close()
    with (
        Collection.open(home, settings=Settings()) as collection,
        pytest.raises(ConfigError, match="without an embedder"),
    ):
        collection.add_all([document("a", "text")])


def test_an_embedder_without_token_vectors_stores_none(home: Path, embedder: Any) -> None:
    embedder.late_interaction = False
    with Collection.open(home, settings=Settings(), embedder=embedder) as collection:
        add(collection, document("a", "text"))
        key = collection.chunks_of("a")[0][0]
        assert collection.token_vectors([key]) == {key: b""}


def test_the_language_of_a_collection_is_kept(home: Path, embedder: Any) -> None:
    unstemmed = Settings().override({"index.language": "none"})
    with Collection.open(home, settings=unstemmed, embedder=embedder) as collection:
        add(collection, document("a", "running"))
        assert collection.info().language == "none"
    with Collection.open(home, settings=Settings(), embedder=embedder) as collection:
        assert collection.bm25("runs", limit=3) == []
        assert len(collection.bm25("Running", limit=3)) == 1
    german = Settings().override({"index.language": "german"})
    with pytest.raises(MismatchError, match=r"made with index\.language = 'none'") as caught:
        Collection.open(home, settings=german, embedder=embedder)
    assert "Set index.language back to 'none'" in caught.value.hint
    with Collection.open(home, name="de", settings=german, embedder=embedder) as collection:
        add(collection, document("a", "die Häuser"))
        assert len(collection.bm25("Hauses", limit=3)) == 1
    klingon = Settings().override({"index.language": "klingon"})
    with pytest.raises(InputError, match="no stemmer for 'klingon'") as unknown:
        Collection.open(home, name="x", settings=klingon, embedder=embedder)
    assert "german" in unknown.value.hint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spans": ((0, 99),)}, "spans 0-99 of 4 characters"),
        ({"spans": ((2, 2),)}, "spans 2-2"),
        ({"metadata": {"x": float("nan")}}, "field 'x' of 'a' holds 'nan'"),
        ({"metadata": {"x": {"y": 1}}}, "field 'x'"),
        ({"metadata": {"x": None}}, "field 'x'"),
        ({"metadata": {"x": 10**400}}, "field 'x'"),
        ({"metadata": {"": "x"}}, "field ''"),
        ({"id": ""}, "has no id"),
        ({"text": "a\ud800bc"}, "half a surrogate pair"),
    ],
)
def test_what_cannot_be_stored_is_refused(change: dict[str, Any], said: str) -> None:
    fields = {
        "id": "a",
        "title": "A",
        "text": "text",
        "source": "a.txt",
        "revision": "0" * 64,
        "metadata": {},
    }
    spans = change.pop("spans", ())
    chunked = ChunkedDocument(document=Document(**{**fields, **change}), spans=spans)
    with pytest.raises(InputError) as caught:
        check_document(chunked)
    assert said in caught.value.message


def test_what_was_acknowledged_before_a_bad_document_is_kept(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstfault.collection.writer.BATCH_CHUNKS", 4)
    bad = document("bad", "text", metadata={"x": float("inf")})
    incoming = collection.add_all([*(document(f"d{n}", f"text {n}") for n in range(20)), bad])
    acknowledged: list[str] = []
    with pytest.raises(InputError, match="field 'x' of 'bad'"):
        acknowledged.extend(iter(lambda: next(incoming).document_id, ""))
    assert acknowledged[:4] == ["d0", "d1", "d2", "d3"]
    assert set(acknowledged) <= set(collection.revisions())
    assert all(verdict.status == "ok" for verdict in collection.check())


def test_leaving_the_iterator_early_keeps_what_was_acknowledged(open_collection: OpenCollection) -> None:
    collection = open_collection()
    incoming = collection.add_all(document(f"d{n}", f"text number{n}") for n in range(2000))
    first = next(incoming)
    del incoming
    assert first.document_id in collection.revisions()
    collection.close()
    again = open_collection()
    assert lexical(again, "number0") == ["d0"]
    assert all(verdict.status == "ok" for verdict in again.check())


WORDS = st.lists(st.sampled_from(["red", "green", "blue", "json.dumps"]), min_size=1, max_size=3).map(
    " ".join
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abc"), WORDS),
        st.tuples(st.just("retire"), st.sampled_from("abc"), st.just("")),
        st.just(("gc", "", "")),
        st.just(("reopen", "", "")),
    ),
    min_size=1,
    max_size=8,
)


@given(STEPS)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_leaves_catalog_and_index_agreeing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]]
) -> None:
    home = tmp_path_factory.mktemp("history") / "home"
    embedder = hashed.HashedEmbedder(dimension=16)
    collection = Collection.open(home, settings=Settings(), embedder=embedder)
    texts: dict[str, str] = {}
    for step, name, text in steps:
        if step == "put":
            add(collection, document(name, text))
            texts[name] = text
        elif step == "retire":
            collection.retire([name])
            texts.pop(name, None)
        elif step == "gc":
            collection.gc(before=datetime.now(UTC) + timedelta(seconds=1))
        else:
            collection.close()
            collection = Collection.open(home, settings=Settings(), embedder=embedder)
    assert {name: collection.document(name).text for name in collection.revisions()} == texts
    vector = np.ones(16, dtype=np.float32)
    assert sorted(names(collection, [c.key for c in collection.dense(vector, limit=9)])) == sorted(texts)
    for word in ("red", "dumps"):
        wanted = sorted(name for name, text in texts.items() if word in text)
        assert sorted(lexical(collection, word)) == wanted
    assert all(verdict.status in ("ok", "unknown") for verdict in collection.check())
    collection.close()


def test_every_revision_of_a_document_is_listed_with_its_validity(collection: Collection) -> None:
    add(collection, document("a", "first text", metadata={"year": 2020}), document("b", "other"))
    add(collection, document("a", "second", "text", source="moved.txt"))
    collection.retire(["a"])
    add(collection, document("a", "third"))
    first, second, third = collection.revisions_of("a")
    assert [(r.valid_from, r.valid_to) for r in (first, second, third)] == [(1, 2), (2, 3), (4, None)]
    assert (first.metadata, first.chunks, first.characters) == ({"year": 2020}, 1, len("first text"))
    assert (second.source, second.chunks) == ("moved.txt", 2)
    for revision in (first, second, third):
        stored = collection.document("a", version=revision.valid_from)
        assert (stored.revision, stored.title) == (revision.revision, revision.title)
    assert collection.revisions_of("nowhere") == []
    collection.gc(before=datetime.now(UTC) + timedelta(seconds=1))
    assert collection.revisions_of("a") == [third]


def test_vectors_are_those_that_were_embedded_also_of_retired_chunks(
    collection: Collection, embedder: Any
) -> None:
    texts = [f"text number {n}" for n in range(700)]  # more than one statement asks for
    add(collection, document("a", *texts))
    keys = [key for key, _ in collection.chunks_of("a")]
    collection.retire(["a"])
    found = collection.vectors([*keys, 10**6])
    assert list(found) == keys
    assert np.array_equal(np.stack(list(found.values())), embedder.embed(texts))


def test_a_failure_names_its_document_and_what_is_still_served(collection: Collection) -> None:
    add(collection, document("a", "old text"))
    collection.record_failure("a.txt", "unreadable", document_id="a", stale=1)
    collection.record_failure("folder", "closed", stale=3)
    collection.record_failure("new.txt", "unreadable", document_id="new")
    by_source = {f.source: (f.document_id, f.stale) for f in collection.failures()}
    assert by_source == {"a.txt": ("a", 1), "folder": (None, 3), "new.txt": ("new", 0)}
    collection.retire(["a"])
    assert {f.source: f.stale for f in collection.failures()} == {"a.txt": 0, "folder": 3, "new.txt": 0}


def test_documents_are_filtered_by_date(collection: Collection) -> None:
    for name, published in (("a", "2023-12-31"), ("b", "2024-01-01T09:30:00+02:00"), ("c", "2024-06-01")):
        add(collection, document(name, "same text", metadata={"published": published}))
    where = parse_where('published >= "2024-01-01" and published < "2024-06-01"')
    assert lexical(collection, "text", where=where) == ["b"]
    assert collection.fields() == {"published": {"text", "date"}}
    assert all(verdict.status == "ok" for verdict in collection.check())


def test_a_home_that_cannot_be_written_can_be_searched(
    open_collection: OpenCollection, home: Path, embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = open_collection()
    add(collection, document("a", "alpha", metadata={"n": 1}), document("b", "beta"))
    collection.close()
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    for module in ("database", "lock", "collection"):  # whoever runs the tests may write anywhere
        monkeypatch.setattr(f"firstfault.collection.{module}.is_read_only", lambda _: True)
    with Collection.open(home, settings=Settings(), embedder=embedder, write=False) as found:
        assert found.read_only
        assert lexical(found, "alpha", where=parse_where("n = 1")) == ["a"]
        assert nearest(found, embedder, "beta", limit=1) == ["b"]
        assert found.info().documents == 2
        copy = found._folder
        assert copy.exists()
        with pytest.raises(StorageError, match="cannot be written") as caught:
            found.retire(["a"])
        assert "permissions" in caught.value.hint
    assert not copy.parent.exists()
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
    (home / "firstfault.db-wal").write_bytes(b"x")
    with pytest.raises(StorageError, match="changes that are not in firstfault"):
        Collection.open(home, settings=Settings(), embedder=embedder, write=False)
