"""`fix` and `playbook` as a user runs them."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.diagnose.observatories import CASES, PLACES, text_of

CONTRACT = {"patch", "before", "after", "delta", "ci_low", "ci_high", "verified"}


@pytest.fixture
def broken(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a home whose prompt is too small, its configuration, and a run over it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "documents"
    folder.mkdir()
    for number, place in enumerate(PLACES):
        (folder / f"{place}.txt").write_text(text_of(place, 40 + number))
    lines = [
        {"id": case.id, "question": case.question, "answer": case.answer,
         "evidence": [{"document": unit.document, "quote": unit.quote} for unit in case.evidence]}
        for case in CASES
    ]  # fmt: skip
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "firstfault.toml").write_text(
        '[generator]\nkind = "extractive"\n\n[pack]\nbudget_tokens = 64 # cheap\n'
    )
    assert run("ingest", folder).code == 0
    assert run("eval", "cases.jsonl", "--no-generation").code == 0
    return tmp_path


def test_fix_proves_applies_and_the_application_is_healthy_again(run: Run, broken: Path) -> None:
    shown = run("fix", "--run", "last")
    assert shown.code == 0
    for said in ("pack / context_truncated", "✓ verified", "side effects", "--apply"):
        assert said in shown.out
    assert "64 # cheap" in (broken / "firstfault.toml").read_text()

    done = run("fix", "--run", "last", "--apply", "--json")
    assert done.code == 0
    (trial,) = done.json["trials"]
    assert set(trial) >= CONTRACT
    assert trial["verified"]
    assert done.json["applied"]["file"] == "firstfault.toml"
    assert Path(done.json["applied"]["backup"]).read_text().endswith("budget_tokens = 64 # cheap\n")
    assert run("eval", "cases.jsonl", "--no-generation", "--gate", "--json").code == 0
    healthy = run("fix", "--run", "last")
    assert healthy.code == 0
    assert "nothing to repair" in healthy.out


def test_a_read_only_file_is_refused_before_anything_is_tried(run: Run, broken: Path) -> None:
    (broken / "firstfault.toml").chmod(0o444)
    refused = run("fix", "--apply", "--json")
    assert refused.code == 2
    assert "read-only" in refused.json["error"]["message"]


def test_an_unknown_run_is_an_error_with_a_hint(run: Run, broken: Path) -> None:
    refused = run("fix", "--run", "run-nope")
    assert refused.code == 2
    assert "firstfault runs" in refused.err


def test_the_playbook_lists_and_shows(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = run("playbook", "--json").json["causes"]
    assert {"split_evidence", "chat_template_mismatch"} <= {one["cause"] for one in listed}
    assert "split_evidence" in run("playbook").out
    shown = run("playbook", "show", "overfitting").out
    assert "validation loss / training loss > 3" in shown
    tried = run("--set", "search.top_k=1", "playbook", "show", "reranker_demotes", "--json").json
    assert tried["candidates"]["rerank"][0] == {"search.top_k": 5}
    unknown = run("playbook", "show", "overfiting")
    assert unknown.code == 2
    assert "overfitting" in unknown.err


def test_a_users_playbook_is_read_and_its_errors_name_the_place(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("[noise]\ntolerated = 0.3\n")
    mine = ("--set", "diagnose.playbook=mine.toml", "playbook", "show", "noise", "--json")
    assert run(*mine).json["tolerated"] == 0.3
    (tmp_path / "mine.toml").write_text("[noise]\ntolerate = 0.3\n")
    refused = run(*mine)
    assert refused.code == 2
    assert "[noise]" in refused.err
    assert "tolerated" in refused.err
