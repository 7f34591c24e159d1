import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    file = tmp_path / "cases.jsonl"
    rows = [
        {
            "id": "gcd",
            "question": "What does math.gcd return?",
            "answer": "the greatest common divisor",
            "evidence": [
                {
                    "document": "gcd.md",
                    "quote": "math.gcd returns the greatest common divisor of the specified",
                }
            ],
        },
        {
            "id": "copy",
            "question": "Which function copies a file and preserves its metadata?",
            "answer": "shutil.copy2 copies a file and preserves its metadata.",
            "evidence": [
                {"document": "copy.md", "quote": "shutil.copy2 copies a file and preserves its metadata."}
            ],
        },
        {
            "id": "turtle",
            "question": "What is turtle graphics a popular way of introducing?",
            "answer": "Turtle graphics is a popular way of introducing programming to children.",
            "evidence": [
                {
                    "document": "turtle.txt",
                    "quote": "Turtle graphics is a popular way of introducing programming to children.",
                }
            ],
        },
        {"id": "cup", "question": "Who won the football world cup in 2022?", "answerable": False},
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def test_the_library_is_listed_without_a_home(run: Run, tmp_path: Path) -> None:
    found = run("--home", tmp_path / "none", "drill", "--list", "--json").json["faults"]
    assert len(found) >= 30
    assert {one["set"] for one in found} == {"development"}
    blind = run("drill", "--list", "--set", "blind")
    assert blind.code == 0
    assert "retired_points" in blind.out
    assert "blind set" in blind.out


def test_the_faults_of_fine_tuning_are_listed_without_torch(run: Run) -> None:
    found = run("drill", "tuning", "--list", "--json").json["faults"]
    assert {one["cause"] for one in found} >= {"learning_rate_too_high", "adapter_not_applied"}
    assert {one["set"] for one in found} == {"development"}
    assert "blind set" in run("drill", "tuning", "--list", "--set", "all").out


def test_drilling_my_cases_ends_with_a_readiness_report(
    run: Run, home: Path, cases: Path, tmp_path: Path
) -> None:
    report = tmp_path / "drills.md"
    arguments = ("--home", home, "drill", "--on", cases, "--fault", "documents_removed", "--severity", "1")
    result = run(*arguments, "--markdown", report)
    assert result.code == 0, result.err
    assert "Readiness: 1 of 1" in result.out
    assert "documents_removed at 1 → corpus: missing_document" in result.err
    assert "| documents_removed: " in report.read_text(encoding="utf-8")
    found = run(*arguments, "--json").json
    assert found["rates"]["cause_named"]["value"] == 1.0
    assert found["readiness"][0]["caught"] is True


def test_without_cases_those_of_the_last_run_are_taken(run: Run, home: Path, cases: Path) -> None:
    home_of_runs = ("--home", home, "--set", "generator.kind=extractive")
    assert run(*home_of_runs, "eval", cases, "--no-generation").code == 0
    result = run(*home_of_runs, "drill", "--control", "--seeds", "1", "--json")
    assert result.code == 0, result.err
    assert result.json["rates"]["false_alarms"]["of"] == 1


def test_bad_input_says_what_to_do(run: Run, tmp_path: Path, cases: Path) -> None:
    for arguments, said in (
        (("--home", tmp_path / "none", "drill", "--on", cases), "firstfault ingest"),
        (("drill", "--fault", "gremlins", "--list"), "--list"),
        (("drill", "tuning"), "--validation"),
        (("drill", "tuning", "x.jsonl", "--fault", "gremlins"), "drill tuning --list"),
        (("drill", "proxy"), "--upstream"),
        (("drill", "proxy", "--upstream", "http://127.0.0.1:9/v1", "--fault", "gremlins"), "There are"),
    ):
        result = run(*arguments)
        assert result.code in {2, 3}
        assert said in result.err
