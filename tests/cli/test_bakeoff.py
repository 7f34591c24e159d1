import json
from pathlib import Path

import pytest
from tests.advise.conftest import TUNED, Models, home, models, town
from tests.cli.conftest import Run
from tests.diagnose.conftest import CASES

from firstfault.evaluate import write_cases

__all__ = ["home", "models", "town"]


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    file = tmp_path / "cases.jsonl"
    write_cases(CASES[:3], file)
    return file


def options(home: Path, models: Models) -> list[str | Path]:
    given: list[str | Path] = ["--home", home]
    for name, value in models.settings().items():
        given += ["--set", f"{name}={value}"]
    return given


def test_bakeoff(run: Run, home: Path, models: Models, cases: Path, tmp_path: Path) -> None:
    out, html = tmp_path / "card.md", tmp_path / "card.html"
    made = run(
        *options(home, models),
        *("bakeoff", cases, "--adapter", TUNED, "--budget", "0", "--markdown", out, "--page", html),
    )
    assert made.code == 0
    assert "Not enough evidence" in made.out
    assert "first faults" in made.out
    assert "hybrid: 3 answers" in made.err
    assert out.read_text(encoding="utf-8").startswith("# Bake-off")
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    again = run(*options(home, models), "bakeoff", cases, "--adapter", TUNED, "--budget", "0", "--json")
    assert [arm["reused"] for arm in again.json["arms"]] == [True] * 4
    json.dumps(again.json, allow_nan=False)


def test_without_an_adapter_it_says_what_is_left_out(
    run: Run, home: Path, models: Models, cases: Path
) -> None:
    made = run(*options(home, models), "bakeoff", cases, "--budget", "0", "--json")
    assert made.code == 0
    assert "tuned and hybrid are left out" in made.err
    assert [arm["name"] for arm in made.json["arms"]] == ["base", "rag"]


def test_what_is_missing_is_said_before_anything_runs(
    run: Run, home: Path, models: Models, cases: Path
) -> None:
    made = run("--home", home, "bakeoff", cases, "--adapter", "nowhere.gguf")
    assert made.code == 3
    assert models.asked == []
    assert run(*options(home, models), "bakeoff", cases, "--arms", "rag").code == 2


def test_the_model_alone_needs_no_documents(run: Run, models: Models, tmp_path: Path) -> None:
    models.speak = lambda *_: "Paris."
    made = run(
        *options(tmp_path / "new", models), "--set", "search.enabled=false", "ask", "Which capital?", "--json"
    )
    assert made.code == 0
    assert made.json["answer"] == "Paris. [unknown]"
    assert made.json["citations"] == []
