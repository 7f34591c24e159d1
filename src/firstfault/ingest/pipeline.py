"""Paths or documents in, a fed collection and a report out.

What is unchanged is skipped before it is parsed; what cannot be read is recorded with its reason and
stops nothing else; what was committed stays committed, whatever happens next.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from firstfault.errors import InputError
from firstfault.ingest.chunking import Chunker
from firstfault.ingest.loading import changed_documents, changed_sources
from firstfault.ingest.run import Collection, IngestReport, Progress, Run
from firstfault.ingest.sources import file_of, nothing_found, survey
from firstfault.types import Document, Metadata


def ingest(
    collection: Collection,
    paths: Iterable[str | Path],
    *,
    chunker: Chunker,
    metadata: Metadata | None = None,
    prune: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Bring a collection up to date with files, folders and JSONL.

    `metadata` is added to every document and wins over what the documents say themselves. With `prune`,
    documents that came from under `paths` and are gone from there are retired.

    Raises:
        InputError: a path does not exist, nothing readable was found, or not a single document could be
            read (the reasons are recorded in the collection).
    """
    run = Run(collection, chunker, progress)
    found = survey(paths, gone=prune)
    run.failed += found.failures
    run.notes += found.notes
    run.total, run.bytes_total = len(found.sources), sum(source.size for source in found.sources)
    try:
        run.feed(changed_sources(run, found.sources, dict(metadata or {})))
    finally:  # an interrupted run keeps what failed so far
        run.record_failures()
    _forget_failures(run, found.roots)
    retired = _prune(run, found.roots, {source.id for source in found.sources}) if prune else 0
    if not found.sources and not found.failures and not retired:
        raise nothing_found(found)
    report = run.report(retired, found.skipped)
    if report.failed and not report.added + report.replaced + report.unchanged:
        first = report.failed[0]
        raise InputError(
            f"Nothing could be ingested. {first.source}: {first.reason}",
            hint="Correct it and run the command again."
            if len(report.failed) == 1
            else f"`firstfault status` lists the other {len(report.failed) - 1}.",
        )
    return report


def ingest_documents(
    collection: Collection,
    documents: Iterable[Document],
    *,
    chunker: Chunker,
    total: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Add documents that were made in Python; those that are unchanged are skipped.

    `Document.revision` is not looked at: it is computed from the text, title and metadata. Of two documents
    with one id the second is a failure.
    """
    run = Run(collection, chunker, progress)
    run.total = total
    try:
        run.feed(changed_documents(run, documents))
    finally:
        run.record_failures()
    return run.report(0, {})


def _prune(run: Run, roots: Sequence[Path], present: set[str]) -> int:
    """Retire the documents that came from under the roots and are not there any more."""
    unsure = tuple(failure.source.rsplit(":", 1)[0] for failure in run.failed)
    gone = []
    for row in run.collection.documents():
        if row.id in present or not any(_is_under(row.source, root) for root in roots):
            continue
        if any(row.source.startswith(place) for place in unsure):
            run.notes.append(f"{row.source}: not pruned, since part of it could not be read")
            continue
        gone.append(row.id)
    return run.collection.retire(gone) if gone else 0


def _forget_failures(run: Run, roots: Sequence[Path]) -> None:
    """Forget what failed before under the roots and no longer does."""
    failed = {failure.source for failure in run.failed}
    recorded = [failure.source for failure in run.collection.failures()]
    run.collection.forget_failures(
        [place for place in recorded if place not in failed and any(_is_under(place, root) for root in roots)]
    )


def _is_under(source: str, root: Path) -> bool:
    path = file_of(source)
    return path == root or root in path.parents
