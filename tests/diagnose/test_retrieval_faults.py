"""Applications broken in one way before the prompt: the stage and the cause are named."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.diagnose.conftest import CASES, FACTS, diagnosed, document, named, opened, write

import firstfault
from firstfault.types import Case

HALF = tuple(FACTS)[::2]


def ingest(home: Path, folder: Path, *, prune: bool = False, **settings: str) -> None:
    changes = {name.replace("__", "."): value for name, value in settings.items()}
    with firstfault.open(home, settings=changes, create=True) as app:
        app.ingest([folder], prune=prune)


def test_a_healthy_application_is_called_healthy(home: Path) -> None:
    with opened(home) as app:
        found = diagnosed(app, CASES)
    assert found.healthy
    assert (found.primary, found.findings, found.failing) == (None, (), 0)


def test_a_document_that_was_never_ingested(tmp_path: Path) -> None:
    ingest(tmp_path / "home", write(tmp_path / "laws", without=HALF))
    with opened(tmp_path / "home") as app:
        found = diagnosed(app, CASES)
    assert named(found) == ("corpus", "missing_document")
    assert found.primary is not None
    assert set(found.primary.cases) == set(HALF)
    assert found.primary.share == 0.5


def test_a_document_that_was_taken_out_is_found_in_the_past(home: Path) -> None:
    with opened(home) as app:
        app.collection.retire([f"{name}.md" for name in HALF])
        found = diagnosed(app, CASES)
    assert named(found) == ("corpus", "missing_document")
    assert found.primary is not None
    assert found.primary.verified == len(HALF)
    removed = sorted(f"{name}.md" for name in HALF)
    more = f" and {len(removed) - 5} more" if len(removed) > 5 else ""
    assert found.primary.evidence.endswith(
        f" {len(removed)} documents are concerned: {', '.join(removed[:5])}{more}."
    )


def test_an_old_revision_reinstated(home: Path, laws: Path) -> None:
    old = {name: document(name, FACTS[name][1].replace(FACTS[name][2], "nine")) for name in HALF}
    ingest(home, write(laws, old))
    with opened(home) as app:
        found = diagnosed(app, CASES)
    assert named(found) == ("corpus", "stale_document")
    assert found.primary is not None
    assert found.primary.verified == len(HALF)
    assert "the older revision of version 1, superseded by version 2 on 20" in found.primary.evidence
    assert "cases are out of date" in found.primary.remedy.summary


def test_text_that_an_extractor_lost(home: Path, laws: Path) -> None:
    emptied = {name: f"# {FACTS[name][0]}\n\n(page 1)\n" for name in HALF}
    ingest(home, write(laws, emptied))
    with opened(home) as app:
        assert named(diagnosed(app, CASES)) == ("chunk", "lost_text")


def test_a_file_that_could_not_be_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "laws")
    for name in HALF:
        (folder / f"{name}.md").write_bytes(b"\x00\xff\xfe\x00" * 64)
    ingest(tmp_path / "home", folder)
    with opened(tmp_path / "home") as app:
        assert named(diagnosed(app, CASES)) == ("corpus", "failed_ingest")


def test_chunks_that_are_too_small(tmp_path: Path) -> None:
    ingest(
        tmp_path / "home",
        write(tmp_path / "laws"),
        chunking__max_tokens="16",
        chunking__overlap_tokens="0",
        chunking__kind="recursive",
    )
    cases = [_longer(case) for case in CASES]
    with opened(tmp_path / "home") as app:
        assert named(diagnosed(app, cases)) == ("chunk", "split_evidence")


def _longer(case: Case) -> Case:
    unit = case.evidence[0]
    quote = f"Infringements are reported to the warden, who keeps a record of them. {unit.quote}"
    return replace(case, evidence=(replace(unit, quote=quote),))


def test_a_filter_that_refuses_the_evidence(tmp_path: Path) -> None:
    folder = write(tmp_path / "laws")
    for position, name in enumerate(FACTS):
        year = 2019 if name in HALF else 2024
        (folder / f"{name}.md").write_text(f"---\nyear: {year}\nnumber: {position}\n---\n{document(name)}")
    ingest(tmp_path / "home", folder)
    with opened(tmp_path / "home") as app:
        found = diagnosed(app, [replace(case, where="year >= 2024") for case in CASES])
    assert named(found) == ("filter", "filter_excludes_evidence")
    assert found.primary is not None
    carried = f"carry where = 'year >= 2024' in {len(HALF)} of {len(HALF)}."
    assert found.primary.evidence.endswith(carried)
    assert found.next_command.startswith("firstfault search '")
    assert found.primary.verified == len(HALF)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"pack__budget_tokens": "64"}, ("pack", "context_truncated")),
        ({"search__top_k": "1", "search__dense_weight": "0.0"}, None),
    ],
)
def test_settings_that_lose_evidence(
    home: Path, settings: dict[str, str], expected: tuple[str, str] | None
) -> None:
    with opened(home, **settings) as app:
        found = diagnosed(app, CASES)
    assert named(found) == expected


def test_the_same_diagnosis_twice(home: Path) -> None:
    with opened(home, pack__budget_tokens="64") as app:
        one, other = diagnosed(app, CASES), diagnosed(app, CASES)
    assert [finding.evidence for finding in one.findings] == [finding.evidence for finding in other.findings]
    assert one.path == other.path
