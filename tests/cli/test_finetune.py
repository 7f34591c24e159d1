"""`finetune` as a user runs it, without torch: check, split, clean, releases, rollback."""

import json
from pathlib import Path

from tests.cli.conftest import Run
from tests.finetune.records import bench, record

from firstfault.finetune import Candidate, publish
from firstfault.finetune.runs import TrainingRuns
from firstfault.types import Verdict


def write(path: Path, number: int, *extra: str) -> Path:
    words = "amber birch cedar delta ember fjord grove harbor inlet jade".split()
    lines = [
        json.dumps(
            {
                "prompt": f"{words[i % 10]} {words[i // 10 % 10]} {words[(i * 7) % 10]} number {i}",
                "completion": json.dumps({"n": i}),
            }
        )
        for i in range(number)
    ]
    path.write_text("\n".join([*lines, *extra]))
    return path


def test_check_names_the_rows_and_clean_leaves_nothing_to_find(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", 60, '{"prompt": "x", "completion": ""}', "{broken")
    done = run("--home", tmp_path / "h", "finetune", "check", data, "--json")
    assert done.code == 1
    assert set(done.json["failed"]) == {"readable", "trainable"}
    assert next(c["rows"] for c in done.json["checks"] if c["rows"]) == [f"{data}:62"]
    shown = run("--home", tmp_path / "h", "finetune", "check", data).out
    assert "not fit for training: readable, trainable" in shown
    cleaned = run(
        "--home", tmp_path / "h", "finetune", "clean", data, "--out", tmp_path / "c.jsonl", "--json"
    )
    assert (cleaned.code, cleaned.json["kept"]) == (0, 60)
    reasons = [json.loads(line) for line in (tmp_path / "c.jsonl.changes.jsonl").read_text().splitlines()]
    assert {one["place"] for one in reasons} == {f"{data}:61", f"{data}:62"}
    assert run("--home", tmp_path / "h", "finetune", "check", tmp_path / "c.jsonl").code == 0
    assert not (tmp_path / "h").exists()


def test_split_writes_both_sides(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", 60)
    done = run("finetune", "split", data, "--out", tmp_path / "parts", "--share", "0.2", "--json")
    sizes = [
        len((tmp_path / "parts" / f"{name}.jsonl").read_text().splitlines())
        for name in ("train", "validation")
    ]
    assert sizes == [done.json["training"], done.json["validation"]]
    assert sum(sizes) == 60


def test_releases_are_listed_and_rolled_back(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "h"
    assert run("--home", home, "finetune", "releases", "--json").json == {"releases": []}
    for content in ("one", "two"):
        (tmp_path / "a.gguf").write_text(content)
        verdicts = (Verdict(name="applied", status="ok"),)
        publish(home, "t", Candidate(gguf=tmp_path / "a.gguf", base="m", base_digest="", verdicts=verdicts))
    listed = run("--home", home, "finetune", "releases", "--json").json["releases"]
    assert [(one["number"], one["current"]) for one in listed] == [(2, True), (1, False)]
    assert run("--home", home, "finetune", "rollback", "t", "--json").json["number"] == 1
    assert run("--home", home, "finetune", "rollback", "t").code == 2
    assert run("--home", home, "finetune", "rollback", "other").code == 3


def test_a_recorded_run_is_shown_gated_diagnosed_and_not_released_when_it_failed(
    run: Run, tmp_path: Path
) -> None:
    home = tmp_path / "h"
    assert run("--home", home, "finetune", "runs").code == 3
    store = TrainingRuns(home, create=True)
    store.begin("ft-good", record())
    store.begin("ft-bad", record(bench=bench(changed=0.0)))
    store.close()
    assert run("--home", home, "finetune", "gate", "ft-good").code == 0
    assert run("--home", home, "finetune", "gate", "ft-bad").code == 1
    shown = run("--home", home, "finetune", "show", "ft-good").out
    assert "learning_rate" in shown
    assert "validity" in shown
    found = run("--home", home, "finetune", "diagnose", "ft-bad", "--json")
    assert (found.code, found.json["primary"]["cause"]) == (1, "adapter_not_applied")
    assert "serve · adapter_not_applied" in run("--home", home, "finetune", "diagnose", "ft-bad").out
    refused = run("--home", home, "finetune", "release", "ft-bad", "t")
    assert refused.code == 2
    assert "is not released: applied" in refused.err
    assert len(run("--home", home, "finetune", "runs", "--json").json["runs"]) == 2
