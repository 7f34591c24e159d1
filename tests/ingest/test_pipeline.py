import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstfault.collection import Collection
from firstfault.config import ChunkingConfig, Settings
from firstfault.errors import InputError
from firstfault.ingest import (
    Chunker,
    IngestReport,
    Progress,
    ingest,
    ingest_documents,
    loading,
    parse_flags,
    readers,
)
from firstfault.models.onnx_embedder import OnnxEmbedder
from firstfault.types import Document

from .files import paragraph, pdf


@pytest.fixture
def collection(tmp_path: Path, embedder: OnnxEmbedder) -> Iterator[Collection]:
    with Collection.open(tmp_path / "home", settings=Settings(), embedder=embedder) as opened:
        yield opened


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "guide").mkdir(parents=True)
    (folder / "guide" / "refunds.md").write_text("---\nteam: payments\n---\n# Refunds\n\nWithin 14 days.\n")
    (folder / "hours.txt").write_text("We open at nine.\r\nWe close at five.\n")
    return folder


def counts(report: IngestReport) -> tuple[int, int, int, int, int]:
    return report.added, report.replaced, report.unchanged, report.retired, len(report.failed)


def test_files_become_documents(collection: Collection, docs: Path, chunker: Chunker) -> None:
    report = ingest(collection, [docs], chunker=chunker, metadata=parse_flags(["year=2024"]))
    assert counts(report) == (2, 0, 0, 0, 0)
    assert report.chunks == 2
    assert report.bytes == sum(file.stat().st_size for file in docs.rglob("*.*"))
    refunds = collection.document("guide/refunds.md")
    assert refunds.title == "Refunds"
    assert refunds.text == "# Refunds\n\nWithin 14 days.\n"
    assert refunds.source == str(docs / "guide" / "refunds.md")
    assert refunds.metadata == {
        "path": "guide/refunds.md",
        "folder": ["guide"],
        "format": "markdown",
        "team": "payments",
        "year": 2024,
    }
    hours = collection.document("hours.txt")
    assert (hours.title, hours.text) == ("hours", "We open at nine.\nWe close at five.\n")


def test_offsets_point_into_the_stored_text(collection: Collection, docs: Path, chunker: Chunker) -> None:
    ingest(collection, [docs], chunker=chunker)
    for row in collection.documents():
        for _, chunk in collection.chunks_of(row.id):
            assert chunk.text == collection.document(row.id).text[chunk.start : chunk.end]


def test_what_is_unchanged_is_not_even_parsed(
    collection: Collection, docs: Path, chunker: Chunker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(collection, [docs], chunker=chunker)
    monkeypatch.setattr(loading, "read", lambda *_: pytest.fail("it was parsed"))
    assert counts(ingest(collection, [docs], chunker=chunker)) == (0, 0, 2, 0, 0)


def test_what_changed_is_replaced(collection: Collection, docs: Path, chunker: Chunker) -> None:
    ingest(collection, [docs], chunker=chunker)
    (docs / "hours.txt").write_text("We never close.\n")
    assert counts(ingest(collection, [docs], chunker=chunker)) == (0, 1, 1, 0, 0)
    assert collection.document("hours.txt").text == "We never close.\n"


def test_metadata_that_an_ingest_takes_away_is_said(
    collection: Collection, docs: Path, chunker: Chunker
) -> None:
    ingest(collection, [docs], chunker=chunker, metadata={"source": "handbook", "year": 2025})
    report = ingest(collection, [docs], chunker=chunker, metadata={"year": 2026})
    (note,) = report.notes
    assert note.startswith("metadata changed: source dropped on 2 documents;")
    assert "source" not in collection.document("hours.txt").metadata
    assert ingest(collection, [docs], chunker=chunker, metadata={"year": 2026, "new": True}).notes == ()


def test_other_metadata_or_chunking_is_a_change(
    collection: Collection, docs: Path, chunker: Chunker, embedder: OnnxEmbedder
) -> None:
    ingest(collection, [docs], chunker=chunker)
    report = ingest(collection, [docs], chunker=chunker, metadata={"year": 2025})
    assert report.replaced == 2
    assert report.cached == 2  # the texts are the same: nothing is embedded again
    other = Chunker(ChunkingConfig(max_tokens=100), embedder)
    assert ingest(collection, [docs], chunker=other, metadata={"year": 2025}).replaced == 2


def test_one_bad_file_stops_nothing_and_is_retried(
    collection: Collection, docs: Path, chunker: Chunker
) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 rubbish")
    (docs / "binary.md").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (docs / "latin.txt").write_bytes("café".encode("latin-1"))
    report = ingest(collection, [docs], chunker=chunker)
    assert counts(report) == (2, 0, 0, 0, 3)
    assert {Path(failed.source).name for failed in report.failed} == {"broken.pdf", "binary.md", "latin.txt"}
    recorded = {Path(failure.source).name: failure.reason for failure in collection.failures()}
    assert "byte 3 is 0xE9" in recorded["latin.txt"]
    assert "PNG" in recorded["binary.md"]
    assert set(collection.revisions()) == {"guide/refunds.md", "hours.txt"}

    (docs / "latin.txt").write_text("café", encoding="utf-8")
    (docs / "binary.md").unlink()
    assert counts(ingest(collection, [docs], chunker=chunker)) == (1, 0, 2, 0, 1)
    assert [Path(failure.source).name for failure in collection.failures()] == ["broken.pdf"]


def test_a_reader_that_crashes_is_named(
    collection: Collection, docs: Path, chunker: Chunker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.html").write_text("<p>x</p>")
    whole = readers.read

    def crash(name: str, data: bytes) -> object:
        if name == "a.html":
            raise AttributeError("'NoneType' object has no attribute 'x'")
        return whole(name, data)

    monkeypatch.setattr(loading, "read", crash)
    report = ingest(collection, [docs], chunker=chunker)
    assert report.added == 2
    assert "The html reader crashed: AttributeError: 'NoneType'" in report.failed[0].reason


def test_when_nothing_can_be_read_it_is_an_error_and_recorded(
    collection: Collection, tmp_path: Path, chunker: Chunker
) -> None:
    (tmp_path / "a.pdf").write_bytes(b"no")
    with pytest.raises(InputError, match=r"Nothing could be ingested\. .*a\.pdf: It is not a PDF") as raised:
        ingest(collection, [tmp_path / "a.pdf"], chunker=chunker)
    assert raised.value.exit_code == 2
    assert len(collection.failures()) == 1
    assert collection.revisions() == {}


def test_a_document_whose_new_version_is_broken_stays_as_it_was(
    collection: Collection, docs: Path, chunker: Chunker
) -> None:
    ingest(collection, [docs], chunker=chunker)
    (docs / "hours.txt").write_bytes(b"\0\0")
    report = ingest(collection, [docs], chunker=chunker, prune=True)
    assert counts(report) == (0, 0, 1, 0, 1)
    assert collection.document("hours.txt").text.startswith("We open")
    (failed,) = report.failed
    (recorded,) = collection.failures()
    assert (failed.document_id, failed.stale) == (recorded.document_id, recorded.stale) == ("hours.txt", 1)
    (docs / "hours.txt").write_text("We open late.\n")
    assert counts(ingest(collection, [docs], chunker=chunker)) == (0, 1, 1, 0, 0)
    assert collection.failures() == []


def test_what_fails_the_first_time_leaves_nothing_old_behind(
    collection: Collection, docs: Path, chunker: Chunker
) -> None:
    (docs / "new.pdf").write_bytes(b"rubbish")
    (failed,) = ingest(collection, [docs], chunker=chunker).failed
    assert (failed.document_id, failed.stale) == ("new.pdf", 0)


def test_the_documents_of_a_file_that_cannot_be_opened_are_counted_as_old(
    collection: Collection, tmp_path: Path, chunker: Chunker
) -> None:
    whole = gzip.compress(b'{"id": "1", "text": "one"}\n{"id": "2", "text": "two"}\n')
    packed, other = tmp_path / "a.jsonl.gz", tmp_path / "b.txt"
    packed.write_bytes(whole)
    other.write_text("text")
    ingest(collection, [packed, other], chunker=chunker)
    packed.write_bytes(whole[:5])
    report = ingest(collection, [other, packed], chunker=chunker)
    (failed,) = report.failed
    assert (failed.source, failed.document_id, failed.stale) == (str(packed), None, 2)


def test_prune_retires_what_is_gone_from_under_the_roots_only(
    collection: Collection, docs: Path, tmp_path: Path, chunker: Chunker
) -> None:
    records = tmp_path / "more.jsonl"
    records.write_text('{"id": "1", "text": "one"}\n{"id": "2", "text": "two"}\n')
    neighbour = tmp_path / "docs2"
    neighbour.mkdir()
    (neighbour / "other.md").write_text("other")
    ingest(collection, [docs, records, neighbour], chunker=chunker)
    (docs / "hours.txt").unlink()
    (neighbour / "other.md").unlink()
    assert ingest(collection, [docs], chunker=chunker).retired == 0
    assert counts(ingest(collection, [docs], chunker=chunker, prune=True)) == (0, 0, 1, 1, 0)
    assert set(collection.revisions()) == {"guide/refunds.md", "1", "2", "other.md"}
    records.write_text('{"id": "2", "text": "two"}\n')
    report = ingest(collection, [records], chunker=chunker, prune=True)
    assert counts(report) == (0, 0, 1, 1, 0)
    assert set(collection.revisions()) == {"guide/refunds.md", "2", "other.md"}


def test_prune_spares_the_documents_of_a_file_with_bad_lines(
    collection: Collection, tmp_path: Path, chunker: Chunker
) -> None:
    records = tmp_path / "a.jsonl"
    records.write_text('{"id": "1", "text": "one"}\n{"id": "2", "text": "two"}\n')
    ingest(collection, [records], chunker=chunker)
    records.write_text('{"id": "1", "text": "one"}\n{"id": "2", "text": "tw\n')
    report = ingest(collection, [records], chunker=chunker, prune=True)
    assert counts(report) == (0, 0, 1, 0, 1)
    assert "not pruned" in report.notes[0]
    assert set(collection.revisions()) == {"1", "2"}
    (failure,) = collection.failures()
    assert (failure.source, failure.document_id, failure.stale) == (f"{records}:2", "2", 1)


def test_a_file_elsewhere_with_the_same_id_does_not_replace_silently(
    collection: Collection, docs: Path, tmp_path: Path, chunker: Chunker
) -> None:
    ingest(collection, [docs], chunker=chunker)
    other = tmp_path / "other"
    other.mkdir()
    (other / "hours.txt").write_text("Another company's hours.")
    (other / "new.txt").write_text("New.")
    report = ingest(collection, [other], chunker=chunker)
    assert counts(report) == (1, 0, 0, 0, 1)
    assert f"belongs to {docs / 'hours.txt'}" in report.failed[0].reason
    docs.rename(tmp_path / "moved")
    assert ingest(collection, [other], chunker=chunker).replaced == 1


def test_records(collection: Collection, tmp_path: Path, chunker: Chunker) -> None:
    lines = [
        {
            "id": "a",
            "title": "T\n1",
            "text": "one\r\ntwo",
            "metadata": {"n": 1, "x": {"y": [1, 2]}},
            "url": "u",
        },
        {"id": "b", "text": "three", "metadata": {"bad": [[1]]}},
        {"id": "c", "text": "a\u0000b"},
    ]
    records = tmp_path / "a.jsonl"
    records.write_text("\n".join(map(json.dumps, lines)) + "\n{oops\n")
    report = ingest(collection, [records], chunker=chunker, metadata={"n": 2})
    assert counts(report) == (2, 0, 0, 0, 2)
    assert [failed.source for failed in report.failed] == [f"{records}:4", f"{records}:3"]
    first = collection.document("a")
    assert (first.title, first.text, first.source) == ("T 1", "one\ntwo", f"{records}:1")
    assert first.metadata == {"n": 2, "x.y": [1, 2]}
    assert collection.document("b").title == "b"
    assert any("'bad'" in note for note in report.notes)
    assert any("fields left out: url" in note for note in report.notes)


def test_a_record_that_only_moved_to_another_line_is_unchanged(
    collection: Collection, tmp_path: Path, chunker: Chunker
) -> None:
    records = tmp_path / "a.jsonl"
    records.write_text('{"id": "1", "text": "one"}\n{"id": "2", "text": "two"}\n')
    ingest(collection, [records], chunker=chunker)
    records.write_text('{"id": "2", "text": "two"}\n{"id": "1", "text": "one"}\n{"id": "3", "text": "three"}')
    assert counts(ingest(collection, [records], chunker=chunker)) == (1, 0, 2, 0, 0)


def test_progress_reaches_the_total(collection: Collection, docs: Path, chunker: Chunker) -> None:
    (docs / "bad.pdf").write_bytes(b"no")
    seen: list[Progress] = []
    report = ingest(collection, [docs], chunker=chunker, progress=seen.append)
    assert [progress.done for progress in seen] == [1, 2, 3]
    assert {progress.total for progress in seen} == {3}
    assert seen[-1].bytes_done == seen[-1].bytes_total == report.bytes


def test_notes_of_readers_reach_the_report(collection: Collection, docs: Path, chunker: Chunker) -> None:
    (docs / "a.pdf").write_bytes(pdf([paragraph(["Text."]), []]))
    report = ingest(collection, [docs], chunker=chunker)
    assert report.notes == (f"{docs / 'a.pdf'}: no text on page 2 (scanned, or blank)",)
    assert collection.document("a.pdf").metadata["pages"] == 2


def made(document_id: str, text: str = "Some text.", **metadata: object) -> Document:
    return Document(
        id=document_id,
        title="t",
        text=text,
        source="made here",
        revision="",
        metadata=metadata,  # type: ignore[arg-type]
    )


def test_documents_from_python(collection: Collection, chunker: Chunker) -> None:
    documents = [made("a"), made("b", kind="x"), made("c", "a\0b"), made("d", "  ")]
    report = ingest_documents(collection, documents, chunker=chunker, total=4)
    assert counts(report) == (2, 0, 0, 0, 2)
    assert len(collection.document("a").revision) == 64
    assert counts(ingest_documents(collection, documents[:2], chunker=chunker)) == (0, 0, 2, 0, 0)
    changed = ingest_documents(collection, [made("a", "New text."), made("b", kind="y")], chunker=chunker)
    assert counts(changed) == (0, 2, 0, 0, 0)


def test_one_id_twice_from_python_fails_the_second(collection: Collection, chunker: Chunker) -> None:
    report = ingest_documents(collection, [made("a"), made("a", "other"), made("b")], chunker=chunker)
    assert counts(report) == (2, 0, 0, 0, 1)
    assert "Two documents have the id 'a'" in report.failed[0].reason
    assert report.failed[0].stale == 0
    again = ingest_documents(collection, [made("a"), made("a", "other"), made("b")], chunker=chunker)
    assert counts(again) == (0, 0, 2, 0, 1)


def test_one_id_twice_stops_nothing_else_and_leaves_nothing_old(
    collection: Collection, docs: Path, tmp_path: Path, chunker: Chunker
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "hours.txt").write_text("Other hours.")
    (other / "more.txt").write_text("More.")
    (other / "out").symlink_to(tmp_path, target_is_directory=True)
    report = ingest(collection, [docs, other], chunker=chunker)
    assert counts(report) == (3, 0, 0, 0, 1)
    (failed,) = report.failed
    assert (failed.source, failed.document_id, failed.stale) == (str(other / "hours.txt"), "hours.txt", 0)
    assert any("not followed" in note for note in report.notes)
    assert collection.document("hours.txt").text.startswith("We open")
