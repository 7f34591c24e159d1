"""Writing a patch: comments and layout stay, the old file is kept, what cannot be written changes nothing."""

import tomllib
from pathlib import Path

import pytest

from firstfault.config import Config, Settings, load
from firstfault.diagnose.apply import apply, edited
from firstfault.diagnose.fix import Fixed, FixReport
from firstfault.errors import ConfigError, InputError
from firstfault.types import Finding, Remedy, Scalar, Trial

MINE = """\
# the pumps team

[search]
top_k = 1   # one is enough
# weights of last spring
dense_weight = 0.7

[pack]
budget_tokens = 300
"""


def report(patch: dict[str, Scalar], *, verified: bool = True) -> FixReport:
    trial = Trial(
        stage="rerank", cause="reranker_demotes", patch=patch, metric="context_recall", before=0.5, after=0.9,
        delta=0.4, ci_low=0.3, ci_high=0.5, p_value=0.001, n=60, verified=verified, reason="",
        latency_before_ms=1.0, latency_after_ms=1.0,
    )  # fmt: skip
    finding = Finding(
        stage="rerank", cause="reranker_demotes", cases=(), share=0.5, ci_low=0.4, ci_high=0.6, verified=0,
        evidence="", example=None, remedy=Remedy(summary=""),
    )  # fmt: skip
    return FixReport(
        run_id="run-1",
        settings=Settings(),
        fixes=(Fixed(finding=finding, metric="context_recall", trial=trial),),
        patch=patch if verified else {},
        repairs=(),
        shadow=None,
        generations=0,
        budget=0,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "firstfault.toml"
    path.write_text(MINE)
    return path


def config(file: Path) -> Config:
    return load(file.parent / "home", file, environment={})


def test_the_patch_is_written_with_its_evidence_and_the_rest_stays(file: Path) -> None:
    done = apply(report({"search.top_k": 5, "index.hnsw_ef": 512}), config(file), file, "default")
    text = file.read_text()
    assert config(file).settings.search.top_k == 5
    assert config(file).settings.index.hnsw_ef == 512
    assert done.backup is not None
    assert done.backup.read_text() == MINE
    kept = [line for line in MINE.splitlines() if "top_k" not in line]
    assert [line for line in text.splitlines() if line in kept][: len(kept)] == kept
    (line,) = [line for line in text.splitlines() if line.startswith("top_k")]
    for said in ("one is enough", "context_recall 0.500 -> 0.900", "60 held-out cases", "run-1"):
        assert said in line


def test_a_second_fix_replaces_the_note_of_the_first(file: Path) -> None:
    for value in (5, 8):
        apply(report({"search.top_k": value}), config(file), file, "default")
    (line,) = [line for line in file.read_text().splitlines() if line.startswith("top_k")]
    assert line.startswith("top_k = 8")
    assert line.count("firstfault fix") == 1
    assert "one is enough" in line


@pytest.mark.parametrize(
    "text", ["", "search.top_k = 1\n", "search = { top_k = 1 }\n", "[search]\n", "[pack]\nbudget_tokens = 64"]
)
def test_any_layout_holds_the_patch(text: str) -> None:
    patch: dict[str, Scalar] = {"search.top_k": 5, "search.fusion": "rrf", "answer.min_relevance": 0.1}
    found = edited(text, Path("x.toml"), patch, dict.fromkeys(patch, "a note"))
    tables = tomllib.loads(found)
    assert tables["search"] == {"top_k": 5, "fusion": "rrf"}
    assert tables["answer"] == {"min_relevance": 0.1}


def test_a_new_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "firstfault.toml"
    done = apply(report({"search.top_k": 5}), load(tmp_path, environment={}), file, "default")
    assert done.backup is None
    assert config(file).settings.search.top_k == 5


def test_a_read_only_or_malformed_file_is_refused_and_left_alone(file: Path) -> None:
    ours = config(file)
    file.chmod(0o444)
    with pytest.raises(ConfigError, match="read-only"):
        apply(report({"search.top_k": 5}), ours, file, "default")
    file.chmod(0o644)
    file.write_text("[search\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        apply(report({"search.top_k": 5}), ours, file, "default")
    assert file.read_text() == "[search\n"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_value_from_the_environment_is_not_written_over(file: Path) -> None:
    ours = load(file.parent, file, environment={"FIRSTFAULT__SEARCH__TOP_K": "1"})
    with pytest.raises(ConfigError, match="FIRSTFAULT__SEARCH__TOP_K"):
        apply(report({"search.top_k": 5}), ours, file, "default")
    assert file.read_text() == MINE


def test_what_is_not_verified_is_not_applied(file: Path) -> None:
    with pytest.raises(InputError, match="Nothing is verified"):
        apply(report({"search.top_k": 5}, verified=False), config(file), file, "default")
    assert file.read_text() == MINE
